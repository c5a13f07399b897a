from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.denoising import denoiser, hidden, scatter

if TYPE_CHECKING:
    from zoo.task import Task


class Msda(Mapping):
    """Marginalised stacked denoising autoencoder: features that restore struck-out features of both domains.

    Each layer is ``tanh(W (h, 1))`` with the W that best restores h from all corruptions of it, in closed form. The
    base classifier sees the input and all layers side by side. New points pass through the same layers.

    Parameters
    ----------
    p : float
        Probability that a feature is struck out; at least 0, below 1.
    layers : int
        Number of layers; the paper has 5.

    Inputs are divided by their pooled root mean square, because tanh wants values about 1; z-scores stay as they are.

    Source: Chen et al. 2012, algorithm 1 and section 3.3.
    """

    title = "mSDA"
    cite = "chen2012marginalized"
    space = {"p": ("uniform", 0.1, 0.95), "layers": ("int", 1, 5)}

    def __init__(self, p: float = 0.5, layers: int = 5) -> None:
        self.p, self.layers = p, layers

    def fit_map(self, task: Task) -> None:
        if not 0 <= self.p < 1 or self.layers < 1:
            raise BadInput(f"msda: 0 <= p < 1 and layers is at least 1, got {self.p} and {self.layers}")
        S = task.shared(scatter, "Xs", "Xt")
        power = S.diagonal()[:-1].mean() / S[-1, -1]
        self.scale_ = torch.where(power > 0, power, 1).sqrt()
        units = torch.cat([self.scale_.expand(len(S) - 1), S.new_ones(1)])
        S = S / torch.outer(units, units)
        h = torch.cat([task.Xs, task.Xt]).flatten(1).double() / self.scale_
        self.maps_: list[Tensor] = []
        for layer in range(self.layers):
            self.maps_.append(denoiser(S, self.p))
            if layer + 1 < self.layers:
                h = hidden(h, self.maps_[-1])
                S = scatter(h)

    def source(self, X: Tensor) -> Tensor:
        stack = [X.flatten(1).double() / self.scale_]
        for W in self.maps_:
            stack.append(hidden(stack[-1], W))
        return torch.cat(stack, 1).to(X.dtype)

    def target(self, X: Tensor) -> Tensor:
        return self.source(X)
