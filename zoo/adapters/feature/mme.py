from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from zoo.adapters.base import DeepAdapter
from zoo.ops.reversal import reverse

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Mme(DeepAdapter):
    """MME: class prototypes move towards the target where its scores are uncertain, the features towards prototypes.

    Semi-supervised: it needs labelled target samples. The classifier is a cosine one; on unlabelled target samples it
    maximises the entropy of the scores, and the features, by reversed gradients, minimise it. Source and target pass
    the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of the entropy; the paper's λ.
    temperature : float
        Divides the cosines; the paper's T.

    Source: Saito et al. (2019), eq. 2 to 4.
    """

    needs = {"Xs", "ys", "Xt", "Xl", "yl"}
    cite = "saito2019semi"
    space = {"weight": ("log", 0.01, 1), "temperature": ("log", 0.02, 0.2)}

    def __init__(self, weight: float = 0.1, temperature: float = 0.05) -> None:
        self.weight, self.temperature = weight, temperature

    def setup(self, net: Net, task: Task) -> Any:
        net.head = Cosine(net.width, task.n_classes, self.temperature)

    def omega(self, b: Batch) -> Tensor:
        log = b.net.head(reverse(b.zt, 1.0)).float().log_softmax(1)
        return self.weight * (log.exp() * log).sum(1).mean()


class Cosine(nn.Module):
    """Logits are cosines of features and prototypes, over a temperature."""

    def __init__(self, width: int, n_classes: int, temperature: float) -> None:
        super().__init__()
        self.weight, self.temperature = nn.Parameter(torch.randn(n_classes, width)), temperature

    def forward(self, z: Tensor) -> Tensor:
        return linear(normalize(z, dim=1), normalize(self.weight, dim=1)) / self.temperature
