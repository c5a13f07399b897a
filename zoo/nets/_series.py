"""Blocks of networks for series [n, channels, time]."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

RESIDUAL = (8, 5, 3)  # kernels of the three convolutions of a residual block
MAPS, INCEPTION = 32, (40, 20, 10)  # of each convolution of an inception module; its kernels


def same(i: int, o: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the length; of an even kernel the end is padded by one more, as Keras does."""
    pad = nn.ConstantPad1d(((kernel - 1) // 2, kernel // 2), 0.0)
    return nn.Sequential(pad, nn.Conv1d(i, o, kernel, bias=False))


class Residual(nn.Module):
    """Three convolutions with batch norm, and the input, brought to their width, added before the last ReLU."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for k, width in zip(RESIDUAL, (i, o, o), strict=True):
            layers += [same(width, o, k), nn.BatchNorm1d(o), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])
        expand = [] if i == o else [nn.Conv1d(i, o, 1, bias=False)]
        self.short = nn.Sequential(*expand, nn.BatchNorm1d(o))

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.layers(x) + self.short(x))


class Inception(nn.Module):
    """Convolutions of three widths on a bottleneck of the channels, and one of the pooled input, side by side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bottleneck: nn.Module = nn.Identity()
        if channels > 1:  # of one channel there is nothing to narrow
            self.bottleneck = nn.Conv1d(channels, MAPS, 1, bias=False)
        narrow = MAPS if channels > 1 else channels
        self.wide = nn.ModuleList([same(narrow, MAPS, k) for k in INCEPTION])
        self.pooled = nn.Sequential(nn.MaxPool1d(3, 1, padding=1), nn.Conv1d(channels, MAPS, 1, bias=False))
        self.norm = nn.BatchNorm1d(4 * MAPS)

    def forward(self, x: Tensor) -> Tensor:
        z = self.bottleneck(x)
        return relu(self.norm(torch.cat([*(f(z) for f in self.wide), self.pooled(x)], 1)))


class Shortcut(nn.Module):
    """Three inception modules, and what went in, brought to their width, added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(Inception(channels if i == 0 else 4 * MAPS) for i in range(3)))
        self.short = nn.Sequential(nn.Conv1d(channels, 4 * MAPS, 1, bias=False), nn.BatchNorm1d(4 * MAPS))

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.layers(x) + self.short(x))
