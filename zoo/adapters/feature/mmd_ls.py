from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.graphs import neighbours
from zoo.ops.kernels import gaussian, inverse_scale
from zoo.ops.location_scale import match, mmd2, strided

if TYPE_CHECKING:
    from zoo.task import Task


class MmdLs(Mapping):
    """Location-scale MMD: rescales and moves each class of the source until its kernel mean is the target's.

    ``x∘w(y) + b(y)`` with the w, b [C, d] that minimise ``MMD² / MMD² before + reg·mean((w - 1)² + b²)``, for features
    centred and divided by their pooled root mean square. Target points stay as they are; held-out source samples move
    with the class of the nearest source sample.

    Parameters
    ----------
    reg : float
        Weight of the pull towards no change.
    gamma : float
        The kernel is ``exp(-gamma |x - x'|²)``; 0 stands for one over the mean squared distance of the pooled samples.
    steps : int
        L-BFGS iterations, from w = 1 and b = 0.
    limit : int
        Samples of a domain that the MMD is taken over; of more, evenly spaced ones by distance from the mean, in their
        classes.

    With labels as classes the paper's smoothing by the labels' kernel is the identity. Its reweighting for changed
    class frequencies (LS-GeTarS) is left out, as in SKADA's MMDLSConSMapping. Nothing says which target samples are of
    which class: where the means agree already (z-scores of each domain), classes are mostly rescaled, which 1-NN feels.

    Source: Zhang et al. 2013, section 4.
    """

    title = "LS-MMD"
    cite = "zhang2013domain"
    tasks = {"classification"}
    space = {"reg": ("log", 1e-2, 100), "gamma": ("log", 1e-3, 10)}

    def __init__(self, reg: float = 1.0, gamma: float = 0.0, steps: int = 20, limit: int = 2000) -> None:
        self.reg, self.gamma, self.steps, self.limit = reg, gamma, steps, limit

    def fit_map(self, task: Task) -> None:
        if self.reg < 0 or self.gamma < 0 or self.steps < 1 or self.limit < 2:
            raise BadInput(
                "mmd_ls: reg and gamma are at least 0, steps at least 1 and limit at least 2, "
                f"got {self.reg}, {self.gamma}, {self.steps} and {self.limit}"
            )
        self.Xs_, self.ys_ = task.Xs, task.ys
        Xs, Xt = task.Xs.flatten(1), task.Xt.flatten(1)
        pooled = torch.cat([Xs, Xt]).double()
        gamma = self.gamma or inverse_scale(Xs, Xt)
        self.centre_ = pooled.mean(0)
        power = (pooled - self.centre_).square().mean()
        self.scale_ = torch.where(power > 0, power, 1).sqrt()
        s, t = strided(Xs, self.limit, task.ys), strided(Xt, self.limit)
        X, T = self._units(Xs[s]), self._units(Xt[t])
        gamma = gamma * self.scale_.square()
        Y = one_hot(task.ys[s], task.n_classes).double()
        self.W_, self.B_ = match(X, Y, T, gamma, self.reg, self.steps)
        if not bool(torch.isfinite(self.W_).all() & torch.isfinite(self.B_).all()):
            raise FloatingPointError("mmd_ls: the transform is not finite")
        own = gaussian(T, gamma=gamma).mean()
        self.certificate_ = {
            "mmd2_before": float(mmd2(X, T, gamma, own)),
            "mmd2_after": float(mmd2(X * (Y @ self.W_) + Y @ self.B_, T, gamma, own)),
            "used": (len(s) + len(t)) / len(pooled),
        }

    def source(self, X: Tensor) -> Tensor:
        y = self.ys_ if X is self.Xs_ else self.ys_[neighbours(X.flatten(1), self.Xs_.flatten(1), 1)[1][:, 0]]
        moved = self._units(X) * self.W_[y] + self.B_[y]
        return (moved * self.scale_ + self.centre_).to(X.dtype)

    def target(self, X: Tensor) -> Tensor:
        return X.flatten(1)

    def _units(self, X: Tensor) -> Tensor:
        return (X.flatten(1).double() - self.centre_) / self.scale_
