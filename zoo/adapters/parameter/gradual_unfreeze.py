from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import nets
from zoo.adapters.base import Tuning
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net


class GradualUnfreeze(Tuning):
    """Gradual unfreezing: the classifier is tuned first, then the blocks below it join in turn, at lower rates.

    Parameters
    ----------
    share : float
        Of the steps, after which all blocks move.
    rate : float
        Learning rate of the classifier, as a multiple of the suite's.
    decay : float
        Rate of a block, as a multiple of that of the block above; the paper's is 1 / 2.6.

    Source: Howard and Ruder (2018), sections 3.2 and 3.3.
    """

    title = "Gradual unfreezing"
    cite = "howard2018universal"
    space = {"share": ("uniform", 0.1, 0.9), "rate": ("log", 0.1, 10), "decay": ("uniform", 0.1, 1)}

    def __init__(self, share: float = 0.5, rate: float = 1.0, decay: float = 0.3846) -> None:
        self.share, self.rate, self.decay = share, rate, decay

    def groups(self, net: Net) -> list[dict[str, Any]]:
        if not 0 <= self.share < 1:
            raise BadInput(f"gradual_unfreeze: share is at least 0 and below 1, got {self.share}")
        below = nets.blocks(net)[::-1]
        starts = [self.share * (i + 1) / len(below) for i in range(len(below))]
        blocks = zip([list(net.head.parameters()), *below], [0.0, *starts], strict=True)
        return [{"params": p, "rate": self.rate * self.decay**i, "start": s} for i, (p, s) in enumerate(blocks)]
