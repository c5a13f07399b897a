from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select._ratio import weights
from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen

EQUAL = 1e-12  # relative difference up to which weights are equal but for rounding


class Dev(Validator):
    """Deep embedded validation: the importance-weighted error with the weights' mean, which is 1, as control variate.

    Source: You et al. 2019, algorithm 2 and equation 9; their code trains an MLP for the ratio, here it is logistic, as
    for iwcv, so that the two differ in the control variate alone. Negated.
    """

    needs = {"pv", "yv", "zs", "zv", "zt"}
    cite = "you2019towards"

    def value(self, seen: Seen) -> float:
        error = (seen.pv.argmax(1) != seen.yv).astype(float)
        return -controlled_risk(weights(seen.zs, seen.zt, seen.zv), error)


def controlled_risk(w: np.ndarray, loss: np.ndarray) -> float:
    """Mean of w·loss + η (w − 1) with η = −Cov(w·loss, w) / Var(w), which makes the variance least.

    Equal weights control nothing: then η is 0.

    >>> controlled_risk(np.array([0.5, 2.5]), np.array([1.0, 1.0]))  # the loss is 1 everywhere, whatever the weights
    1.0
    """
    loss = w * loss
    varies = np.ptp(w) > EQUAL * np.abs(w).max()
    eta = -float(np.cov(loss, w)[0, 1] / np.var(w, ddof=1)) if varies else 0.0
    return float(loss.mean() + eta * (w.mean() - 1))
