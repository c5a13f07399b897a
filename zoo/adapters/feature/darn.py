from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters._per_source import PerSource

if TYPE_CHECKING:
    from zoo.train import Batch


class Darn(PerSource):
    """DARN: each source has a discriminator against the target, and sources near the target in it count most.

    Of ``g_i = γ (L_i + weight · D_i)``, the sources' classification and discriminators' losses, the loss is the least
    of ``α'g + |α|`` over weights α of sum 1: sources of large losses get less, or none. The weights are among the
    learning curves, ``source_0`` and on. With one source the loss is ``L + weight · D``. A batch holds an equal part of
    each source.

    Parameters
    ----------
    weight : float
        Of a discriminator's loss, its own learning included; the code's mu.
    gamma : float
        The inverse of the temperature: the larger, the fewer sources count.
    hidden : int
        Width of a hidden layer of the discriminators; 0: they are linear, as in the code for vectors (for images it has
        two layers of 2,048).

    Differs from the code: α in closed form for its bisection, and constant to the gradient, which at the least is the
    same; sources share a pass.

    Source: Wen, Greiner and Schuurmans (2020), sections 4 and 5, and their code (``model.py``, ``module.py``).
    """

    title = "DARN"
    cite = "wen2020domain"
    space = {"weight": ("log", 1e-4, 1), "gamma": ("log", 0.1, 100)}

    def __init__(self, weight: float = 0.01, gamma: float = 1.0, hidden: int = 0) -> None:
        self.weight, self.gamma, self.hidden = weight, gamma, hidden

    def combined(self, losses: Tensor, b: Batch) -> Tensor:
        g = self.gamma * losses
        alpha = aggregated(g.detach())
        if b.watched:
            b.terms |= {f"source_{i}": weight for i, weight in enumerate(alpha)}
        return alpha @ g + alpha.norm()


def aggregated(g: Tensor) -> Tensor:
    """The weights of sum 1 that minimise ``α'g + |α|``: ``max(ν - g, 0)``, ν such that its length is 1, over its sum.

    The weights of the m smallest g are above 0 where the ν that these have alone is above the m-th.

    >>> aggregated(torch.tensor([1.0, 1.0, 9.0])).tolist()
    [0.5, 0.5, 0.0]
    """
    z = g.double() - g.min()
    ordered = z.sort().values
    m = torch.arange(1, len(z) + 1, dtype=z.dtype, device=z.device)
    total, squares = ordered.cumsum(0), ordered.square().cumsum(0)
    inside = total.square() - m * (squares - 1)
    nu = (total + inside.clamp_min(0).sqrt()) / m
    kept = ((inside >= 0) & (nu > ordered)).sum()
    alpha = (nu.gather(0, (kept - 1)[None]) - z).clamp_min(0)
    return (alpha / alpha.sum()).to(g.dtype)
