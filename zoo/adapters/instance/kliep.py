from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.ratios import design, ess, kliep, unsorted

if TYPE_CHECKING:
    from zoo.task import Task


class Kliep(Reweighting):
    """KLIEP: a density ratio of Gaussians that fits the target best in Kullback-Leibler divergence.

    Maximises the mean log-ratio on the target over non-negative mixtures whose mean on the source is 1, by an
    interior-point method; `gap` bounds what is missing to the maximum. New points are scored by the classifier.

    Parameters
    ----------
    b : int
        Number of Gaussians, centred at target points that are evenly spaced in the order of their distance from the
        source's mean: no random draw, and all of them up to b. 100 is the authors'.
    sigma : float
        Width of the Gaussians ``exp(-|x - c|²/(2 sigma²))``; 0: by 5-fold likelihood cross-validation (left-out
        points are no centres either) from 0.1 to 3 times the root mean squared distance of two pooled rows.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Notes
    -----
    Where cross-validation finds no honest ratio (hundreds of standardised features) the widest Gaussians win and the
    weights are nearly uniform. A target narrower than the source in some ten dimensions makes it choose narrow ones.
    Sugiyama et al. (2008), "Direct importance estimation with model selection", figure 1.
    """

    cite = "sugiyama2008direct"
    space = {"b": ("int", 20, 500), "sigma": ("log", 0.1, 100)}

    def __init__(self, b: int = 100, sigma: float = 0.0, how: str = "weight") -> None:
        self.b, self.sigma, self.how = b, sigma, how

    def weights(self, task: Task) -> Tensor:
        if self.b < 1 or self.sigma < 0:
            raise BadInput(f"kliep: b is at least 1 and sigma at least 0, got {self.b} and {self.sigma}")
        D = task.shared(design, "Xs", "Xt", b=self.b)
        best = kliep(D, self.sigma)
        self.certificate_ = {"ess": ess(best.w), "gap": best.gap, "sigma": best.sigma, "max": float(best.w.max())}
        return unsorted(best.w, D.source_order)
