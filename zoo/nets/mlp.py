from __future__ import annotations

import math

from torch import Tensor, nn

from zoo.nets import Net


class Mlp(Net):
    """One hidden layer of 256 units with batch norm, for vectors."""

    width = 256

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), self.width), nn.BatchNorm1d(self.width), nn.ReLU()
        )
        self.head = nn.Linear(self.width, n_classes)

    def features(self, x: Tensor) -> Tensor:
        return self.body(x)
