from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.subspaces import joint_spectrum

if TYPE_CHECKING:
    from zoo.task import Task


class Pca(Mapping):
    """Joint principal components: both domains on the leading directions of their pooled samples.

    New points are projected on the same directions. Nothing here aligns the domains; it is what the methods that do
    have to beat.

    Parameters
    ----------
    k : int
        Dimensions; at most the rank of the pooled samples. 30 is the setting of the published Office-Caltech row.

    Source: Hotelling (1933).
    """

    title = "PCA"
    cite = "hotelling1933analysis"
    space = {"k": ("int", 5, 200)}

    def __init__(self, k: int = 30) -> None:
        self.k = k

    def fit_map(self, task: Task) -> None:
        if self.k < 1:
            raise BadInput(f"pca: k is at least 1, got {self.k}")
        mean, values, vectors = task.shared(joint_spectrum, "Xs", "Xt")
        if not len(values):
            raise FloatingPointError("pca: all samples are equal, so that there are no principal components")
        self.mean_, self.map_ = mean, vectors[:, : self.k]
        self.certificate_ = {
            "dimensions": float(self.map_.shape[1]),
            "explained": float(values[: self.k].sum() / values.sum()),
        }

    def source(self, X: Tensor) -> Tensor:
        return ((X.flatten(1).double() - self.mean_) @ self.map_).to(X.dtype)

    target = source
