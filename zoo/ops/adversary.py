"""A domain classifier: who tells source from target, and how well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

if TYPE_CHECKING:
    from zoo.nets import Net

DROPOUT = 0.5


def discriminator(width: int, *hidden: int, dropout: float = 0.0, outputs: int = 1) -> nn.Sequential:
    """A network from features [n, width] to logits [n] of being source, or [n, outputs].

    >>> discriminator(3, 4, 5)(torch.zeros(2, 3)).shape
    torch.Size([2])
    """
    layers: list[nn.Module] = []
    for i, o in zip((width, *hidden), hidden, strict=False):
        layers += [nn.Linear(i, o), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
    last = hidden[-1] if hidden else width
    return nn.Sequential(*layers, nn.Linear(last, outputs), *([nn.Flatten(0)] if outputs == 1 else []))


def beside(net: Net, width: int, hidden: int = 0, outputs: int = 1) -> nn.Sequential:
    """The discriminator that the literature sets beside a network: every method that names no other has this one.

    Two layers of 1,024 with dropout of a half, weights of Glorot's normal law and biases of 0 (Long et al. 2018, their
    code); beside the networks for small images one layer of 100 as PyTorch draws it (Ganin et al. 2016, figure 4a).

    Parameters
    ----------
    width : of what it reads
    hidden : width of its layers, in place of theirs; 0: theirs
    """
    sizes = tuple(hidden or size for size in net.domains)
    deep = len(sizes) > 1
    found = discriminator(width, *sizes, dropout=DROPOUT if deep else 0.0, outputs=outputs)
    for layer in found if deep else ():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return found


def is_source(logits: Tensor, n: int) -> Tensor:
    """1 for the first `n` rows, which are the source's, and 0 for the others.

    >>> is_source(torch.zeros(3), 1).tolist()
    [1.0, 0.0, 0.0]
    """
    return torch.cat([logits.new_ones(n), logits.new_zeros(len(logits) - n)])


def domain_loss(logits: Tensor, n: int, weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of the domains, source rows first; `weight` [rows] multiplies each row's.

    >>> round(domain_loss(torch.zeros(5), 2).item(), 4)  # log 2, whatever the sizes
    0.6931
    """
    losses = binary_cross_entropy_with_logits(logits, is_source(logits, n), reduction="none")
    return (losses if weight is None else weight * losses).mean()


def domain_losses(logits: Tensor, n: int, ws: Tensor | None = None, wt: Tensor | None = None) -> Tensor:
    """The sum of both domains' mean cross-entropies: each weighs the same, however many rows it has.

    `ws` [n] and `wt` multiply those of the source's and the target's rows.

    >>> logits = torch.tensor([2.0, -2.0, -2.0, -2.0])
    >>> round(domain_losses(logits, 1).item(), 4), round(2 * domain_loss(logits, 1).item(), 4)
    (0.2539, 0.2539)
    """
    return domain_loss(logits[:n], n, ws) + domain_loss(logits[n:], 0, wt)


def domain_accuracy(logits: Tensor, n: int) -> Tensor:
    """Share of rows whose domain is told right, the two domains weighing the same.

    >>> domain_accuracy(torch.tensor([1.0, -1.0, -1.0, -1.0, -1.0]), 1).item()
    1.0
    """
    right = ((logits > 0) == (is_source(logits, n) > 0)).float()
    return (right[:n].mean() + right[n:].mean()) / 2
