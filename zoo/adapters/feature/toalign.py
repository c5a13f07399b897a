from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.feature.cdan import Cdan
from zoo.ops.adversary import domain_accuracy, domain_loss
from zoo.ops.multilinear import certainty
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.train import Batch


class Toalign(Cdan):
    """ToAlign: CDAN that aligns the target with that part of the source's features that its class depends on.

    A source sample's features are multiplied by the gradient of its class's logit, rescaled to the norm they had.
    Source and target pass the network together, as in CDAN.

    Parameters
    ----------
    weight, entropy, max_dim, random_dim, hidden
        Those of ``cdan``.

    Source: Wei et al. (2021), eq. 3 to 6.
    """

    cite = "wei2021toalign"

    def omega(self, b: Batch) -> Tensor:
        n = len(b.zs)
        z = reverse(torch.cat([decisive(b), b.zt]), self.weight * warm_up(b.progress))
        p = torch.cat([b.ls, b.lt]).detach().softmax(1)
        logits = self.discriminator_(self.multiplied(z, p))
        if b.watched:
            b.terms["domain_accuracy"] = domain_accuracy(logits.detach(), n)
        return domain_loss(logits, n, certainty(p, n) if self.entropy else None)


def decisive(b: Batch) -> Tensor:
    """Source features times the gradient of the true class's logit, at their old norm; the gradient is a constant."""
    z = b.zs.detach().requires_grad_()
    with torch.enable_grad():
        (w,) = torch.autograd.grad(b.net.head(z).gather(1, b.ys[:, None]).sum(), z)
    part = w * b.zs
    tiny = torch.finfo(part.dtype).eps
    scale = b.zs.detach().norm(dim=1, keepdim=True) / part.detach().norm(dim=1, keepdim=True).clamp_min(tiny)
    return scale * part
