"""The distorted views by which methods for streams teach themselves, as their authors' code has them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad

from zoo.ops.augment import distorted

BRIGHTNESS, CONTRAST, SATURATION, GAMMA = (0.6, 1.4), (0.7, 1.3), (0.5, 1.5), (0.7, 1.3)
TURN, MOVE, SCALE = math.radians(15), 1 / 16, (0.9, 1.1)
BLUR, NOISE, LEAST = (0.001, 0.5), 0.005, 1e-8
GREY = (0.299, 0.587, 0.114)


def jittered(x: Tensor, generator: torch.Generator | None, flip: bool = True) -> Tensor:
    """A distorted view of a batch of images [n, c, h, w] in [0, 1], or bytes; one draw is the whole batch's.

    Brightness, contrast, gamma and, of colours, saturation change in a random order; then it is turned, scaled, moved,
    blurred, mirrored with probability 1/2 if `flip`, and gets some noise. Of vectors: `zoo.ops.augment.distorted`.

    The authors' change of hue is left out. Source: CoTTA's and RoTTA's code.
    """
    if x.dim() != 4:
        return distorted(x, generator)
    if x.dtype == torch.uint8:
        return (jittered(x.float() / 255, generator, flip) * 255).round().to(torch.uint8)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((), generator=generator, device=x.device)

    y = x.clamp(0, 1)
    for change in torch.randperm(4, generator=generator, device=x.device).tolist():
        if change == 0:
            y = (y * draw(*BRIGHTNESS)).clamp(0, 1)
        elif change == 1:
            mean = _grey(y).mean((1, 2, 3), keepdim=True)
            y = (mean + draw(*CONTRAST) * (y - mean)).clamp(0, 1)
        elif change == 2:
            y = y.clamp(LEAST, 1) ** draw(*GAMMA)
        elif x.shape[1] == 3:
            grey = _grey(y)
            y = (grey + draw(*SATURATION) * (y - grey)).clamp(0, 1)
    y = _blurred(_placed(y, draw(-TURN, TURN), draw(*SCALE), draw(-MOVE, MOVE), draw(-MOVE, MOVE)), draw(*BLUR))
    if flip and bool(draw(0, 1) < 0.5):
        y = y.flip(3)
    noise = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
    return (y + NOISE * noise).clamp(0, 1)


def _grey(x: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * x.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)


def _placed(x: Tensor, turn: Tensor, scale: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Turned, scaled and moved by shares of the side; what was outside is as the rim."""
    cos, sin = turn.cos() / scale, turn.sin() / scale
    theta = torch.stack([torch.stack([cos, sin, 2 * across]), torch.stack([-sin, cos, 2 * down])])
    grid = affine_grid(theta[None].expand(len(x), -1, -1), list(x.shape), align_corners=False)
    return grid_sample(x, grid, padding_mode="border", align_corners=False)


def _blurred(x: Tensor, width: Tensor) -> Tensor:
    """By a Gaussian of 5×5 pixels; the rim is mirrored."""
    line = (-((torch.arange(5, device=x.device, dtype=x.dtype) - 2) ** 2) / (2 * width**2)).exp()
    line = line / line.sum()
    c = x.shape[1]
    y = pad(x, (2, 2, 2, 2), mode="reflect")
    y = conv2d(y, line.view(1, 1, 1, 5).expand(c, 1, 1, 5), groups=c)
    return conv2d(y, line.view(1, 1, 5, 1).expand(c, 1, 5, 1), groups=c)
