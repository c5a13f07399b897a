"""How certain scores are, and from a doubt and its limit to scores with a column for `unknown`."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def with_unknown(p: Tensor, doubt: Tensor, limit: float, least: float, most: float) -> Tensor:
    """Class scores [n, K] as [n, K + 1]: the last column rises with the doubt [n], and is highest where above `limit`.

    Up to the limit it is less than the mean of the others; above it, more than a half.

    Parameters
    ----------
    least, most : between which the doubt lies

    >>> p = torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]])
    >>> with_unknown(p, torch.tensor([0.1, 0.6, 0.5]), 0.5, 0.0, 1.0).argmax(1).tolist()
    [0, 2, 0]
    """
    below = (doubt - least) / (limit - least) / (p.shape[1] + 2)
    above = 0.6 + 0.4 * (doubt - limit) / (most - limit)
    u = torch.where(doubt > limit, above, below).clamp(0, 1)[:, None]
    return torch.cat([p * (1 - u), u], 1)


def entropy(p: Tensor) -> Tensor:
    """Of each row of scores, over the largest that it can be.

    >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    return -torch.special.xlogy(p, p).sum(1) / math.log(p.shape[1])


def nats(log: Tensor) -> Tensor:
    """The entropy of each row of log-scores.

    >>> round(nats(torch.zeros(1, 2).log_softmax(1)).item(), 4)  # log 2
    0.6931
    """
    return -(log.exp() * log).sum(1)
