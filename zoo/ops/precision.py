"""Where bfloat16 is not enough."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def full(X: Tensor) -> AbstractContextManager[object]:
    """A block in which products of X keep X's precision, whatever autocast says.

    Under autocast a product of float32 is bfloat16: Gram matrices lose all but two digits, and CUDA decomposes none.

    >>> X = torch.ones(2, 2)
    >>> with torch.autocast("cpu", torch.bfloat16), full(X):
    ...     (X @ X).dtype
    torch.float32
    """
    return torch.autocast("cpu" if X.is_meta else X.device.type, enabled=False)  # meta has no autocast
