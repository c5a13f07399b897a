from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters._streaming import Streaming, by_batch, entropy, moving, norms, optimiser

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Sar(Streaming):
    """SAR: entropy of sure samples falls, by steps towards where it is flat; a collapse starts anew from the source.

    Source-free. The scales and shifts of normalisation layers move, batch norm under each batch's own statistics.
    Samples whose entropy is below ``margin·ln C`` count; the step is that of the gradient at the point `rho` uphill,
    where those count that are still below. Where the running mean of the loss falls under `reset`, all is as at the
    beginning. A batch is predicted before its step.

    The suite's optimiser and rate stand in place of SGD with momentum .9 at .00025. As in the authors' code the last
    stage of a ResNet (``layer4``) stays; networks without one move all their norms. `reset` is theirs for 1000 classes.

    Source: Niu et al. (2023), eq. 2 to 4 and section 3.2, and their code.
    """

    deterministic = True
    title = "SAR"
    cite = "niu2023towards"
    space = {"margin": ("uniform", 0.1, 1.0), "rho": ("log", 0.005, 0.5)}

    def __init__(self, margin: float = 0.4, rho: float = 0.05, reset: float = 0.2, decay: float = 0.9) -> None:
        self.margin = margin
        self.rho = rho
        self.reset = reset
        self.decay = decay

    def begin(self, net: Net, task: Task) -> None:
        top = {m for name, m in net.named_modules() if "layer4" in name}
        self.moving_ = moving(net, [m for m in norms(net) if m not in top])
        by_batch(net)
        self.opt_ = optimiser(self.moving_, task)
        self.mean_: float | None = None
        self.limit_ = self.margin * math.log(task.n_classes)
        self.start_ = copy.deepcopy((net.state_dict(), self.opt_.state_dict()))

    def logits(self, X: Tensor) -> Tensor:
        found = self.model_(X)
        h = entropy(found)
        sure = h < self.limit_
        moves = uphill(mean_of(h, sure), self.moving_, self.rho)
        again = entropy(self.model_(X))
        loss = mean_of(again, sure & (again < self.limit_))
        self.opt_.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            for p, move in zip(self.moving_, moves, strict=True):
                p.sub_(move)
        self.opt_.step()
        if bool((sure & (again < self.limit_)).any()):
            value = float(loss.detach())
            self.mean_ = value if self.mean_ is None else self.decay * self.mean_ + (1 - self.decay) * value
        if self.mean_ is not None and self.mean_ < self.reset:
            net, opt = copy.deepcopy(self.start_)
            self.model_.load_state_dict(net)
            self.opt_.load_state_dict(opt)
            self.mean_ = None
        return found


def mean_of(values: Tensor, which: Tensor) -> Tensor:
    """The mean of some values; 0, with no gradient, of none.

    >>> mean_of(torch.tensor([1.0, 3.0, 9.0]), torch.tensor([True, True, False])).item()
    2.0
    """
    w = which.to(values.dtype)
    return (w * values).sum() / w.sum().clamp(min=1)


def uphill(loss: Tensor, parameters: list[torch.nn.Parameter], rho: float) -> list[Tensor]:
    """Move parameters by `rho` along the gradient of a loss (Foret et al. 2021); returns by how much each."""
    gradients = torch.autograd.grad(loss, parameters)
    norm = torch.stack([g.norm() for g in gradients]).norm()
    moves = [g * (rho / (norm + 1e-12)) for g in gradients]
    with torch.no_grad():
        for p, move in zip(parameters, moves, strict=True):
            p.add_(move)
    return moves
