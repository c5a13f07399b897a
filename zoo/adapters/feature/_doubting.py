"""What methods have in common that say themselves what is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.doubt import with_unknown

if TYPE_CHECKING:
    from zoo.task import Task


class Rejecting(DeepAdapter):
    """Knows whether a task is of open label sets, and a last column is due; in others nothing is rejected."""

    def fit(self, task: Task) -> DeepAdapter:
        self.rejects_ = task.columns > task.n_classes
        return super().fit(task)


class Doubting(Rejecting):
    """A network's class scores and, under open label sets, a last column by the doubt of a sample."""

    def doubt(self, z: Tensor, p: Tensor) -> Tensor:
        """How much a sample is doubted [n], from its features and class scores."""
        raise NotImplementedError

    def range(self) -> tuple[float, float, float]:
        """The limit above which a sample is unknown, and what the doubt is at least and at most."""
        return 0.5, 0.0, 1.0

    def predict(self, X: Tensor, A: object = None) -> Tensor:
        with torch.no_grad():
            z = self.model_.embed(X)
            p = self.model_.head(z).float().softmax(1)
            return with_unknown(p, self.doubt(z, p), *self.range()) if self.rejects_ else p


@torch.no_grad()
def unit_rows(module: nn.Module) -> None:
    """Make the rows of a module's weights of length 1."""
    weight: Tensor = module.weight  # type: ignore[assignment]
    weight.div_(weight.norm(dim=1, keepdim=True))
