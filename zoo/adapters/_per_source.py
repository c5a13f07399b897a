"""What networks have in common that tell each of several sources from the target by a discriminator of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoo.adapters.base import DeepAdapter
from zoo.errors import BadInput
from zoo.ops.adversary import discriminator, domain_losses
from zoo.ops.reversal import reverse
from zoo.ops.sources import parts

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class PerSource(DeepAdapter):
    """Each source has a classification loss and, against the target, a discriminator's loss; `combined` makes one of
    all, in place of the mean classification loss. The gradient of the discriminators reaches the features reversed.
    """

    needs: ClassVar[set[str]] = {"Xs", "ys", "ds", "Xt"}
    weight: float
    gamma: float
    hidden: int

    def combined(self, losses: Tensor, b: Batch) -> Tensor:
        """The whole loss of the sources' ``L_i + weight · D_i`` [n_sources], two and more of them."""
        raise NotImplementedError

    def setup(self, net: Net, task: Task) -> nn.Module:
        if self.gamma <= 0:
            name = type(self).__module__.rpartition(".")[2]
            raise BadInput(f"{name}: gamma is above 0, got {self.gamma}")
        layers = [self.hidden] if self.hidden else []
        made = [discriminator(net.width, *layers) for _ in range(task.n_sources)]
        self.discriminators_ = nn.ModuleList(made)
        return self.discriminators_

    def omega(self, b: Batch) -> Tensor:
        classified = torch.stack(
            [cross_entropy(*of) for of in zip(parts(b.ls, b.n_sources), parts(b.ys, b.n_sources), strict=True)]
        )
        zt = reverse(b.zt, 1.0)
        told = torch.stack(
            [
                domain_losses(of(torch.cat([z, zt])), len(z))
                for of, z in zip(self.discriminators_, parts(reverse(b.zs, 1.0), b.n_sources), strict=True)
            ]
        )
        if b.watched:
            b.terms |= {f"domain_{i}": loss.detach() for i, loss in enumerate(told)}
        losses = (classified + self.weight * told).float()
        whole = self.combined(losses, b) if len(losses) > 1 else losses.sum()
        return whole - classified.mean()  # which the objective holds already, as parts are equal
