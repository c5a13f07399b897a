from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from zoo.adapters.base import Tuning

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Lwf(Tuning):
    """LwF: fine-tuning under which the source's classifier goes on saying of the samples what the source model says.

    A copy of the source's classifier is trained along with the features, at their rate, on the source model's scores,
    softened.

    Parameters
    ----------
    weight : float
        Multiple of the divergence; the paper's λ_o.
    temperature : float
        Divides both logits; the paper's T.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Li and Hoiem (2018), eq. 2 and 3.
    """

    title = "LwF"
    cite = "li2018learning"
    space = {"weight": ("log", 0.1, 10), "rate": ("log", 0.01, 1)}

    def __init__(self, weight: float = 1.0, temperature: float = 2.0, rate: float = 0.3) -> None:
        self.weight, self.temperature, self.rate = weight, temperature, rate

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.source_head_ = copy.deepcopy(net.head)
        return self.source_head_

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": [*net.parameters(), *self.source_head_.parameters()], "rate": self.rate}]

    def omega_batch(self, b: Any, source: Net) -> Tensor:
        with torch.no_grad():
            before = source(b.xl).float()
        return self.weight * distillation(self.source_head_(b.zl).float(), before, self.temperature)


def distillation(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence of softened scores from the teacher's, times T², so that T does not change its strength."""
    log, before = ((x / temperature).log_softmax(1) for x in (logits, teacher))
    return temperature**2 * kl_div(log, before, reduction="batchmean", log_target=True)
