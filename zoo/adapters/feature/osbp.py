from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from zoo.adapters.feature._doubting import Rejecting
from zoo.ops.reversal import reverse

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

TINY = 1e-6  # added to what a logarithm is taken of, as in the authors' code


class Osbp(Rejecting):
    """OSBP: a classifier draws the target's scores of a class `unknown` to one half, the features away from there.

    For open label sets. No source sample is of that class: the classifier learns it from target samples alone, and the
    features, by reversed gradients, decide for each whether it is more or less. There is no warm-up. Source and target
    pass the network one after the other. The network is the suite's; the authors' code has two layers, 1,000 wide, on a
    frozen one.

    Parameters
    ----------
    boundary : float
        What the score of `unknown` is drawn to; the paper's t.
    weight : float
        Strength of the reversed gradient; the classifier itself learns at full rate.

    Source: Saito et al. (2018), section 3, and their code.
    """

    label_sets = {"open", "universal"}
    title = "OSBP"
    cite = "saito2018open"
    space = {"boundary": ("linear", 0.1, 0.9), "weight": ("log", 0.1, 10)}

    def __init__(self, boundary: float = 0.5, weight: float = 1.0) -> None:
        self.boundary, self.weight = boundary, weight

    def setup(self, net: Net, task: Task) -> Any:
        net.head = nn.Linear(net.width, task.n_classes + 1)

    def omega(self, b: Batch) -> Tensor:
        p = b.net.head(reverse(b.zt, self.weight)).float().softmax(1)
        known, unknown = p[:, :-1].sum(1), p[:, -1]
        away = self.boundary * (unknown + TINY).log() + (1 - self.boundary) * (known + TINY).log()
        return -away.mean()

    def predict(self, X: Tensor, A: object = None) -> Tensor:
        with torch.no_grad():
            logits = self.model_.head(self.model_.embed(X)).float()
            return (logits if self.rejects_ else logits[:, :-1]).softmax(1)
