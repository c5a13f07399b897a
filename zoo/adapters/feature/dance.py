from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from zoo.adapters.feature._doubting import Doubting, unit_rows
from zoo.adapters.feature.mme import Cosine
from zoo.ops.doubt import entropy
from zoo.ops.precision import in_float32
from zoo.train import descend

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

TINY = 1e-5  # added to what a logarithm is taken of, as in the authors' code


class Dance(Doubting):
    """DANCE: each target sample draws near to a neighbour or a prototype, and is either surely known or surely not.

    For any label sets. Neighbours are those of a memory of the target's last features and of the batch, prototypes the
    rows of a cosine classifier, of length 1 at the start of each step: the entropy of the similarities to all of them
    is minimised. That of the class scores is moved away from log(K) / 2 where it is further from it than `margin`,
    which with two classes it never is; above it a sample is unknown. Source batches hold as many samples of each class;
    in the authors' code on average. Source and target pass the network one after the other. Their classifier stands on
    the backbone itself, which learns at a tenth of its rate; here on a suite's ``bottleneck``, where it has one, which
    learns at the full rate and makes scores so certain that the limit rejects little.

    Parameters
    ----------
    weight : float
        Multiple of both entropies; the paper's λ, its code's `eta`.
    margin : float
        Half the width of the band of entropies that move nowhere; the paper's m.
    temperature : float
        Divides the cosines; the paper's τ.

    Source: Saito et al. (2020), section 3, and their code.
    """

    label_sets = {"closed", "partial", "open", "universal"}
    balanced = True
    title = "DANCE"
    cite = "saito2020universal"
    space = {"weight": ("log", 0.005, 0.5), "margin": ("linear", 0.1, 1.0), "temperature": ("log", 0.02, 0.2)}

    def __init__(self, weight: float = 0.05, margin: float = 0.5, temperature: float = 0.05) -> None:
        self.weight, self.margin, self.temperature = weight, margin, temperature

    def setup(self, net: Net, task: Task) -> nn.Module:
        net.head = Cosine(net.width, task.n_classes, self.temperature)
        self.memory_ = nn.Module()
        self.memory_.register_buffer("features", torch.zeros(len(task.Xt), net.width))
        return self.memory_

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        unit_rows(net.head)
        loss = descend(net, opt, b)
        self.memory_.features[b.idt] = normalize(b.zt.detach().float(), dim=1)  # type: ignore[operator, index]
        return loss

    def omega(self, b: Batch) -> Tensor:
        F: Tensor = self.memory_.features  # type: ignore[assignment]
        logits = b.lt.float()
        near = torch.cat([logits, *similar(b.zt.float(), F, b.idt, self.temperature)], 1)
        apart = (spread(logits) - math.log(logits.shape[1]) / 2).abs().clamp_min(self.margin)
        return self.weight * (spread(near).mean() - apart.mean())

    def doubt(self, z: Tensor, p: Tensor) -> Tensor:
        return entropy(p)


@in_float32
def similar(z: Tensor, F: Tensor, own: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Cosines of features [b, d] over a temperature, with a memory [n, d] and with one another.

    Of the memory's the batch's `own` rows, and of the batch's a sample itself, are as dissimilar as can be.
    """
    z = normalize(z, dim=1)
    kept = (z @ F.T).index_fill(1, own, -1.0)
    others = (z @ z.T).masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -1.0)
    return kept / temperature, others / temperature


def spread(logits: Tensor) -> Tensor:
    """The entropy [n] of the scores that logits give."""
    p = logits.softmax(1)
    return -(p * (p + TINY).log()).sum(1)
