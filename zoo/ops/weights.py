"""Weights of samples."""

from __future__ import annotations

import torch
from torch import Tensor


def of_mean_1(w: Tensor) -> Tensor:
    """Non-negative weights over their mean; all 0 stay so.

    >>> of_mean_1(torch.tensor([1.0, 3.0])).tolist(), of_mean_1(torch.zeros(2)).tolist()
    ([0.5, 1.5], [0.0, 0.0])
    """
    return w / w.mean().clamp_min(torch.finfo(w.dtype).tiny)
