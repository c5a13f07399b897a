from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter

if TYPE_CHECKING:
    from zoo.task import Task


class Augment(Adapter):
    """Feature augmentation: a shared copy of the features and one per domain, trained on source and target labels.

    A source sample becomes (x, x, 0), a labelled target sample (x, 0, x); the base classifier, trained on the union,
    shares what both domains agree on in the first block. In kernel terms two samples of one domain are twice as similar
    as samples of different domains. New target points are mapped like target samples. No parameters.

    Source: Daumé III 2007, equations 1 and 2.
    """

    title = "Feature augmentation"
    cite = "daume2007frustratingly"
    needs = {"Xs", "ys", "Xl", "yl"}
    tasks = {"classification", "regression"}
    learner = "base"

    def fit(self, task: Task) -> Augment:
        X = torch.cat([source(task.Xs), target(task.Xl)])
        self.model_ = task.learner.fit(X, torch.cat([task.ys, task.yl]), task.n_classes)
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return self.model_.predict(target(X))

    def predict_source(self, X: Tensor) -> Tensor:
        return self.model_.predict(source(X))


def source(X: Tensor) -> Tensor:
    """(x, x, 0) of source rows."""
    X = X.flatten(1)
    return torch.cat([X, X, torch.zeros_like(X)], 1)


def target(X: Tensor) -> Tensor:
    """(x, 0, x) of target rows."""
    X = X.flatten(1)
    return torch.cat([X, torch.zeros_like(X), X], 1)
