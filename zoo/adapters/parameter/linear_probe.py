from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.adapters.base import Tuning

if TYPE_CHECKING:
    from zoo.nets import Net


class LinearProbe(Tuning):
    """Trains the source model's classifier on, on features that stay as the source left them.

    Parameters
    ----------
    rate : float
        Learning rate, as a multiple of the suite's.
    """

    cite = "yosinski2014transferable"
    space = {"rate": ("log", 0.1, 10)}

    def __init__(self, rate: float = 1.0) -> None:
        self.rate = rate

    def groups(self, net: Net) -> list[dict[str, Any]]:
        return [{"params": list(net.head.parameters()), "rate": self.rate}]
