"""What kernel classifiers that match two domains have in common, whatever their features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.ops.joint import unit_rows
from zoo.ops.regularised import adapted

if TYPE_CHECKING:
    from zoo.task import Task


class Expanded(Adapter):
    """A kernel classifier on rows that are centred, mapped, and of length 1; new points: the kernel expansion."""

    learner = "own"
    p: int
    T: int
    landmarks: int

    def expand(self, task: Task, centre: Tensor, basis: Tensor, **weights: float) -> None:
        """Fit it on both domains; the weights are those of `zoo.ops.regularised.adapted`."""
        self.centre_, self.basis_ = centre, basis
        rows = torch.cat([self._embed(task.Xs), self._embed(task.Xt)])
        self.expansion_ = adapted(rows, task.ys, task.n_classes, p=self.p, T=self.T, most=self.landmarks, **weights)
        self.certificate_ = self.expansion_.certificate

    def _embed(self, X: Tensor) -> Tensor:
        return unit_rows((X.flatten(1).double() - self.centre_) @ self.basis_)

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return self.expansion_.scores(self._embed(X))
