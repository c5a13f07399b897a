from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import DeepAdapter
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.train import Batch


class DeepCoral(DeepAdapter):
    """Deep CORAL: the penalty is the squared distance of the domains' covariances, over 4 d².

    Source and target pass the network one after the other: the paper's has no batch norm, so that there a pass of both
    together is the same.

    Parameters
    ----------
    weight : float
        Multiple of the penalty.
    layer : {'scores', 'features'}
        What it aligns: the classifier's outputs before the softmax, as the paper does, or what goes into it.

    Source: Sun and Saenko (2016), eq. 1.
    """

    title = "Deep CORAL"
    cite = "sun2016deep"
    tasks = {"classification", "regression"}
    space = {"weight": ("log", 0.1, 100)}

    def __init__(self, weight: float = 1.0, layer: str = "scores") -> None:
        self.weight, self.layer = weight, layer

    def omega(self, b: Batch) -> Tensor:
        Xs, Xt = (b.ls, b.lt) if self.layer == "scores" else (b.zs, b.zt)
        return self.weight * coral_loss(Xs, Xt)


@in_float32
def coral_loss(Xs: Tensor, Xt: Tensor) -> Tensor:
    """``|cov(Xs) - cov(Xt)|² / (4 d²)`` of rows, with n - 1."""
    Cs, Ct = ((X - X.mean(0)).T @ (X - X.mean(0)) / max(len(X) - 1, 1) for X in (Xs, Xt))
    return (Cs - Ct).square().sum() / (4 * Xs.shape[1] ** 2)
