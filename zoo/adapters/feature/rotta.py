from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from zoo.adapters._streaming import Streaming, cross_entropy, descend, follow, moving, optimiser
from zoo.errors import BadInput, Unsupported
from zoo.ops.jitter import jittered

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Rotta(Streaming):
    """RoTTA: learns from a memory that holds the predicted classes evenly, though the stream brings one after another.

    Source-free. Batch norm uses running statistics, which a step moves by `alpha` to those of the memory, so that a
    batch of one class does not set them. The memory has `memory` places, as many for each predicted class; what is old
    or unsure makes way. Every `memory` samples the student, on distorted views, takes a step down the cross-entropy
    with its running mean on the memory, new samples counting more than old ones; scales and shifts of batch norm move.
    The running mean keeps ``1 − nu`` of itself a step, and predicts a batch before the samples enter the memory.

    Views are those of the authors' code (`zoo.ops.jitter`; mirrored half the time if `flip`).

    Source: Yuan et al. (2023), eq. 3 to 10, and their code.
    """

    title = "RoTTA"
    cite = "yuan2023robust"
    space = {"alpha": ("log", 0.01, 0.5), "nu": ("log", 1e-4, 0.1)}

    def __init__(
        self,
        memory: int = 64,
        alpha: float = 0.05,
        nu: float = 0.001,
        age_weight: float = 1.0,
        entropy_weight: float = 1.0,
        flip: bool = True,
    ) -> None:
        self.memory = memory
        self.alpha = alpha
        self.nu = nu
        self.age_weight = age_weight
        self.entropy_weight = entropy_weight
        self.flip = flip

    def begin(self, net: Net, task: Task) -> None:
        if self.memory < 2:
            raise BadInput(f"rotta: memory is at least 2, got {self.memory}")
        replaced(net, self.alpha, getattr(net, "folded", []))
        robust = [m for m in net.modules() if isinstance(m, Robust)]
        if not robust:
            raise Unsupported("the network has no batch norm")
        self.opt_ = optimiser(moving(net, robust), task)
        self.teacher_ = copy.deepcopy(net).requires_grad_(False)
        self.kept_ = Memory(self.memory, task.n_classes, self.age_weight, self.entropy_weight)
        self.seen_, self.generator_ = 0, task.generator

    def logits(self, X: Tensor) -> Tensor:
        with torch.no_grad():
            found = self.teacher_.eval()(X)
            p = found.float().softmax(1)
            said = torch.stack([p.argmax(1).double(), -(p * (p + 1e-6).log()).sum(1).double()], 1).tolist()
        for x, (label, unsure) in zip(X, said, strict=True):
            self.kept_.add(x, int(label), unsure)
            self.seen_ += 1
            if self.seen_ % self.memory == 0:
                self._step()
        return found

    def _step(self) -> None:
        samples, ages = self.kept_.content()
        X = torch.stack(samples)
        for part in (self.model_, self.teacher_):
            for m in part.modules():
                m.training = isinstance(m, Robust)  # dropout stays out of it
        with torch.no_grad():
            said = self.teacher_(X)
        w = torch.sigmoid(-torch.tensor(ages, dtype=torch.float32, device=X.device))
        loss = (w * cross_entropy(self.model_(jittered(X, self.generator_, self.flip)), said)).mean()
        descend(loss, self.opt_)
        follow(self.teacher_, self.model_, self.nu)


class Robust(nn.Module):
    """Batch norm by running statistics, which in training move by `alpha` to the batch's before they are used."""

    mean: Tensor
    var: Tensor

    def __init__(self, norm: Any, alpha: float) -> None:
        super().__init__()
        self.alpha, self.eps = alpha, norm.eps
        self.weight, self.bias = norm.weight, norm.bias
        self.register_buffer("mean", norm.running_mean.clone())
        self.register_buffer("var", norm.running_var.clone())

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.mean, self.var
        if self.training:
            var_, mean_ = torch.var_mean(x.float(), [d for d in range(x.dim()) if d != 1], correction=0)
            mean, var = mean.lerp(mean_, self.alpha), var.lerp(var_, self.alpha)
            self.mean, self.var = mean.detach(), var.detach()
        shape = [1, -1] + [1] * (x.dim() - 2)
        scale = self.weight / (var + self.eps).sqrt()
        return x * scale.view(shape) + (self.bias - mean * scale).view(shape)


def replaced(net: nn.Module, alpha: float, folded: Sequence[nn.Module] = ()) -> None:
    """Put such a norm in the place of every batch norm with scales, shifts and statistics, but of those `folded`."""
    for name, child in net.named_children():
        if any(child is f for f in folded):
            continue
        if isinstance(child, _BatchNorm) and child.affine and child.running_mean is not None:
            setattr(net, name, Robust(child, alpha))
        else:
            replaced(child, alpha, folded)


class Memory:
    """A bounded number of samples, spread evenly over the classes that they are predicted to be of.

    Each has an age, in samples since it came, and an entropy; both make it the first to go.
    """

    def __init__(self, size: int, n_classes: int, age_weight: float = 1.0, entropy_weight: float = 1.0) -> None:
        self.size, self.n_classes = size, n_classes
        self.age_weight, self.entropy_weight = age_weight, entropy_weight
        self.kept: list[list[list[Any]]] = [[] for _ in range(n_classes)]  # by class: sample, entropy, age

    def add(self, x: Tensor, label: int, entropy: float) -> None:
        """Take in a sample, unless it is to go itself; all grow older."""
        own = self.kept[label]
        if len(own) >= self.size / self.n_classes:
            room = self._removed([label], self._score(0, entropy))
        elif sum(map(len, self.kept)) < self.size:
            room = True
        else:
            most = max(map(len, self.kept))
            fullest = [c for c, samples in enumerate(self.kept) if len(samples) == most]
            room = self._removed(fullest, self._score(0, entropy))
        if room:
            own.append([x.detach().clone(), entropy, 0])  # a view would hold its whole batch
        for samples in self.kept:
            for item in samples:
                item[2] += 1

    def content(self) -> tuple[list[Tensor], list[float]]:
        """The samples, and their ages as shares of the memory's size."""
        every = [item for samples in self.kept for item in samples]
        return [x for x, _, _ in every], [age / self.size for _, _, age in every]

    def _score(self, age: float, entropy: float) -> float:
        old = self.age_weight / (1 + math.exp(-age / self.size))
        return old + self.entropy_weight * entropy / math.log(self.n_classes)

    def _removed(self, classes: list[int], new: float) -> bool:
        """Whether the worst of some classes was worse than a new sample, and so is gone."""
        scored = [(self._score(age, h), c, i) for c in classes for i, (_, h, age) in enumerate(self.kept[c])]
        if not scored:
            return True
        score, c, i = max(scored)
        if score > new:
            del self.kept[c][i]
        return score > new
