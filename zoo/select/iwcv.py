from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select._ratio import weights
from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class Iwcv(Validator):
    """Error on held-out source samples, weighted by the density ratio; unbiased under covariate shift, and noisy.

    The ratio is a logistic classifier's, of source-train against target-adapt features. Where the domains hardly
    overlap a few samples carry all weight, and the value is that of their errors alone.

    Source: Sugiyama et al. 2007, equation 4, with the 0-1 loss and one split; negated.
    """

    needs = {"pv", "yv", "zs", "zv", "zt"}
    cite = "sugiyama2007covariate"

    def value(self, seen: Seen) -> float:
        error = (seen.pv.argmax(1) != seen.yv).astype(float)
        return -weighted_risk(weights(seen.zs, seen.zt, seen.zv), error)


def weighted_risk(w: np.ndarray, loss: np.ndarray) -> float:
    """The importance-weighted mean of losses.

    >>> weighted_risk(np.array([0.5, 1.5]), np.array([0.0, 1.0]))
    0.75
    """
    return float((w * loss).mean())
