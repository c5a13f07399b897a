from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.adapters.base import Adapter

if TYPE_CHECKING:
    from zoo.task import Task


class TargetOnly(Adapter):
    """Trains on all labels of the target's adapt part: what adaptation can hope for (oracle)."""

    needs = {"Xt", "yt"}
    tasks = {"classification", "regression"}
    sparse = True
    learner = "both"

    def fit(self, task: Task) -> TargetOnly:
        self.model_ = task.learner.fit(task.Xt, task.yt, task.n_classes)
        return self
