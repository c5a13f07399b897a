from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.atdoc import neighbours

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Nrc(DeepAdapter):
    """NRC: target samples are to be scored as their neighbours are, reciprocal neighbours counting most.

    Source-free. A memory keeps every target sample's last features and scores, at first the source model's. Training
    ends after 15 passes over the target, as in the authors' code, if the suite's steps are more. The source model is
    trained as theirs is, with labels smoothed by .1 and a weight-normed classifier.

    Parameters
    ----------
    k : int
        Neighbours of a sample.
    m : int
        Neighbours of a neighbour, which count `weak`, and by which reciprocity is judged.
    weak : float
        Affinity of neighbours that are not reciprocal; the paper's r.

    Source: Yang et al. (2021), eq. 3 to 9.
    """

    needs = {"model", "Xt"}
    source_model = {"label_smoothing": 0.1, "weight_norm": True}
    passes = 15
    title = "NRC"
    cite = "yang2021exploiting"
    space = {"k": ("int", 1, 10), "m": ("int", 1, 10)}

    def __init__(self, k: int = 3, m: int = 2, weak: float = 0.1) -> None:
        self.k, self.m, self.weak = k, m, weak

    def setup(self, net: Net, task: Task) -> nn.Module:
        z = net.embed(task.Xt)
        with torch.no_grad():
            scores = net.head(z).float().softmax(1)
        self.memory_ = nn.Module()
        self.memory_.register_buffer("features", normalize(z.float(), dim=1))
        self.memory_.register_buffer("scores", scores)
        return self.memory_

    def omega(self, b: Batch) -> Tensor:
        F: Tensor = self.memory_.features  # type: ignore[assignment]
        S: Tensor = self.memory_.scores  # type: ignore[assignment]
        p = b.lt.float().softmax(1)
        F[b.idt], S[b.idt] = normalize(b.zt.detach().float(), dim=1), p.detach()
        near = neighbours(F[b.idt], F, b.idt, self.k)  # [b, k]
        own = near.flatten()
        further = (
            neighbours(F[own], F, own, self.m).unflatten(0, near.shape) if near.shape[1] else near[..., None]
        )  # [b, k, m]
        reciprocal = (further == b.idt[:, None, None]).any(2).to(p.dtype)
        affinity = self.weak + (1 - self.weak) * reciprocal
        agree = (affinity * (S[near] * p[:, None]).sum(2)).sum(1).mean()
        agree = agree + self.weak * (S[further] * p[:, None, None]).sum((1, 2, 3)).mean()
        mean = p.mean(0)
        return torch.special.xlogy(mean, mean).sum() - agree
