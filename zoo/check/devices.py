"""A GPU's refusals without a GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class OneDevice(TorchDispatchMode):
    """Refuses what a GPU would refuse and the meta device lets pass: CPU tensors in matrix products."""

    MIXED = {torch.ops.aten.index.Tensor, torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        if func not in self.MIXED and any(t.is_meta for t in tensors):
            astray = [t for t in tensors if t.dim() and not t.is_meta]
            if astray:
                made = f"{list(astray[0].shape)} made on the {astray[0].device}"
                raise RuntimeError(f"a tensor {made} meets one of the batch's device in {func}")
        return func(*args, **(kwargs or {}))
