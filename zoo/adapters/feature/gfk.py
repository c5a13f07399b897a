from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.subspaces import geodesic_flow, spectrum, subspace_pair

if TYPE_CHECKING:
    from zoo.task import Task


class Gfk(Mapping):
    """Geodesic flow kernel: the kernel of all subspaces on the way from the source's to the target's.

    The kernel is ``xᵀ G y`` with ``G = F Fᵀ``; samples are mapped by F [d, 2k], where Euclidean distances and products
    are the kernel's. Each domain is taken around its own mean, as z-scoring has it in the paper. New points are mapped
    like Xt.

    Parameters
    ----------
    k : int
        Dimensions of both subspaces; at most the source's rank. A target of fewer directions is completed by the
        source's. One k for all pairs; the paper chooses it for each by a measure of the subspaces' disagreement.

    Source: Gong et al. (2012), equations 4 to 8.
    """

    title = "GFK"
    cite = "gong2012geodesic"
    space = {"k": ("int", 5, 100)}

    def __init__(self, k: int = 20) -> None:
        self.k = k

    def fit_map(self, task: Task) -> None:
        if self.k < 1:
            raise BadInput(f"gfk: k is at least 1, got {self.k}")
        s, t = task.shared(spectrum, "Xs"), task.shared(spectrum, "Xt")
        Ps, Pt = subspace_pair(s, t, self.k)
        self.map_, self.means_ = geodesic_flow(Ps, Pt), (s.mean, t.mean)
        overlap = (Ps.T @ Pt).square().sum() / Ps.shape[1]
        self.certificate_ = {"dimensions": float(Ps.shape[1]), "overlap": float(overlap)}

    def source(self, X: Tensor) -> Tensor:
        return ((X.flatten(1).double() - self.means_[0]) @ self.map_).to(X.dtype)

    def target(self, X: Tensor) -> Tensor:
        return ((X.flatten(1).double() - self.means_[1]) @ self.map_).to(X.dtype)
