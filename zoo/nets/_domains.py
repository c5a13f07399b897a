"""Batch norm of each domain's own: scale, shift and statistics of the source, and of the target."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

SOURCE, TARGET = 0, 1


class PerDomain(nn.Module):
    """A batch norm and its copy, one for each domain; `switch` says whose turn it is."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norms, self.domain = nn.ModuleList([norm, copy.deepcopy(norm)]), TARGET

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norms[self.domain](x)
        return found


def per_domain(net: nn.Module) -> None:
    """Replace every batch norm of a network by one for each domain, in place."""
    folded = getattr(net, "folded", [])  # these stay in evaluation mode, and so do their copies
    for module in list(net.modules()):
        for name, norm in list(module.named_children()):
            if isinstance(norm, _BatchNorm) and not isinstance(module, nn.ModuleList):
                both = PerDomain(norm)
                setattr(module, name, both)
                if any(norm is f for f in folded):
                    folded.append(both.norms[TARGET])


def switch(net: nn.Module, domain: int) -> None:
    """Let the norms of one domain act."""
    for module in net.modules():
        if isinstance(module, PerDomain):
            module.domain = domain
