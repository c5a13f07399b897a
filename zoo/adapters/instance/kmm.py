from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.kernels import gaussian, inverse_scale
from zoo.ops.qp import solve

if TYPE_CHECKING:
    from zoo.task import Task


class Kmm(Reweighting):
    """Kernel mean matching: weights under which the source's mean in a Gaussian kernel's space meets the target's.

    Solves ``min w'Kw/2 - kappa'w`` with ``0 <= w <= B`` and ``|mean(w) - 1| <= eps`` to a duality gap of 1e-6.

    Parameters
    ----------
    B : float
        Largest weight.
    eps : float
        How far the mean weight may be from 1; 0 stands for the authors' ``(sqrt(n) - 1) / sqrt(n)``.
    gamma : float
        The kernel is ``exp(-gamma |x - x'|²)``; 0 stands for one over the mean squared distance of the pooled samples.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.
    """

    cite = "huang2006correcting"
    space = {"B": ("log", 1, 1000), "gamma": ("log", 1e-3, 10)}

    def __init__(self, B: float = 1000.0, eps: float = 0.0, gamma: float = 0.0, how: str = "weight") -> None:
        self.B, self.eps, self.gamma, self.how = B, eps, gamma, how

    def weights(self, task: Task) -> Tensor:
        if self.how not in ("weight", "resample"):
            raise BadInput(f"kmm: how is 'weight' or 'resample', got {self.how!r}")
        if self.B <= 0 or self.eps < 0 or self.gamma < 0:
            raise BadInput(f"kmm: B is above 0, eps and gamma at least 0, got {self.B}, {self.eps} and {self.gamma}")
        Xs, Xt = task.Xs.flatten(1), task.Xt.flatten(1)
        n = len(Xs)
        eps = self.eps or (math.sqrt(n) - 1) / math.sqrt(n)
        if self.B + eps < 1:
            raise BadInput(f"kmm: no weights up to B = {self.B} have a mean of at least 1 - eps = {1 - eps:g}")
        gamma = self.gamma or inverse_scale(Xs, Xt)
        kappa = gaussian(Xs, Xt, gamma=gamma).mean(1) * n
        best = solve(gaussian(Xs, gamma=gamma), kappa, self.B, n * max(1 - eps, 0.0), n * (1 + eps))
        self.certificate_ = {
            "gap": best.gap,
            "mean": float(best.w.mean()),
            "max": float(best.w.max()),
            "support": float((best.w > 0).sum()),
        }
        return best.w
