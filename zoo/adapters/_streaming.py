"""What methods share that adapt a copy of the source model to target samples as they arrive."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo import train
from zoo.adapters.base import Adapter
from zoo.errors import Unsupported

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Streaming(Adapter):
    """Adapts to a stream and to nothing else; a method says `begin` and `logits`."""

    needs = {"model"}
    family = "feature"
    learner = "net"
    deterministic = False
    stream = True
    predicts = "before"

    def begin(self, net: Net, task: Task) -> None:
        """Make the copy of the source model ready, and what goes along with it."""
        raise NotImplementedError

    def logits(self, X: Tensor) -> Tensor:
        """Logits [n, n_classes] of the next batch; gradients are on."""
        raise NotImplementedError

    def fit(self, task: Task) -> Streaming:
        net = copy.deepcopy(task.model).eval()
        self.amp_ = train.autocast(task.learner.budget.precision, torch.device(task.device))
        self.begin(net, task)
        self.model_ = net
        return self

    @torch.enable_grad()
    def observe(self, X: Tensor) -> Tensor:
        device = next(self.model_.parameters()).device
        with self.amp_():
            return self.logits(X.to(device)).detach().float().softmax(1)

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        raise Unsupported("scores batches as they arrive, and nothing else")


def norms(net: nn.Module) -> list[nn.Module]:
    """Normalisation layers with scales and shifts; Unsupported where there are none."""
    kinds, folded = (_BatchNorm, nn.LayerNorm, nn.GroupNorm), getattr(net, "folded", [])
    found: list[nn.Module] = [m for m in net.modules() if isinstance(m, kinds) and m.weight is not None]
    found = [m for m in found if not any(m is f for f in folded)]  # what a pretrained network has in a norm's place
    if not found:
        raise Unsupported("the network has no normalisation layer")
    return found


def by_batch(net: nn.Module) -> None:
    """Let batch norms use the statistics of the batch at hand, and keep none; other layers stay as they are."""
    folded = getattr(net, "folded", [])
    for m in net.modules():
        if isinstance(m, _BatchNorm) and not any(m is f for f in folded):
            m.track_running_stats, m.running_mean, m.running_var = False, None, None


def moving(net: nn.Module, modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """Parameters of some modules, which alone get gradients from now on."""
    net.requires_grad_(False)
    found = list(dict.fromkeys(p for m in modules for p in m.parameters()))
    for p in found:
        p.requires_grad_(True)
    return found


def optimiser(parameters: list[nn.Parameter], task: Task) -> torch.optim.Optimizer:
    """The suite's, at its rate, which stays: nobody knows how long a stream is."""
    return train.optimiser([{"params": parameters}], task.learner.budget, torch.device(task.device))


def descend(loss: Tensor, opt: torch.optim.Optimizer) -> None:
    """One step down."""
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()


def entropy(logits: Tensor) -> Tensor:
    """Of each row's softmax, in nats.

    >>> entropy(torch.zeros(1, 2)).item()
    0.693...
    """
    return cross_entropy(logits, logits)


def cross_entropy(logits: Tensor, of: Tensor) -> Tensor:
    """``-Σ softmax(of) log softmax(logits)`` of each row.

    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([[9.0, -9.0]])).item()
    0.693...
    """
    return -(of.float().softmax(1) * logits.float().log_softmax(1)).sum(1)


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, share: float) -> None:
    """Move the parameters of a running mean by a share of the way to a network's."""
    for a, p in zip(average.parameters(), net.parameters(), strict=True):
        a.lerp_(p, share)
