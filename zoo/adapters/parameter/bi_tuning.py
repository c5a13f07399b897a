from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from zoo.adapters.base import Tuning
from zoo.errors import Unsupported

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class BiTuning(Tuning):
    """Bi-tuning: fine-tuning with two contrasts beside the cross-entropy: of classifiers and samples, and of samples.

    Keys come from a network that follows the trained one slowly. A sample's features, and its class's keys among a
    batch's, are to be closest to the weights of its class's classifier, bias included; those are constants, so that the
    gradient is the features'. And its class's keys are to be closest to its projected features. (The authors keep a
    queue of 40 keys a class, random at first; the few labelled samples fit into a batch.)

    Parameters
    ----------
    weight : float
        Multiple of both contrasts.
    temperature : float
        Divides the cosines.
    momentum : float
        What the slow network keeps of itself in a step.
    dim : int
        Width of the projection.
    rate : float
        Learning rate, as a multiple of the suite's.

    Source: Zhong et al. (2020), eq. 3 to 6, and the code of thuml's Transfer-Learning-Library.
    """

    title = "Bi-tuning"
    cite = "zhong2020bi"
    space = {"weight": ("log", 0.1, 10), "rate": ("log", 0.01, 1)}

    def __init__(
        self,
        weight: float = 1.0,
        temperature: float = 0.07,
        momentum: float = 0.999,
        dim: int = 128,
        rate: float = 0.3,
    ) -> None:
        self.weight, self.temperature, self.momentum, self.dim = weight, temperature, momentum, dim
        self.rate = rate

    def setup(self, net: Net, task: Task) -> nn.Module:
        if not isinstance(net.head, nn.Linear):
            raise Unsupported("the network's classifier is not a linear layer")
        self.project_ = nn.Linear(net.width, self.dim, device=net.head.weight.device)
        self.slow_ = nn.ModuleList([copy.deepcopy(net), copy.deepcopy(self.project_)]).requires_grad_(False)
        return self.project_

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": list(net.parameters()), "rate": self.rate}]

    def omega_batch(self, b: Any, source: Net) -> Tensor:
        slow: Any = self.slow_[0]
        project: Any = self.slow_[1]
        with torch.no_grad():
            for mine, its in ((b.net, slow), (self.project_, project)):
                for p, q in zip(mine.parameters(), its.parameters(), strict=True):
                    q.lerp_(p, 1 - self.momentum)
                for mine_, its_ in zip(mine.buffers(), its.buffers(), strict=True):
                    its_.copy_(mine_)
            slow.eval()
            k = slow.features(b.xl)
            keys, projected = longer(k.float()), normalize(project(k).float(), dim=1)
            head = b.net.head
            weights = normalize(torch.cat([head.weight, head.bias[:, None]], 1), dim=1)[b.yl]  # of each sample's class
        same = b.yl[:, None] == b.yl
        own = (longer(b.zl.float()) * weights).sum(1, keepdim=True)
        of_class = torch.cat([own, weights @ keys.T], 1) / self.temperature
        of_samples = normalize(self.project_(b.zl).float(), dim=1) @ projected.T / self.temperature
        return self.weight * (
            contrast(of_class, torch.cat([torch.ones_like(same[:, :1]), same], 1)) + contrast(of_samples, same)
        )


def longer(Z: Tensor) -> Tensor:
    """Rows with a 1 at their end, which the bias multiplies, at length 1."""
    return normalize(torch.cat([Z, Z.new_ones(len(Z), 1)], 1), dim=1)


def contrast(cosines: Tensor, same: Tensor) -> Tensor:
    """Mean over rows, and over the keys of a row's class, of minus the log-softmax over all keys."""
    weight = same.to(cosines.dtype)
    return -((cosines.log_softmax(1) * weight).sum(1) / weight.sum(1)).mean()
