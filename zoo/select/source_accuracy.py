from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class SourceAccuracy(Validator):
    """Accuracy on held-out source samples: blind to the target, and so to a method that gives the source up for it.

    Source: the common default; Musgrave et al. 2022, section 3 ("Source Accuracy").
    """

    needs = {"pv", "yv"}
    cite = "musgrave2022three"

    def value(self, seen: Seen) -> float:
        return accuracy(seen.pv, seen.yv)


def accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """The share of rows whose top score is that of the label.

    >>> accuracy(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    0.5
    """
    return float((p.argmax(1) == y).mean())
