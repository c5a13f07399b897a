from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.adapters.base import Adapter

if TYPE_CHECKING:
    from zoo.task import Task


class SourceOnly(Adapter):
    """Trains on the labelled source and is used on the target as it is: the reference of every gain."""

    needs = {"Xs", "ys"}
    tasks = {"classification", "regression"}
    sparse = True
    learner = "both"

    def fit(self, task: Task) -> SourceOnly:
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        return self
