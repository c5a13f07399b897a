from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class SourceNll(Validator):
    """Mean log score of the true class on held-out source samples; no value where one has score 0 (1-NN).

    Source: the negative log-likelihood, with its sign turned so that higher is better.
    """

    needs = {"pv", "yv"}
    cite = "musgrave2022three"

    def value(self, seen: Seen) -> float:
        return log_likelihood(seen.pv, seen.yv)


def log_likelihood(p: np.ndarray, y: np.ndarray) -> float:
    """Mean of log p(y).

    >>> log_likelihood(np.array([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0]))
    -1.0397
    """
    with np.errstate(divide="ignore"):
        return float(np.log(p[np.arange(len(y)), y]).mean())
