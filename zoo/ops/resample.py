"""Samples drawn by weights."""

from __future__ import annotations

import torch
from torch import Tensor


def systematic(w: Tensor, offset: float) -> Tensor:
    """Rows [n] drawn by weights w [n] >= 0, ascending: one offset in [0, 1), then equal steps over the summed weights.

    A row of n·w / Σw = c comes floor(c) or ceil(c) times, c on average, so that uniform weights give every row once.
    Independent draws would lose 37 % of the rows even then.

    >>> systematic(torch.tensor([1.0, 1.0, 1.0, 1.0]), 0.3).tolist()
    [0, 1, 2, 3]
    >>> systematic(torch.tensor([0.0, 2.5, 0.5, 1.0]), 0.3).tolist()
    [1, 1, 1, 3]
    """
    w = w.double()
    n = len(w)
    ends = w.cumsum(0) * (n / w.sum())
    at = torch.arange(n, dtype=w.dtype, device=w.device) + offset
    # Sums are rounded: the last step may lie beyond the last end, and then belongs to the last row of any weight.
    return torch.searchsorted(ends, at, right=True).clamp_max(int((w > 0).nonzero().max()))
