from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters._per_source import PerSource

if TYPE_CHECKING:
    from zoo.train import Batch


class Mdan(PerSource):
    """MDAN: each source has a discriminator against the target; the worst sources count most, by a soft maximum.

    The loss is ``log Σ_i exp(γ (L_i + weight · D_i)) / γ`` of the sources' classification losses L_i and their
    discriminators' losses D_i (both domains' mean cross-entropies, added), whose gradient reaches the features
    reversed; this is the paper's "soft" version, its code's default. With one source it is ``L + weight · D``. A batch
    holds an equal part of each source.

    Parameters
    ----------
    weight : float
        Of a discriminator's loss, its own learning included; the code's mu.
    gamma : float
        How sharp the maximum is.
    hidden : int
        Width of a hidden layer of the discriminators; 0: they are linear, as in the code.

    Differs from the code: the discriminators' two outputs are one logit, of the same functions; sources share a pass.

    Source: Zhao et al. (2018), section 4, and their code (``main_amazon.py``, ``model.py``).
    """

    title = "MDAN"
    cite = "zhao2018adversarial"
    space = {"weight": ("log", 1e-4, 1), "gamma": ("log", 0.1, 100)}

    def __init__(self, weight: float = 0.01, gamma: float = 10.0, hidden: int = 0) -> None:
        self.weight, self.gamma, self.hidden = weight, gamma, hidden

    def combined(self, losses: Tensor, b: Batch) -> Tensor:
        return (self.gamma * losses).logsumexp(0) / self.gamma
