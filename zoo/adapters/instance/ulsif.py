from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.ratios import design, ess, least_squares, unsorted

if TYPE_CHECKING:
    from zoo.task import Task


class Ulsif(Reweighting):
    """uLSIF: a density ratio of Gaussians that fits in least squares, in closed form.

    Coefficients ``(H + reg I)^-1 h``, negative ones set to 0, with H the second moment of the Gaussians on the source
    and h their mean on the target. New points are scored by the classifier.

    Parameters
    ----------
    b : int
        Number of Gaussians, centred at target points that are evenly spaced in the order of their distance from the
        source's mean: no random draw, and all of them up to b. 100 is the authors'.
    sigma : float
        Width of the Gaussians ``exp(-|x - c|²/(2 sigma²))``; 0: by closed-form leave-one-out cross-validation
        from widths at which all weights are 1 down to 0.1 times the root mean squared distance of two pooled rows, and
        on below as long as the score improves.
    reg : float
        The ridge (lambda); 0: chosen with sigma, from 1e-3 to 10.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Notes
    -----
    On hundreds of features that are standardised in each domain no width beats weights of 1, and these are taken: the
    results are source_only's.
    Kanamori, Hido and Sugiyama (2009), "A least-squares approach to direct importance estimation", section 3.
    """

    title = "uLSIF"
    cite = "kanamori2009least"
    sparse = True
    space = {"b": ("int", 20, 500), "sigma": ("log", 0.1, 100), "reg": ("log", 1e-3, 10)}

    def __init__(self, b: int = 100, sigma: float = 0.0, reg: float = 0.0, how: str = "weight") -> None:
        self.b, self.sigma, self.reg, self.how = b, sigma, reg, how

    def weights(self, task: Task) -> Tensor:
        if self.b < 1 or self.sigma < 0 or self.reg < 0:
            raise BadInput(
                f"ulsif: b is at least 1, sigma and reg at least 0, got {self.b}, {self.sigma} and {self.reg}"
            )
        D = task.shared(design, "Xs", "Xt", b=self.b)
        best = least_squares(D, 0.0, self.sigma, self.reg)
        self.certificate_ = {"ess": ess(best.w), "sigma": best.sigma, "reg": best.ridge, "max": float(best.w.max())}
        return unsorted(best.w, D.source_order)
