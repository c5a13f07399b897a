from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Tuning
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.nets import Net


class Bss(Tuning):
    """BSS: fine-tuning that shrinks the smallest singular values of a batch's features: what does not transfer.

    A batch holds distinct samples, all there are where they are fewer than a batch.

    Parameters
    ----------
    eta : float
        Multiple of the squared singular values.
    k : int
        How many of them.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Chen et al. (2019), eq. 4.
    """

    title = "BSS"
    cite = "chen2019catastrophic"
    space = {"eta": ("log", 1e-4, 1e-1), "k": ("int", 1, 10), "rate": ("log", 0.01, 1)}

    def __init__(self, eta: float = 1e-3, k: int = 1, rate: float = 0.3) -> None:
        self.eta, self.k, self.rate = eta, k, rate

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "rate": self.rate}]

    def omega_batch(self, b: Any, source: Net) -> Tensor:
        return self.eta * smallest(b.zl, self.k)


@in_float32
def smallest(Z: Tensor, k: int) -> Tensor:
    """Sum of the k smallest squared singular values of rows; they are eigenvalues of the smaller Gram matrix.

    In double precision: that matrix squares how far the values are apart.
    """
    Z = Z.double()
    G = Z @ Z.T if len(Z) <= Z.shape[1] else Z.T @ Z
    return torch.linalg.eigvalsh(G)[:k].clamp_min(0).sum()
