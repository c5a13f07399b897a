"""Augmentation of image batches on their device, drawn anew for every sample."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 7 / 8  # of the side: 224 of 256, the field's usual crop


def crop(x: Tensor) -> Tensor:
    """The centre 7/8 of images [n, c, side, side].

    >>> crop(torch.zeros(2, 3, 256, 256)).shape
    torch.Size([2, 3, 224, 224])
    """
    side = round(x.shape[-1] * SHARE)
    first = (x.shape[-1] - side) // 2
    return x[..., first : first + side, first : first + side]


def crop_flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """A random 7/8 crop of each image of [n, c, side, side], mirrored with probability 1/2.

    torchvision's transforms draw one crop and one coin for a whole batch; here each sample has its own, in one gather.
    """
    n, c, side, _ = x.shape
    small = round(side * SHARE)
    first = torch.randint(side - small + 1, (2, n, 1), generator=generator, device=x.device)
    rows, columns = first + torch.arange(small, device=x.device)
    mirrored = torch.rand(n, 1, generator=generator, device=x.device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    samples = torch.arange(n, device=x.device)[:, None, None, None]
    channels = torch.arange(c, device=x.device)[None, :, None, None]
    return x[samples, channels, rows[:, None, :, None], columns[:, None, None, :]]
