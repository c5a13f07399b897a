from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

from zoo.adapters.base import DeepAdapter
from zoo.ops.reversal import reverse, warm_up

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Mdd(DeepAdapter):
    """MDD: a second classifier agrees with the first on the source and not on the target; the features prevent that.

    The decisions of the first classifier are constants to the gradient. Source and target pass the network together, as
    in the authors' code. What the second classifier minimises, the features maximise by reversed gradients.

    Parameters
    ----------
    weight : float
        Strength of the reversed gradient at the end of its warm-up; 0.1 in the authors' code (at 1 it undoes the
        source's classification).
    margin : float
        The paper's γ, the factor of the source's part; the margin is log γ.
    hidden : int
        Width of the hidden layer of both classifiers.

    Both classifiers have a hidden layer with dropout of a half, as in the authors' code.

    Source: Zhang et al. (2019), eq. 26 to 30, and their code.
    """

    forward = "joint"
    title = "MDD"
    cite = "zhang2019bridging"
    space = {"weight": ("log", 0.01, 1), "margin": ("uniform", 1, 5)}

    def __init__(self, weight: float = 0.1, margin: float = 4.0, hidden: int = 1024) -> None:
        self.weight, self.margin, self.hidden = weight, margin, hidden

    def setup(self, net: Net, task: Task) -> nn.Module:
        net.head, self.adversary_ = (self._classifier(net.width, task.n_classes) for _ in range(2))
        return self.adversary_

    def _classifier(self, width: int, n_classes: int) -> nn.Module:
        """Weights of deviation .01, the hidden layer's biases 0, as in the authors' code."""
        layers = [nn.Linear(width, self.hidden), nn.Linear(self.hidden, n_classes)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        return nn.Sequential(layers[0], nn.ReLU(), nn.Dropout(0.5), layers[1])

    def omega(self, b: Batch) -> Tensor:
        z = reverse(torch.cat([b.zs, b.zt]), self.weight * warm_up(b.progress))
        ls, lt = self.adversary_(z).float().split([len(b.zs), len(b.zt)])
        return disagreement(b.ls, b.lt, ls, lt, self.margin)


def disagreement(ls: Tensor, lt: Tensor, adversary_s: Tensor, adversary_t: Tensor, margin: float) -> Tensor:
    """The margin disparity's surrogate as a loss of the adversary, all logits [n, C]: ``γ·L_s + L_t``.

    ``L_s = -log σ_h(f')`` with h the classifier's decision; ``L_t = -log(1 - σ_h(f'))``, of modified cross-entropy.
    """
    source = cross_entropy(adversary_s, ls.argmax(1))
    told = log_softmax(adversary_t, 1).gather(1, lt.argmax(1, keepdim=True))
    target = -torch.log1p(-told.exp().clamp_max(1 - 1e-6)).mean()
    return margin * source + target
