from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from zoo.adapters.base import DeepAdapter

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Shot(DeepAdapter):
    """SHOT: the source model's classifier stays; the features learn scores that are certain, and of all classes.

    Source-free. Every pass over the target its samples get the label of the nearest class centre, the centres being
    means of their features weighted by scores, and then by labels. Training ends after 15 passes, as in the authors'
    code, if the suite's steps are more. The source model is trained as theirs is, with labels smoothed by .1 and a
    weight-normed classifier; the network is the suite's.

    Parameters
    ----------
    beta : float
        Multiple of the cross-entropy with those labels; the paper's is 0.3.

    Source: Liang et al. (2020), eq. 3 to 7, and their code.
    """

    needs = {"model", "Xt"}
    source_model = {"label_smoothing": 0.1, "weight_norm": True}
    refresh_every = -1
    passes = 15
    title = "SHOT"
    cite = "liang2020we"
    space = {"beta": ("log", 0.03, 1)}

    def __init__(self, beta: float = 0.3) -> None:
        self.beta = beta

    def setup(self, net: Net, task: Task) -> Any:
        for p in net.head.parameters():
            p.requires_grad_(False)

    def refresh(self, net: Net, task: Task) -> None:
        z = net.embed(task.Xt)
        with torch.no_grad():
            self.labels_ = centre_labels(z.float(), net.head(z).float().softmax(1))

    def omega(self, b: Batch) -> Tensor:
        logits = b.lt.float()
        return -information(logits) + self.beta * cross_entropy(logits, self.labels_[b.idt])


def information(logits: Tensor) -> Tensor:
    """Entropy of the mean scores less the mean entropy of scores: what a sample tells of its class."""
    log = logits.log_softmax(1)
    p = log.exp()
    mean = p.mean(0)
    return (p * log).sum(1).mean() - torch.special.xlogy(mean, mean).sum()


def centre_labels(Z: Tensor, P: Tensor) -> Tensor:
    """The nearest class centre [n] by cosine, from soft scores and once again from the labels that they give."""
    Z = normalize(torch.cat([Z, Z.new_ones(len(Z), 1)], 1), dim=1)
    some = torch.ones_like(P[0])
    for _ in range(2):
        centres = normalize(P.T @ Z, dim=1)
        labels = (Z @ centres.T - 4 * (1 - some)).argmax(1)  # a class without samples attracts none
        P = one_hot(labels, P.shape[1]).to(P.dtype)
        some = (P.sum(0) > 0).to(P.dtype)
    return labels
