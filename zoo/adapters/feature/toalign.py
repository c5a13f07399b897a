from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.base import DeepAdapter
from zoo.ops.adversary import discriminator, domain_accuracy, domain_loss
from zoo.ops.multilinear import certainty
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Toalign(DeepAdapter):
    """ToAlign: aligns the target's class scores with those of the part of the source's features that its class needs.

    A source sample's features are multiplied by the gradient of its class's logit, rescaled to the norm they had; a
    discriminator reads the class scores of that part, and of the target's whole features. As in the authors' code it
    reads scores: features that were multiplied have signs that the target's, after a ReLU, never have, and a
    discriminator of them is right whatever the network does.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up.
    entropy : bool
        Weigh samples by their certainty, as in CDAN+E.
    hidden : int
        Width of the discriminator's hidden layer.

    Source: Wei et al. (2021), eq. 3 to 6.
    """

    forward = "joint"
    cite = "wei2021toalign"
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, entropy: bool = True, hidden: int = 256) -> None:
        self.weight, self.entropy, self.hidden = weight, entropy, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        self.discriminator_ = discriminator(task.n_classes, self.hidden)
        return self.discriminator_

    def omega(self, b: Batch) -> Tensor:
        n = len(b.zs)
        p = torch.cat([b.net.head(decisive(b)), b.lt]).float().softmax(1)
        logits = self.discriminator_(reverse(p, self.weight * warm_up(b.progress)))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        return domain_loss(logits, n, certainty(p.detach(), n) if self.entropy else None)


def decisive(b: Batch) -> Tensor:
    """Source features times the gradient of the true class's logit, at their old norm; the gradient is a constant."""
    z = b.zs.detach().requires_grad_()
    with torch.enable_grad():
        (w,) = torch.autograd.grad(b.net.head(z).gather(1, b.ys[:, None]).sum(), z)
    part = w * b.zs
    tiny = torch.finfo(part.dtype).eps
    scale = b.zs.detach().norm(dim=1, keepdim=True) / part.detach().norm(dim=1, keepdim=True).clamp_min(tiny)
    return scale * part
