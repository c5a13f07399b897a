"""Products of features and class scores, and how certain scores are (Long et al. 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def outer(z: Tensor, p: Tensor) -> Tensor:
    """All products of a row's features [n, d] with its scores [n, c], as [n, c·d].

    The inner product of two rows is that of the features times that of the scores.

    >>> outer(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 5.0]])).tolist()
    [[3.0, 6.0, 5.0, 10.0]]
    """
    return (p.unsqueeze(2) * z.unsqueeze(1)).flatten(1)


def random_outer(z: Tensor, p: Tensor, features: Tensor, scores: Tensor) -> Tensor:
    """``(z Rz) * (p Rp) / sqrt(m)`` [n, m]: inner products are those of `outer`, on average over Gaussian R [., m]."""
    return (z @ features) * (p @ scores) / math.sqrt(features.shape[1])


def certainty(p: Tensor, n: int, plus: float = 1.0) -> Tensor:
    """Weights ``plus + exp(-entropy)`` of scores, with mean 1 over the first `n` rows, and over the others.

    The means are constants to the gradient.

    >>> certainty(torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]]), 2).round(decimals=3).tolist()
    [1.143, 0.857, 1.0]
    """
    weight = plus + torch.exp((p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(1))
    return torch.cat([w / w.detach().mean() for w in (weight[:n], weight[n:])])
