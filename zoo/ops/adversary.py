"""A domain classifier: who tells source from target, and how well."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits


def discriminator(width: int, hidden: int) -> nn.Module:
    """A network of one hidden layer from features [n, width] to logits [n] of being source."""
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Flatten(0))


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
    return binary_cross_entropy_with_logits(logits, is_source(logits, n), weight)


def domain_losses(logits: Tensor, n: int) -> Tensor:
    """The sum of both domains' mean cross-entropies: each weighs the same, however many rows it has.

    >>> logits = torch.tensor([2.0, -2.0, -2.0, -2.0])
    >>> round(domain_losses(logits, 1).item(), 4), round(2 * domain_loss(logits, 1).item(), 4)
    (0.2539, 0.2539)
    """
    return domain_loss(logits[:n], n) + domain_loss(logits[n:], 0)


def domain_accuracy(logits: Tensor, n: int) -> Tensor:
    """Share of rows whose domain is told right, the two domains weighing the same.

    >>> domain_accuracy(torch.tensor([1.0, -1.0, -1.0, -1.0, -1.0]), 1).item()
    1.0
    """
    right = ((logits > 0) == (is_source(logits, n) > 0)).float()
    return (right[:n].mean() + right[n:].mean()) / 2
