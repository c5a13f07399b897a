from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.densities import domain_logits, principal
from zoo.ops.ratios import ess, ranked, temper

if TYPE_CHECKING:
    from zoo.task import Task


class Discriminator(Reweighting):
    """Weights from a probabilistic classifier that tells target from source samples.

    ``w = (n_s/n_t) p(t|x) / p(s|x)`` from L2-regularised logistic regression. Each source sample is judged by a model
    that has not seen it (5 folds, dealt by rank, no random draw): with d > n a model separates what it has seen
    perfectly, whatever the densities. New points are scored by the base classifier.

    Parameters
    ----------
    k : int
        Dimensions: the leading principal components of the pooled rows.
    reg : float
        The penalty is ``reg/2 |v|²`` beside the mean log loss, on components scaled to a mean variance of 1; 0: by the
        left-out log loss, from 1e4, under which all weights are 1, to 1e-4, and on below as long as the loss falls.
    ess : float
        Where the effective sample size is below this share of n_s, the weights are flattened to ``w^p`` (Shimodaira
        2000) with the largest p that reaches it; 0 leaves them. In many dimensions a few samples would take all.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Of domains that are standardised each by itself a linear classifier tells nothing: all weights are 1, and the
    results source_only's. Bickel, Brückner and Scheffer (2009), "Discriminative learning under covariate shift".
    """

    title = "Domain discriminator"
    cite = "bickel2009discriminative"
    space = {"k": ("int", 5, 200), "reg": ("log", 1e-4, 10), "ess": ("float", 0.1, 0.9)}

    def __init__(self, k: int = 50, reg: float = 0.0, ess: float = 0.3, how: str = "weight") -> None:
        self.k, self.reg, self.ess, self.how = k, reg, ess, how

    def weights(self, task: Task) -> Tensor:
        if self.k < 1 or self.reg < 0 or not 0 <= self.ess <= 1:
            raise BadInput(
                f"discriminator: k is from 1, reg from 0, ess in [0, 1], got {self.k}, {self.reg} and {self.ess}"
            )
        P = task.shared(principal, "Xs", "Xt", k=self.k)
        origin = P.source.mean(0)
        rank_s, rank_t = (ranked(Z, origin).argsort() for Z in (P.source, P.target))
        z = domain_logits(P, rank_s, rank_t, reg=self.reg)
        w, power = temper(z.source, self.ess)
        self.certificate_ = {"ess": ess(w), "power": power, "reg": z.reg, "log_loss": z.loss}
        return w
