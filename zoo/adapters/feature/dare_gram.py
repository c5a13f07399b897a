from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.train import Batch

ABOVE = 1 + 1e-4  # of the cut: the k-th value stands on it, and rounding would say whether it counts


class DareGram(DeepAdapter):
    """DARE-GRAM: the penalty aligns the inverse Gram matrices of the features, on which least squares rest.

    Of features with a one before them: the angles between columns of the two pseudo-inverses, cut off where the
    singular values make up `threshold` of their sum in both domains, and the distance of the values that stay. Source
    and target pass the network one after the other.

    Parameters
    ----------
    angle, scale : float
        Multiples of the two penalties; the authors' for dSprites.
    threshold : float

    The pseudo-inverse of A'A is made of that of A, which has fewer rows. The authors' pretrained backbone learns at a
    tenth of the head's rate, which here is the suite's `backbone_rate`. Source: Nejjar et al. (2023), eq. 9 to 13, and
    their code.
    """

    title = "DARE-GRAM"
    cite = "nejjar2023dare"
    tasks = {"regression"}
    host_sync = True
    space = {"angle": ("log", 0.005, 0.5), "scale": ("log", 1e-4, 0.1)}

    def __init__(self, angle: float = 0.05, scale: float = 0.001, threshold: float = 0.9) -> None:
        self.angle, self.scale, self.threshold = angle, scale, threshold

    def omega(self, b: Batch) -> Tensor:
        angle, scale = gram_gap(b.zs, b.zt, self.threshold)
        return self.angle * angle + self.scale * scale


@in_float32
def gram_gap(Zs: Tensor, Zt: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """How far apart inverse Gram matrices of rows are: mean of one less the cosines, and distance of their values."""
    As, At = (torch.cat([torch.ones_like(Z[:, :1]), Z], 1) for Z in (Zs, Zt))
    Ls, Lt = (torch.linalg.svdvals(A).square() for A in (As, At))
    n = min(len(Ls), len(Lt))
    k = min(max(_kept(L, threshold) for L in (Ls, Lt)), n - 1)
    Gs, Gt = (_inverse(A, L, k) for A, L in ((As, Ls), (At, Lt)))
    cosine = torch.nn.functional.cosine_similarity(Gs, Gt, dim=0, eps=1e-6)
    return (1 - cosine).abs().mean(), torch.dist(Ls[:k], Lt[:k]) / max(k, 1)


def _kept(L: Tensor, threshold: float) -> int:
    """The place of the last value up to which they make up the threshold; at least the second."""
    share = L.detach().cumsum(0) / L.detach().sum()
    return int((share <= max(threshold, float(share[min(1, len(share) - 1)]))).nonzero()[-1])


def _inverse(A: Tensor, L: Tensor, k: int) -> Tensor:
    P = torch.linalg.pinv(A, rtol=ABOVE * (L[k] / L[0]).detach().sqrt())
    return P @ P.T
