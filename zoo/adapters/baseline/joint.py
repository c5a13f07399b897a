from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.adapters.base import Adapter
from zoo.ops.rows import joined

if TYPE_CHECKING:
    from zoo.task import Task


class Joint(Adapter):
    """Trains on the source and all labels of the target's adapt part together (oracle)."""

    needs = {"Xs", "ys", "Xt", "yt"}
    tasks = {"classification", "regression"}
    sparse = True
    learner = "both"

    def fit(self, task: Task) -> Joint:
        X, y = joined(task.Xs, task.Xt), torch.cat([task.ys, task.yt])
        self.model_ = task.learner.fit(X, y, task.n_classes)
        return self
