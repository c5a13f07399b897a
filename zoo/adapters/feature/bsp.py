from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.feature.cdan import Cdan
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.train import Batch


class Bsp(Cdan):
    """BSP: CDAN, and the largest singular values of each domain's features are penalised.

    Those directions transfer well, and the others, which tell classes apart, are to keep up with them.

    Source and target pass the network one after the other, as in CDAN.

    Parameters
    ----------
    weight, entropy, max_dim, random_dim, hidden
        Those of ``cdan``.
    beta : float
        Multiple of the squared singular values.
    k : int
        How many of them, of each domain.

    Source: Chen et al. (2019), eq. 6 and 7.
    """

    title = "BSP"
    cite = "chen2019transferability"
    space = {"weight": ("log", 0.1, 10), "beta": ("log", 1e-5, 1e-2), "k": ("int", 1, 5)}

    def __init__(
        self,
        weight: float = 1.0,
        entropy: bool = True,
        max_dim: int = 0,
        random_dim: int = 1024,
        hidden: int = 0,
        beta: float = 1e-4,
        k: int = 1,
    ) -> None:
        super().__init__(weight, entropy, max_dim, random_dim, hidden)
        self.beta, self.k = beta, k

    def omega(self, b: Batch) -> Tensor:
        return super().omega(b) + self.beta * (spectral(b.zs, self.k) + spectral(b.zt, self.k))


@in_float32
def spectral(Z: Tensor, k: int) -> Tensor:
    """Sum of the k largest squared singular values of rows; they are eigenvalues of the smaller Gram matrix."""
    G = Z @ Z.T if len(Z) <= Z.shape[1] else Z.T @ Z
    return torch.linalg.eigvalsh(G)[-k:].sum()
