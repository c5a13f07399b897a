"""ADAPT's shallow methods: ``adapt:feature_based.CORAL``, ``adapt:instance_based.KMM``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from zoo.wrappers.base import Wrapper, rows, scored

if TYPE_CHECKING:
    from zoo.task import Task


class Adapt(Wrapper):
    """A method of ADAPT around the suite's base classifier; its networks of TensorFlow are not wrapped."""

    root = "adapt"
    distribution = "adapt"
    extra = "adapt"
    cite = "mathelin2021adapt"
    of = ("BaseAdaptEstimator",)
    learner = "base"
    families = {"instance_based": "instance", "parameter_based": "parameter"}
    gives = ("estimator", "Xt", "yt")

    def fit(self, task: Task) -> Adapt:
        ys = task.ys.cpu().numpy()
        base = task.learner.estimator(ys)
        self.classes_, self.columns_ = np.unique(ys), task.columns
        self.model_ = self.made(estimator=base, Xt=rows(task.Xt), **self.given).fit(rows(task.Xs), ys)
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return self._scores(X, "tgt")

    def predict_source(self, X: Tensor) -> Tensor:
        return self._scores(X, "src")

    def _scores(self, X: Tensor, domain: str) -> Tensor:
        moved = self.model_.transform(rows(X), domain=domain) if hasattr(self.model_, "transform") else rows(X)
        return scored(self.model_.estimator_, moved, self.classes_, self.columns_)
