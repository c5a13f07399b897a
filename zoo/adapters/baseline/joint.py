from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from zoo.adapters.base import Adapter

if TYPE_CHECKING:
    from zoo.task import Task


class Joint(Adapter):
    """Trains on the source and all labels of the target's adapt part together (oracle)."""

    needs = {"Xs", "ys", "Xt", "yt"}
    tasks = {"classification", "regression"}
    learner = "both"

    def fit(self, task: Task) -> Joint:
        X, y = torch.cat([task.Xs, task.Xt]), torch.cat([task.ys, task.yt])
        self.model_ = task.learner.fit(X, y, task.n_classes)
        return self
