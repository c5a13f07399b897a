"""What networks have in common that learn a source whose samples they weigh anew, several times a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter
from zoo.errors import BadInput
from zoo.ops.weights import of_mean_1
from zoo.train import descend

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Reweighed(DeepAdapter):
    """Weighs source samples by ``weights_``, measured `updates` times a run, evenly: by default those of their classes.

    The weights have mean 1, and are all 1 until they are measured for the first time. The source's classification loss
    is the weighted mean over a batch.
    """

    updates: int

    def begin(self, task: Task, n: int) -> None:
        """Of `setup`: n weights of 1, and what they will be measured on."""
        if self.updates < 1:
            raise BadInput(f"{type(self).__module__.rpartition('.')[2]}: updates is at least 1, got {self.updates}")
        self.data = task.Xs, task.ys, task.Xt  # no trailing underscore: a checkpoint does not hold them
        self.weights_ = torch.ones(n, device=task.device)

    def measure(self, net: Net, b: Batch) -> Tensor:
        """The weights as the network has them now."""
        return class_weights(net, self.data[2])

    def weight_of(self, b: Batch) -> Tensor:
        """Those of a batch's source samples."""
        return self.weights_[b.ys]

    def between(self, b: Batch) -> int:
        """Steps from one measuring to the next."""
        return max(b.budget.steps // self.updates, 1)

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        if b.step and b.step % self.between(b) == 0:
            training = [m for m in net.modules() if m.training]
            self.weights_ = self.measure(net, b)
            for module in training:  # what a suite froze stays in evaluation mode
                module.training = True
        b.ws = of_mean_1(self.weight_of(b))
        return descend(net, opt, b)


def class_weights(net: Net, X: Tensor) -> Tensor:
    """Mean scores of X [n_classes] by the network in evaluation mode, times their number."""
    p = net.predict(X).float().mean(0)
    return p * len(p)
