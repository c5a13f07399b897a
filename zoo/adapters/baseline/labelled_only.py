from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.adapters.base import Adapter

if TYPE_CHECKING:
    from zoo.task import Task


class LabelledOnly(Adapter):
    """Trains on the few labelled target samples alone, as if there were no source."""

    needs = {"Xl", "yl"}
    tasks = {"classification", "regression"}
    sparse = True
    learner = "both"

    def fit(self, task: Task) -> LabelledOnly:
        self.model_ = task.learner.fit(task.Xl, task.yl, task.n_classes)
        return self
