from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.train import Batch

FIRST, LAST = 0.1, 0.6  # of the steps: where the weight begins to rise, and where it is full


class PseudoLabel(DeepAdapter):
    """Pseudo-labels: the network's own decisions on the target are its labels, counting more as training goes on.

    Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the target's cross-entropy, once it has risen (the paper's α_f is 3, on MNIST with few labels).
    threshold : float
        Samples whose highest score is below it do not count; the paper has none.

    Source: Lee (2013), eq. 15 and 16.
    """

    title = "Pseudo-labels"
    cite = "lee2013pseudo"
    space = {"weight": ("log", 0.1, 10), "threshold": ("uniform", 0, 0.99)}

    def __init__(self, weight: float = 1.0, threshold: float = 0.0) -> None:
        self.weight, self.threshold = weight, threshold

    def omega(self, b: Batch) -> Tensor:
        score, label = b.lt.detach().float().softmax(1).max(1)
        sure = (score >= self.threshold).to(score.dtype)
        rise = min(max((b.progress - FIRST) / (LAST - FIRST), 0.0), 1.0)
        return self.weight * rise * (sure * cross_entropy(b.lt.float(), label, reduction="none")).mean()
