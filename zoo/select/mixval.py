from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class Mixval(Validator):
    """Whether a mixture of two target samples is given the class of the nearer one: within and between clusters.

    Source: Hu et al. 2023, section 4 (λ = 0.55 fixed): the shares of right ones among mixtures of one pseudo-class and
    among those of two. They average the two ranks among the models; here the shares, since a value is of one model.
    """

    needs = {"pt", "pm", "im"}
    cite = "hu2023mixed"

    def value(self, seen: Seen) -> float:
        return consistency(seen.pt.argmax(1), seen.pm.argmax(1), seen.im)


def consistency(predicted: np.ndarray, mixed: np.ndarray, parents: np.ndarray) -> float:
    """Mean of the two shares; NaN where all samples are of one pseudo-class, for then nothing lies between clusters.

    Parameters
    ----------
    predicted : classes [n] of the samples
    mixed, parents : classes [m] of the mixtures, and [m, 2] the samples they are of, the heavier first

    >>> consistency(np.array([0, 0, 1]), np.array([0, 0]), np.array([[0, 1], [0, 2]]))
    1.0
    """
    first, second = predicted[parents[:, 0]], predicted[parents[:, 1]]
    right, same = mixed == first, first == second
    if same.all() or not same.any():
        return float("nan")
    return float((right[same].mean() + right[~same].mean()) / 2)
