from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.train import Batch


class Homm(DeepAdapter):
    """HoMM: the penalty is the squared distance of the domains' third moment tensors, cross moments included.

    The tensors of d³ entries are never made: their inner products are the cubes of the samples'. So the penalty is
    exact, where the paper samples entries. Features are divided by their root mean square norm, a constant to the
    gradient, so that the weight means the same at every width. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty.
    order : int
        Of the moments: 1 is the MMD of a linear kernel, 2 compares uncentred covariances; the paper prefers 3.

    Source: Chen et al. (2020), eq. 5 to 8.
    """

    cite = "chen2020homm"
    space = {"weight": ("log", 0.1, 100), "order": ("int", 1, 5)}

    def __init__(self, weight: float = 10.0, order: int = 3) -> None:
        self.weight, self.order = weight, order

    def omega(self, b: Batch) -> Tensor:
        zs, zt = b.zs.float(), b.zt.float()
        size = ((zs.detach().square().sum(1).mean() + zt.detach().square().sum(1).mean()) / 2).clamp_min(1e-12)
        return self.weight * moment_gap(zs / size.sqrt(), zt / size.sqrt(), self.order)


def moment_gap(X: Tensor, Y: Tensor, order: int) -> Tensor:
    """``|E x⊗…⊗x - E y⊗…⊗y|²`` of rows, with `order` factors."""
    return (X @ X.T).pow(order).mean() + (Y @ Y.T).pow(order).mean() - 2 * (X @ Y.T).pow(order).mean()
