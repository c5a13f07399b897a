"""What mixed precision must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def in_float32(f: Callable[..., Any]) -> Callable[..., Any]:
    """Compute f of tensors without autocast: differences cancel in bfloat16, and CUDA has no linear algebra in it.

    Autocast makes bfloat16 of every matrix product, of float32 rows as well.
    """

    @wraps(f)
    def exact(X: Tensor, *args: Any) -> Any:
        with torch.autocast("cpu" if X.is_meta else X.device.type, enabled=False):  # meta has no autocast
            return f(*(a.float() if isinstance(a, Tensor) and a.dtype == torch.bfloat16 else a for a in (X, *args)))

    return exact


@in_float32
def scored(logits: Tensor) -> Tensor:
    """Class scores of logits [n, C]: CUDA's autocast makes float32 of a softmax, a CPU's leaves it in bfloat16."""
    return logits.softmax(1)
