from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.ratios import ess, nearest_counts

if TYPE_CHECKING:
    from zoo.task import Task


class NearestNeighbor(Reweighting):
    """A source sample weighs as many target samples as have it for their nearest.

    The count is the target's mass in the sample's Voronoi cell; Laplace's smoothing keeps cells without target samples.
    New points are scored by the base classifier.

    Parameters
    ----------
    smoothing : float
        Added to every count; 1 is the paper's.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Loog (2012), "Nearest neighbor-based importance weighting".
    """

    title = "Nearest neighbour"
    cite = "loog2012nearest"
    sparse = True
    space = {"smoothing": ("log", 0.01, 10)}

    def __init__(self, smoothing: float = 1.0, how: str = "weight") -> None:
        self.smoothing, self.how = smoothing, how

    def weights(self, task: Task) -> Tensor:
        if self.smoothing < 0:
            raise BadInput(f"nearest_neighbor: smoothing is at least 0, got {self.smoothing}")
        counts = task.shared(nearest_counts, "Xs", "Xt")
        w = counts + self.smoothing
        self.certificate_ = {"ess": ess(w), "empty": float((counts == 0).sum()), "max": float(w.max() / w.mean())}
        return w
