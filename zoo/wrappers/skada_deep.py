"""SKADA's deep methods: ``skada:deep.DANN``, ``skada:deep.DeepCoral``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo import nets
from zoo.train import seeded
from zoo.wrappers.base import Wrapper, takes

if TYPE_CHECKING:
    from zoo.task import Task


class Deep(Wrapper):
    """A deep method of SKADA on the suite's network, with its first weights, batch size, optimiser, rate and steps.

    skorch trains in whole passes, to which the steps are rounded up, and at a constant rate, whatever the schedule.
    """

    root = "skada.deep"
    modules = False
    distribution = "skada"
    extra = "skada"
    cite = "lalou2024skada"
    learner = "net"
    gives = ("module", "layer_name", "num_features")

    def fit(self, task: Task) -> Deep:
        Xs, Xt, learner, budget = task.Xs.float(), task.Xt.float(), task.learner, task.learner.budget
        with seeded("init", learner.seed):
            net = nets.build(learner.net, tuple(Xs.shape[1:]), task.n_classes, **learner.backbone)
        batch = min(budget.batch_size, len(Xs), len(Xt))
        how: dict[str, Any] = {"lr": budget.learning_rate, "optimizer__weight_decay": budget.weight_decay, "verbose": 0}
        how |= {"batch_size": batch, "max_epochs": -(-budget.steps // (max(len(Xs), len(Xt)) // batch))}
        how |= {"optimizer": torch.optim.Adam if budget.optimiser == "adam" else torch.optim.SGD, "train_split": None}
        how |= {"device": task.device, **({"num_features": net.width} if takes(self.made, "num_features") else {})}
        y, domains = np.append(task.ys.cpu(), np.full(len(Xt), -1)), np.repeat([1, -2], [len(Xs), len(Xt)])
        self.model_ = self.made(_Split(net), "seen", **self.given, **how)
        self.model_.fit(torch.cat([Xs, Xt]).cpu().numpy(), y, domains)
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return torch.as_tensor(self.model_.predict_proba(X.cpu().float().numpy(), np.full(len(X), -2)))


class _Split(nn.Module):
    """A network whose features pass a layer with a name, by which SKADA finds them."""

    def __init__(self, net: nets.Net) -> None:
        super().__init__()
        self.net, self.seen = net, nn.Identity()

    def forward(self, x: Tensor, sample_weight: Any = None) -> Tensor:
        return self.net.head(self.seen(self.net.features(x)))
