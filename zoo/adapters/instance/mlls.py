from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.learners.base import fit_base
from zoo.ops.priors import calibrate, class_weights, most_likely_priors, out_of_fold, source_priors

if TYPE_CHECKING:
    from zoo.task import Task


class _Logistic:
    """Logistic regression as a learner, for bases whose scores are no probabilities."""

    @staticmethod
    def fit(X: Tensor, y: Tensor, n_classes: int) -> object:
        return fit_base("logistic", X, y, n_classes)


class Mlls(Reweighting):
    """MLLS: corrects class priors that differ, by the target likelihood of a calibrated source classifier (EM).

    The classifier is logistic regression whatever the base is, since the likelihood wants probabilities; they are
    calibrated by bias-corrected temperature scaling on out-of-fold source scores. Right where only the priors
    shift; where the classes themselves look different in the target, it corrects what is not there, and may empty a
    class. Source: Saerens et al. (2002), eq. 2.9; calibration: Alexandari et al. (2020).

    Parameters
    ----------
    calibrated : bool
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.
    """

    cite = "alexandari2020maximum"

    def __init__(self, calibrated: bool = True, how: str = "weight") -> None:
        self.calibrated, self.how = calibrated, how

    def weights(self, task: Task) -> Tensor:
        Xs, Xt = task.Xs.flatten(1), task.Xt.flatten(1)
        posterior = _Logistic.fit(Xs, task.ys, task.n_classes).predict(Xt).double()  # type: ignore[attr-defined]
        source = source_priors(task.ys, task.n_classes)
        if self.calibrated:
            t, b = calibrate(out_of_fold(_Logistic, Xs, task.ys, task.n_classes), task.ys)
            posterior = (posterior.clamp_min(1e-12).log() * t + b).softmax(1)
        target = most_likely_priors(posterior, source)
        self.certificate_ = {"total_variation": float((target - source).abs().sum()) / 2}
        return class_weights(task.ys, target, source)
