from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from zoo import nets
from zoo.adapters.base import Tuning
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Surgical(Tuning):
    """Surgical fine-tuning: one block of the source model is tuned, and all the others stay.

    Which one is best depends on the shift: the first for inputs that look different, the last for labels that mean
    something else. ``auto`` takes the one whose gradient on the labelled target samples is largest beside its weights
    (the paper's relative gradient norm, there a rate for each block).

    Parameters
    ----------
    block : {'auto', 'first', 'middle', 'last', 'head'}
        Which one; ``last`` is the one below the classifier.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Lee et al. (2023), sections 2 and 4.
    """

    title = "Surgical fine-tuning"
    cite = "lee2023surgical"
    host_sync = True
    space = {"rate": ("log", 0.01, 10)}

    def __init__(self, block: str = "auto", rate: float = 1.0) -> None:
        self.block, self.rate = block, rate

    def setup(self, net: Net, task: Task) -> None:
        blocks = [*nets.blocks(net), list(net.head.parameters())]
        places = {"first": 0, "middle": (len(blocks) - 1) // 2, "last": len(blocks) - 2, "head": len(blocks) - 1}
        if self.block not in ("auto", *places):
            raise BadInput(f"surgical: block is 'auto', {', '.join(map(repr, places))}; got {self.block!r}")
        if self.block == "auto":
            self.chosen_ = int(relative_gradients(net, task.Xl, task.yl, blocks).argmax())
        else:
            self.chosen_ = places[self.block]

    def groups(self, net: Net) -> list[dict[str, Any]]:
        blocks = [*nets.blocks(net), list(net.head.parameters())]
        return [{"params": blocks[self.chosen_], "rate": self.rate}]


def relative_gradients(net: Net, X: torch.Tensor, y: torch.Tensor, blocks: list[list[torch.nn.Parameter]]) -> Any:
    """Norm of the loss's gradient over the norm of the parameters [blocks], in evaluation mode."""
    net.eval()
    parameters = [p for block in blocks for p in block]
    held = [p.requires_grad for p in parameters]
    for p in parameters:
        p.requires_grad_(True)
    total = [torch.zeros_like(p) for p in parameters]
    device = parameters[0].device  # photographs may have stayed on the host
    for x, labels in zip(X.split(net.batch), y.split(net.batch), strict=True):
        loss = cross_entropy(net(x.to(device)).float(), labels, reduction="sum") / len(X)
        for sum_, g in zip(total, torch.autograd.grad(loss, parameters), strict=True):
            sum_ += g
    for p, before in zip(parameters, held, strict=True):
        p.requires_grad_(before)
    found, start = [], 0
    for block in blocks:
        grads = total[start : start + len(block)]
        start += len(block)
        size = torch.stack([p.detach().norm() for p in block]).norm()
        found.append(torch.stack([g.norm() for g in grads]).norm() / size.clamp_min(1e-12))
    return torch.stack(found)
