"""scikit-learn's estimators and transformers: ``sklearn:svm.SVC``, ``sklearn:decomposition.PCA``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.wrappers.base import Wrapper, rows, scored

if TYPE_CHECKING:
    from zoo.task import Task


class _Sklearn(Wrapper):
    root = "sklearn"
    distribution = "scikit-learn"
    cite = "pedregosa2011scikit"


class Classifier(_Sklearn):
    """A classifier of scikit-learn, trained on the source alone."""

    of = ("ClassifierMixin",)
    family = "baseline"
    needs = {"Xs", "ys"}

    def fit(self, task: Task) -> Classifier:
        self.columns_ = task.columns
        self.model_ = self.made(**self.given).fit(rows(task.Xs), task.ys.cpu().numpy())
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return scored(self.model_, rows(X), self.model_.classes_, self.columns_)


class Regressor(Classifier):
    """A regressor of scikit-learn, trained on the source alone."""

    of = ("RegressorMixin",)
    tasks = {"regression"}

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return torch.as_tensor(self.model_.predict(rows(X))).reshape(-1, 1)


class Transformer(_Sklearn, Mapping):
    """A transformer of scikit-learn, fitted on both domains together; the base classifier sees what it makes."""

    of = ("TransformerMixin",)

    def fit_map(self, task: Task) -> None:
        self.map_ = self.made(**self.given).fit(rows(torch.cat([task.Xs.flatten(1), task.Xt.flatten(1)])))

    def source(self, X: Tensor) -> Tensor:
        return torch.as_tensor(self.map_.transform(rows(X)), dtype=X.dtype, device=X.device)

    target = source
