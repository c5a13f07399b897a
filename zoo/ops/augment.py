"""Augmentation of image batches on their device, drawn anew for every sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

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


def distorted(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """A strongly augmented view of each sample: of images [n, c, h, w] and of vectors [n, d].

    Images are turned, scaled, moved, changed in contrast and lose a square of a quarter of the side; of vectors a fifth
    of the entries become the batch's mean, and noise of a fifth of the batch's deviation is added.
    """
    n, shape = len(x), x.shape[1:]

    def draw(*size: int) -> Tensor:
        return torch.rand(n, *size, generator=generator, device=x.device)

    if len(shape) != 3:
        kept = (draw(*shape) >= DROPPED).to(x.dtype)
        noise = NOISE * x.std(0, correction=0) * (2 * draw(*shape) - 1) * math.sqrt(3)
        return kept * x + (1 - kept) * x.mean(0) + noise
    turn, scale = (2 * draw() - 1) * TURN, 1 + (2 * draw() - 1) * SCALE
    move = (2 * draw(2) - 1) * 2 * MOVE
    rows = [[turn.cos() / scale, -turn.sin() / scale, move[:, 0]], [turn.sin() / scale, turn.cos() / scale, move[:, 1]]]
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = affine_grid(theta, list(x.shape), align_corners=False)
    y = grid_sample(x.to(theta.dtype), grid, padding_mode="border", align_corners=False)
    mean = y.mean((1, 2, 3), keepdim=True)
    y = mean + (1 + (2 * draw(1, 1, 1) - 1) * CONTRAST) * (y - mean)
    centre = (2 * draw(1, 1, 2) - 1) * (1 - HOLE)
    outside = ((_places(y) - centre).abs().amax(-1, keepdim=True) > HOLE).to(y.dtype)
    y = mean + outside.movedim(-1, 1) * (y - mean)
    return y.to(x.dtype) if x.is_floating_point() else y.round().clamp(0, 255).to(x.dtype)


TURN, SCALE, MOVE, CONTRAST, HOLE = (
    math.pi / 12,
    0.15,
    0.125,
    0.5,
    0.25,
)  # HOLE: half its side, the image being [-1, 1]²
DROPPED, NOISE = 0.2, 0.2


def _places(x: Tensor) -> Tensor:
    """Coordinates [1, h, w, 2] of pixels in [-1, 1]²."""
    h, w = ((2 * torch.arange(k, device=x.device) + 1) / k - 1 for k in x.shape[-2:])
    return torch.stack(torch.meshgrid(w, h, indexing="xy"), -1)[None]
