from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.adapters.feature._doubting import Doubting, unit_rows
from zoo.train import descend

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

TINY = 1e-8  # added to what a logarithm is taken of, as in the authors' code


class Ovanet(Doubting):
    """OVANet: for each class a classifier of its own says yes or no; unknown is to what the predicted one's says no.

    For open and universal label sets. Of a source sample its class's classifier learns yes, and of the others' only the
    one that is nearest to yes learns no. On target samples the entropy of all is minimised, each by itself. Rows of
    these classifiers have length 1 at the start of each step, and neither they nor the closed-set classifier beside
    them have biases. Source batches hold as many samples of each class; in the authors' code on average. Source and
    target pass the network one after the other. Both stand on the backbone itself in their code; here on a suite's
    ``bottleneck``, where it has one.

    Parameters
    ----------
    weight : float
        Multiple of the target's entropy; the paper's λ, its code's `multi`.

    Source: Saito & Saenko (2021), section 3, and their code.
    """

    label_sets = {"open", "universal"}
    balanced = True
    title = "OVANet"
    cite = "saito2021ovanet"
    space = {"weight": ("log", 0.01, 1)}

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight

    def setup(self, net: Net, task: Task) -> nn.Module:
        net.head = nn.Linear(net.width, task.n_classes, bias=False)
        self.each_ = nn.Linear(net.width, 2 * task.n_classes, bias=False)
        return self.each_

    def says(self, z: Tensor) -> Tensor:
        """No and yes [n, 2, K] of each class's classifier, which sum to 1."""
        return self.each_(z).float().unflatten(1, (2, -1)).softmax(1)

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        unit_rows(self.each_)
        return descend(net, opt, b)

    def omega(self, b: Batch) -> Tensor:
        no, yes = (-(p + TINY).log() for p in self.says(b.zs).unbind(1))
        own = b.ys[:, None]
        hardest = no.scatter(1, own, 0.0).max(1).values
        target = self.says(b.zt)
        entropy = -(target * (target + TINY).log()).sum(1).mean()
        return 0.5 * (yes.gather(1, own).mean() + hardest.mean()) + self.weight * entropy

    def doubt(self, z: Tensor, p: Tensor) -> Tensor:
        return self.says(z)[:, 0].gather(1, p.argmax(1, keepdim=True))[:, 0]
