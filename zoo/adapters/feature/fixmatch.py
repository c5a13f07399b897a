from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import cross_entropy

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.train import Batch


class Fixmatch(DeepAdapter):
    """FixMatch: what the network decides surely on a target sample, it is to decide on a distorted view of it.

    Made for images, which are turned, scaled, moved, changed in contrast and lose a square; of vectors a fifth of the
    entries are lost and noise is added (`zoo.ops.augment.distorted`). The other view is the suite's own. As in the
    authors' code source, target and distorted target pass the network as one batch, and predictions are of a running
    mean of the parameters (decay .999); where that takes seven unlabelled samples for a labelled one, here the suite's
    batch holds one.

    Parameters
    ----------
    weight : float
        Multiple of the penalty; the paper's λ_u.
    threshold : float
        What the highest score must reach for a sample to count; the paper's τ.

    Source: Sohn et al. (2020), eq. 4, and their code.
    """

    forward = "joint"
    views = 2
    ema = 0.999
    title = "FixMatch"
    cite = "sohn2020fixmatch"
    space = {"weight": ("log", 0.1, 10), "threshold": ("uniform", 0.5, 0.99)}

    def __init__(self, weight: float = 1.0, threshold: float = 0.95) -> None:
        self.weight, self.threshold = weight, threshold

    def omega(self, b: Batch) -> Tensor:
        score, label = b.lt.detach().float().softmax(1).max(1)
        sure = (score >= self.threshold).to(score.dtype)
        return self.weight * (sure * cross_entropy(b.lt2.float(), label, reduction="none")).mean()
