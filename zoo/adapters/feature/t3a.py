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

    Source-free, and nothing is trained. Weight vectors and target features, all at length 1, are the support of the
    class that the classifier gives them; the `k` of least entropy stay, weight vectors by their own. A centre is their
    sum at length 1, and scores are the softmax of the products of features and centres. The target is taken at once,
    and `predict` uses the centres as they are; of a stream, as in the paper, each batch joins before it is predicted.

    Parameters
    ----------
    k : int
        Samples that a class keeps; the paper's M.

    Source: Iwasawa and Matsuo (2021), eq. 3 to 6, and their code (which tries k of 1, 5, 20, 50, 100 and all).
    """

    needs = {"model", "Xt"}
    learner = "net"
    stream = True
    predicts = "after"
    title = "T3A"
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
        W = net.head.weight
        if not task.has("Xt"):  # of a stream
            self.model_, self.support_ = net, (W, net.head(W))
            return self
        z = net.embed(task.Xt)
        both = torch.cat([W, z.to(W.dtype)])
        self.centres_ = centres(both, net.head(both), task.n_classes, self.k)
        # Made without values: drawing them would move the generator that others draw from.
        net.head = nn.utils.skip_init(nn.Linear, net.width, task.n_classes, bias=False, device=z.device)
        net.head.weight.copy_(self.centres_)
        self.model_ = net
        return self

    @torch.no_grad()
    def observe(self, X: Tensor) -> Tensor:
        Z, logits = self.support_
        z = self.model_.embed(X)
        Z, logits = torch.cat([Z, z.to(Z.dtype)]), torch.cat([logits, self.model_.head(z).to(logits.dtype)])
        n_classes = logits.shape[1]
        kept = members(logits, n_classes, self.k).any(1)
        self.support_ = Z[kept], logits[kept]  # what is not kept now never will be
        return (z.double() @ centres(*self.support_, n_classes, self.k).T).softmax(1)


def centres(Z: Tensor, logits: Tensor, n_classes: int, k: int) -> Tensor:
    """Class centres [C, d], in float64, of supports Z [n, d] with the classifier's logits [n, C]; 0 of a class without.

    >>> centres(torch.eye(2), torch.eye(2), 2, 1).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return normalize(members(logits, n_classes, k).double().T @ normalize(Z.double(), dim=1), dim=1)


def members(logits: Tensor, n_classes: int, k: int) -> Tensor:
    """Which rows [n, C] are in a class's support: of those that the classifier gives it, the k of least entropy."""
    log = logits.double().log_softmax(1)
    entropy = -(log.exp() * log).sum(1)
    own = one_hot(logits.argmax(1), n_classes) > 0
    order = torch.where(own, entropy[:, None], torch.inf)
    return own & (order.argsort(0).argsort(0) < k)
