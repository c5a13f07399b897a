from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.ops.priors import calibrate, most_likely_priors, out_of_fold
from zoo.ops.rows import flat

if TYPE_CHECKING:
    from zoo.task import Task


class Mlls(Adapter):
    """MLLS: rescales a calibrated source classifier's scores to the class priors of largest target likelihood (EM).

    ``p(y|x) ∝ p_s(y|x) π_t(y) / π_s(y)``, p_s the base classifier after bias-corrected temperature scaling on
    out-of-fold source scores, π_s the mean of these. Right where only the priors shift; where the classes themselves
    look different in the target, it corrects what is not there, and may empty a class. Where scores are no
    probabilities (1-NN) they are calibrated all the same, and rarely change places.

    Parameters
    ----------
    calibrated : bool

    Source: Saerens et al. (2002), equations 2.4 and 2.9; Alexandari et al. (2020) and their code (abstention), which
    calibrates on validation samples that a network has not seen: here 5 folds of the source.
    """

    title = "MLLS"
    cite = "alexandari2020maximum"
    learner = "base"
    sparse = True

    def __init__(self, calibrated: bool = True) -> None:
        self.calibrated = calibrated

    def fit(self, task: Task) -> Mlls:
        Xs, C = flat(task.Xs), task.n_classes
        self.model_ = task.learner.fit(Xs, task.ys, C)
        held = out_of_fold(task.learner, Xs, task.ys, C)
        plain = held.new_ones(()), held.new_zeros(C)
        self.scale_, self.bias_ = calibrate(held, task.ys) if self.calibrated else plain
        source = self._posterior(held).mean(0)
        target = most_likely_priors(self._posterior(self.model_.predict(flat(task.Xt))), source)
        self.ratio_ = target / source
        self.certificate_ = {"total_variation": float((target - source).abs().sum()) / 2}
        return self

    def _posterior(self, scores: Tensor) -> Tensor:
        return (scores.double().clamp_min(1e-12).log() * self.scale_ + self.bias_).softmax(1)

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        joint = self._posterior(self.model_.predict(flat(X))) * self.ratio_
        return joint / joint.sum(1, keepdim=True)
