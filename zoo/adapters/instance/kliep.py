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
        points are no centres either), from widths at which all weights are 1 down to 0.1 times the root mean squared
        distance of two pooled rows, and on below as long as the likelihood rises.
    ess : float
        Widths under whose weights the effective sample size is below this share of n_s are not considered; 0 considers
        all. Where the domains hardly overlap the likelihood has no maximum: it rises as the width falls.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Notes
    -----
    On hundreds of features that are standardised in each domain no width beats weights of 1, and these are taken: the
    results are source_only's. A target narrower than the source in some ten dimensions makes it choose narrow widths.
    The authors' code and densratio search downwards from a width of 10 until the likelihood falls; with features of
    another scale that misses its maximum.
    Sugiyama et al. (2008), "Direct importance estimation with model selection", figure 1.
    """

    title = "KLIEP"
    cite = "sugiyama2008direct"
    sparse = True
    space = {"b": ("int", 20, 500), "sigma": ("log", 0.1, 100), "ess": ("float", 0.1, 0.9)}

    def __init__(self, b: int = 100, sigma: float = 0.0, ess: float = 0.3, how: str = "weight") -> None:
        self.b, self.sigma, self.ess, self.how = b, sigma, ess, how

    def weights(self, task: Task) -> Tensor:
        if self.b < 1 or self.sigma < 0:
            raise BadInput(f"kliep: b is at least 1 and sigma at least 0, got {self.b} and {self.sigma}")
        if not 0 <= self.ess <= 1:
            raise BadInput(f"kliep: ess is in [0, 1], got {self.ess}")
        D = task.shared(design, "Xs", "Xt", b=self.b)
        best = kliep(D, self.sigma, self.ess)
        self.certificate_ = {"ess": ess(best.w), "gap": best.gap, "sigma": best.sigma, "max": float(best.w.max())}
        return unsorted(best.w, D.source_order)
