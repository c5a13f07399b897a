from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import beside, domain_accuracy, domain_loss
from zoo.ops.multilinear import certainty, outer, random_outer
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Cdan(DeepAdapter):
    """CDAN: DANN whose discriminator sees features and class scores multiplied, each feature with each class.

    Source and target pass the network one after the other, as in the authors' code for Office-31. The scores condition
    the discriminator only: no gradient passes through them; through the entropy's weights it does, reversed.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    entropy : bool
        Weigh samples by ``1 + exp(-H)`` of their scores (CDAN+E), so that certain ones count more; within each domain
        the weights have mean 1.
    max_dim : int
        Above so many products the map is a random one of `random_dim` dimensions, with the same inner products on
        average; 0: never, as in the authors' code unless it is asked to (the paper says 4,096).
    random_dim : int
        Its dimensions.
    hidden : int
        Width of the discriminator's layers; 0: the literature's beside the suite's network.

    Source: Long et al. (2018), eq. 5 to 8, and their code.
    """

    title = "CDAN"
    cite = "long2018conditional"
    space = {"weight": ("log", 0.1, 10)}

    def __init__(
        self,
        weight: float = 1.0,
        entropy: bool = True,
        max_dim: int = 0,
        random_dim: int = 1024,
        hidden: int = 0,
    ) -> None:
        self.weight, self.entropy, self.max_dim, self.random_dim = weight, entropy, max_dim, random_dim
        self.hidden = hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        products = net.width * task.n_classes
        width = products if not self.max_dim or products <= self.max_dim else self.random_dim
        self.discriminator_ = beside(net, width, self.hidden)
        if width != products:
            for name, size in (("features", net.width), ("scores", task.n_classes)):
                self.discriminator_.register_buffer(f"random_{name}", torch.randn(size, width))
        return self.discriminator_

    def multiplied(self, z: Tensor, p: Tensor) -> Tensor:
        """The multilinear map of features and class scores."""
        d = self.discriminator_
        if hasattr(d, "random_features"):
            return random_outer(z, p, d.random_features, d.random_scores)  # type: ignore[arg-type]
        return outer(z, p)

    def omega(self, b: Batch) -> Tensor:
        n = len(b.zs)
        z = reverse(torch.cat([b.zs, b.zt]), self.weight * warm_up(b.progress))
        p = torch.cat([b.ls, b.lt]).float().softmax(1)
        logits = self.discriminator_(self.multiplied(z, p.detach()))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        return domain_loss(
            logits, n, certainty(reverse(p, self.weight * warm_up(b.progress)), n) if self.entropy else None
        )
