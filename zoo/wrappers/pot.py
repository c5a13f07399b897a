"""POT's transports between domains, by their names in ``ot.da``: ``pot:SinkhornTransport``, ``pot:LinearTransport``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.wrappers.base import Wrapper, rows

if TYPE_CHECKING:
    from zoo.task import Task


class Pot(Wrapper, Mapping):
    """A POT transport moves the source's samples; the suite's base classifier is trained where they arrive.

    Target samples stay where they are; of the source held-out ones move as POT moves what it was not fitted on.
    """

    root = "ot.da"
    modules = False
    distribution = "pot"
    cite = "flamary2021pot"
    of = ("BaseTransport", "MappingTransport")

    def fit_map(self, task: Task) -> None:
        self.map_ = self.made(**self.given).fit(Xs=rows(task.Xs), ys=task.ys.cpu().numpy(), Xt=rows(task.Xt))

    def source(self, X: Tensor) -> Tensor:
        return torch.as_tensor(self.map_.transform(Xs=rows(X)), dtype=X.dtype, device=X.device)
