from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class Entropy(Validator):
    """Mean entropy of target predictions, negated: best for a method that is sure, even that all are of one class.

    Source: Morerio et al. 2018, section 3.2.
    """

    needs = {"pt"}
    cite = "morerio2018minimal"

    def value(self, seen: Seen) -> float:
        return -mean_entropy(seen.pt)


def mean_entropy(p: np.ndarray) -> float:
    """Mean over rows of −Σ p log p, in nats.

    >>> mean_entropy(np.array([[0.5, 0.5], [1.0, 0.0]]))
    0.34657
    """
    return float(entr(p).sum(1).mean())
