from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.adapters.base import Tuning
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net


class LpFt(Tuning):
    """LP-FT: first a linear probe, then fine-tuning: features are not distorted by a classifier that fits them badly.

    Parameters
    ----------
    probe : float
        Share of the steps that is the probe's.
    rate : float
        Learning rate of the classifier, as a multiple of the suite's.
    lower : float
        Rate of the features, as a multiple of the classifier's.

    Source: Kumar et al. (2022), section 3.4.
    """

    title = "LP-FT"
    cite = "kumar2022fine"
    space = {"probe": ("uniform", 0.1, 0.9), "rate": ("log", 0.1, 10), "lower": ("log", 0.01, 1)}

    def __init__(self, probe: float = 0.5, rate: float = 1.0, lower: float = 0.3) -> None:
        self.probe, self.rate, self.lower = probe, rate, lower

    def groups(self, net: Net) -> list[dict[str, Any]]:
        if not 0 <= self.probe <= 1:
            raise BadInput(f"lp_ft: probe is a share of the steps, between 0 and 1, got {self.probe}")
        head = list(net.head.parameters())
        own = set(map(id, head))
        below = [p for p in net.parameters() if id(p) not in own]
        return [
            {"params": head, "rate": self.rate},
            {"params": below, "rate": self.rate * self.lower, "start": self.probe},
        ]
