"""SKADA's estimators, adapters and pipelines: ``skada:CORAL``, ``skada:CORALAdapter``, ``skada:JDOTClassifier``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from zoo.errors import Unsupported
from zoo.wrappers.base import Wrapper, rows, scored, takes

if TYPE_CHECKING:
    from zoo.task import Task

SOURCE, TARGET, MASKED = 1, -2, -1  # SKADA's own numbers of domains, and its label of what has none


class Skada(Wrapper):
    """A SKADA estimator or adapter around the suite's base classifier, whatever SKADA's own default for that is."""

    root = "skada"
    modules = False
    distribution = "skada"
    extra = "skada"
    cite = "lalou2024skada"
    learner = "base"
    families = {"_reweight": "instance"}
    gives = ("base_estimator",)

    def fit(self, task: Task) -> Skada:
        from skada import make_da_pipeline

        ys, Xs, Xt = task.ys.cpu().numpy(), rows(task.Xs), rows(task.Xt)
        base = task.learner.estimator(ys)
        if weighted := takes(base.fit, "sample_weight"):
            base.set_fit_request(sample_weight=True)
        whole = takes(self.made, "base_estimator")
        made = self.made(base_estimator=base, **self.given) if whole else self.made(**self.given)
        self.model_ = made if whole else make_da_pipeline(made, base)
        steps = (getattr(step, "base_estimator", None) for _, step in getattr(self.model_, "steps", ()))
        if not weighted and any(hasattr(step, "compute_weights") for step in steps):
            raise Unsupported(f"weighs samples, which the base {task.learner.base} cannot use")  # SKADA drops them
        self.classes_, self.columns_ = np.unique(ys), task.columns
        y, domains = np.append(ys, np.full(len(Xt), MASKED)), np.repeat([SOURCE, TARGET], [len(Xs), len(Xt)])
        self.model_.fit(np.concatenate([Xs, Xt]), y, sample_domain=domains)
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return scored(self.model_, rows(X), self.classes_, self.columns_, sample_domain=np.full(len(X), TARGET))

    def predict_source(self, X: Tensor) -> Tensor:
        beside = {"sample_domain": np.full(len(X), SOURCE), "allow_source": True}
        return scored(self.model_, rows(X), self.classes_, self.columns_, **beside)
