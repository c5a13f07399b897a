from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.adapters.base import Tuning
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net


class FineTune(Tuning):
    """Goes on training the source model on the few labelled target samples, at a small rate, smaller for lower layers.

    Parameters
    ----------
    rate : float
        Learning rate of the classifier, as a multiple of the suite's.
    lower : float
        Rate of the layers below, as a multiple of the classifier's.
    trainable : {'all', 'head'}
        ``head`` keeps the lower layers, batch-norm statistics included, as the source left them.
    """

    title = "Fine-tuning"
    cite = "yosinski2014transferable"
    space = {"rate": ("log", 0.01, 1), "lower": ("log", 0.01, 1)}

    def __init__(self, rate: float = 0.3, lower: float = 0.3, trainable: str = "all") -> None:
        self.rate, self.lower, self.trainable = rate, lower, trainable

    def groups(self, net: Net) -> list[dict[str, Any]]:
        if self.trainable not in ("all", "head"):
            raise BadInput(f"fine_tune: trainable is 'all' or 'head', got {self.trainable!r}")
        if self.rate <= 0 or self.lower < 0:
            raise BadInput(f"fine_tune: rate is above 0 and lower at least 0, got {self.rate} and {self.lower}")
        head = list(net.head.parameters())
        groups = [{"params": head, "rate": self.rate}]
        if self.trainable == "all":
            top = {id(p) for p in head}
            below = [p for p in net.parameters() if id(p) not in top]
            groups.append({"params": below, "rate": self.rate * self.lower})
        return groups
