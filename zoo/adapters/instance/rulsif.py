from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.ratios import design, ess, least_squares, unsorted

if TYPE_CHECKING:
    from zoo.task import Task


class Rulsif(Reweighting):
    """RuLSIF: the relative density ratio p_t / (alpha p_t + (1 - alpha) p_s), in least squares.

    The relative ratio never exceeds 1/alpha, so no sample takes all. Solved as by ulsif, with H a mixture of the second
    moments on target and source. New points are scored by the classifier.

    Parameters
    ----------
    alpha : float
        Share of the target in the denominator, in [0, 1); 0 is uLSIF. 0.1 is the authors'.
    b : int
        Number of Gaussians, centred at target points that are evenly spaced in the order of their distance from the
        source's mean: no random draw, and all of them up to b. 100 is the authors'.
    sigma : float
        Width of the Gaussians ``exp(-|x - c|²/(2 sigma²))``; 0: by closed-form leave-one-out cross-validation
        (the authors' is 5-fold), from widths at which all weights are 1 down to 0.1 times the root mean squared
        distance of two pooled rows, and on below as long as the score improves.
    reg : float
        The ridge (lambda); 0: chosen with sigma, from 1e-3 to 10.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Notes
    -----
    On hundreds of features that are standardised in each domain no width beats weights of 1, and these are taken: the
    results are source_only's.
    Yamada et al. (2013), "Relative density-ratio estimation for robust distribution comparison", section 2.
    """

    title = "RuLSIF"
    cite = "yamada2013relative"
    sparse = True
    space = {"alpha": ("float", 0.0, 0.9), "sigma": ("log", 0.1, 100), "reg": ("log", 1e-3, 10)}

    def __init__(
        self, alpha: float = 0.1, b: int = 100, sigma: float = 0.0, reg: float = 0.0, how: str = "weight"
    ) -> None:
        self.alpha, self.b, self.sigma, self.reg, self.how = alpha, b, sigma, reg, how

    def weights(self, task: Task) -> Tensor:
        if not 0 <= self.alpha < 1:
            raise BadInput(f"rulsif: alpha is in [0, 1), got {self.alpha}")
        if self.b < 1 or self.sigma < 0 or self.reg < 0:
            raise BadInput(
                f"rulsif: b is at least 1, sigma and reg at least 0, got {self.b}, {self.sigma} and {self.reg}"
            )
        D = task.shared(design, "Xs", "Xt", b=self.b)
        best = least_squares(D, self.alpha, self.sigma, self.reg)
        self.certificate_ = {"ess": ess(best.w), "sigma": best.sigma, "reg": best.ridge, "max": float(best.w.max())}
        return unsorted(best.w, D.source_order)
