"""SKADA's estimators, adapters and pipelines: ``skada:CORAL``, ``skada:CORALAdapter``, ``skada:JDOTClassifier``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from zoo.errors import Unsupported
from zoo.wrappers.base import Wrapper, rows, scored

if TYPE_CHECKING:
    from zoo.task import Task

SOURCE, TARGET, MASKED = 1, -2, -1  # SKADA's own numbers of domains, and its label of what has none


class Skada(Wrapper):
    """A SKADA estimator or adapter around the suite's base classifier, whatever SKADA's own default for that is."""

    root = "skada"
    distribution = "skada"
    extra = "skada"
    cite = "lalou2024skada"
    learner = "base"
    gives = ("base_estimator",)

    def fit(self, task: Task) -> Skada:
        from skada import make_da_pipeline
        from sklearn.exceptions import UnsetMetadataPassedError

        ys = task.ys.cpu().numpy()
        base = task.learner.problem.estimator(task.learner.base, ys)
        if "sample_weight" in inspect.signature(base.fit).parameters:
            base.set_fit_request(sample_weight=True)
        takes = "base_estimator" in inspect.signature(self.made).parameters
        given: dict[str, Any] = {"base_estimator": base} if takes else {}
        made = self.made(**given, **self.given)
        self.model_ = made if takes else make_da_pipeline(made, base)
        Xs, Xt = rows(task.Xs), rows(task.Xt)
        domains, labels = ([a] * len(Xs) + [b] * len(Xt) for a, b in ((SOURCE, TARGET), (0, MASKED)))
        labels[: len(ys)] = ys
        self.classes_, self.columns_ = np.unique(ys), task.columns
        try:
            self.model_.fit(np.concatenate([Xs, Xt]), np.array(labels), sample_domain=np.array(domains))
        except UnsetMetadataPassedError as error:
            raise Unsupported(f"weighs samples, which the base {task.learner.base} cannot use") from error
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return scored(self.model_, rows(X), self.classes_, self.columns_, sample_domain=np.full(len(X), TARGET))

    def predict_source(self, X: Tensor) -> Tensor:
        beside = {"sample_domain": np.full(len(X), SOURCE), "allow_source": True}
        return scored(self.model_, rows(X), self.classes_, self.columns_, **beside)
