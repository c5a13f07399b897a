from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.train import Batch


class Homm(DeepAdapter):
    """HoMM: the penalty is the squared distance of the domains' third moment tensors, cross moments included.

    The tensors of d³ entries are never made: their inner products are the cubes of the samples'. So the penalty is
    exact, where the paper samples entries. Features are standardised by the batch's statistics, constants to the
    gradient, and pass a tanh, for the authors' code has one there instead of a rectifier: third moments of features
    without a bound diverge (they did, at 3.7 % on Office-31, which the loss shows without labels). Source and target
    pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the penalty, a mean over the tensor's entries; 200 in the authors' code for Office-31.
    order : int
        Of the moments: 1 is the MMD of a linear kernel, 2 compares uncentred covariances; the paper prefers 3.

    Source: Chen et al. (2020), eq. 5 to 8.
    """

    cite = "chen2020homm"
    space = {"weight": ("log", 10, 10000), "order": ("int", 1, 5)}

    def __init__(self, weight: float = 200.0, order: int = 3) -> None:
        self.weight, self.order = weight, order

    def omega(self, b: Batch) -> Tensor:
        zs, zt = b.zs.float(), b.zt.float()
        both = torch.cat([zs, zt]).detach()
        center, scale = both.mean(0), both.std(0, correction=0).clamp_min(1e-6)
        xs, xt = (torch.tanh((z - center) / scale) / z.shape[1] ** 0.5 for z in (zs, zt))
        return self.weight * moment_gap(xs, xt, self.order)


@in_float32
def moment_gap(X: Tensor, Y: Tensor, order: int) -> Tensor:
    """``|E x⊗…⊗x - E y⊗…⊗y|²`` of rows, with `order` factors."""
    return (X @ X.T).pow(order).mean() + (Y @ Y.T).pow(order).mean() - 2 * (X @ Y.T).pow(order).mean()
