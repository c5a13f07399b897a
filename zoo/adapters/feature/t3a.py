from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from zoo.adapters.base import Adapter
from zoo.errors import BadInput, Unsupported

if TYPE_CHECKING:
    from zoo.task import Task


class T3a(Adapter):
    """T3A: the source classifier's weights become class centres, which surely classified target samples join.

    Source-free, and nothing is trained: a centre is the mean of the class's weight vector and of its `k` target
    features of least entropy, all at length 1; scores are the softmax of the products of features and centres. The
    target is taken at once, in place of the paper's stream, and `predict` uses the centres as they are.

    Parameters
    ----------
    k : int
        Samples that a class keeps; the paper's M.

    Source: Iwasawa and Matsuo (2021), eq. 3 to 6.
    """

    needs = {"model", "Xt"}
    learner = "net"
    cite = "iwasawa2021test"
    space = {"k": ("log", 1, 100)}

    def __init__(self, k: int = 20) -> None:
        self.k = k

    @torch.no_grad()
    def fit(self, task: Task) -> T3a:
        if self.k < 1:
            raise BadInput(f"t3a: k is at least 1, got {self.k}")
        net = copy.deepcopy(task.model)
        if not isinstance(net.head, nn.Linear):
            raise Unsupported("the network's classifier is not a linear layer")
        z = net.embed(task.Xt)
        self.centres_ = centres(z.double(), net.head(z).double(), net.head.weight.double(), self.k)
        # Made without values: drawing them would move the generator that others draw from.
        net.head = nn.utils.skip_init(nn.Linear, net.width, task.n_classes, bias=False, device=z.device)
        net.head.weight.copy_(self.centres_)
        self.model_ = net
        return self


def centres(Z: Tensor, logits: Tensor, W: Tensor, k: int) -> Tensor:
    """Class centres [C, d] of weights W [C, d] and of features Z [n, d] with their logits [n, C]."""
    log = logits.log_softmax(1)
    entropy = -(log.exp() * log).sum(1)
    members = one_hot(logits.argmax(1), len(W)).to(Z.dtype)  # [n, C]
    order = torch.where(members > 0, entropy[:, None], torch.inf)
    rank = order.argsort(0).argsort(0)
    kept = members * (rank < k)
    return (normalize(W, dim=1) + kept.T @ normalize(Z, dim=1)) / (1 + kept.sum(0))[:, None]
