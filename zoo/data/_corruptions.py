"""Corruptions of grey images that need no file, each in three strengths, in torch.

They are computed on the CPU and rounded to bytes, so that machines and devices have the same samples: cells are known
by these.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, grid_sample, max_pool2d, pad

STRENGTHS = ("weak", "medium", "strong")


def corrupted(x: Tensor, name: str, strength: int, generator: torch.Generator) -> Tensor:
    """Images [n, 1, side, side] in [0, 1] under a corruption, rounded to k/255; each is drawn anew."""
    y = CORRUPTIONS[name](x, strength, generator).clamp(0, 1)
    return (y * 255).round() / 255


def gaussian_noise(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    return x + (0.15, 0.3, 0.45)[s] * torch.randn(x.shape, generator=g)


def shot_noise(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    photons = (20.0, 6.0, 2.5)[s]
    return torch.poisson((x + 0.05) * photons, generator=g) / photons


def impulse_noise(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    hit, value = torch.rand(x.shape, generator=g), torch.rand(x.shape, generator=g)
    return torch.where(hit < (0.05, 0.15, 0.3)[s], (value < 0.5).to(x.dtype), x)


def blur(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    width = (1.0, 1.6, 2.4)[s]
    line = (-((torch.arange(13) - 6.0) ** 2) / (2 * width**2)).exp()
    line = line / line.sum()
    return conv2d(conv2d(pad(x, (6, 6, 6, 6)), line.view(1, 1, 1, 13)), line.view(1, 1, 13, 1))


def motion_blur(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    """Means over a line in a random direction."""
    length, angle = (3.0, 5.0, 7.0)[s], math.pi * torch.rand(len(x), generator=g)
    steps = [_moved(x, k * length * angle.cos() / 2, k * length * angle.sin() / 2) for k in torch.linspace(-1, 1, 9)]
    return torch.stack(steps).mean(0)


def shift(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    angle = 2 * math.pi * torch.rand(len(x), generator=g)
    far = (2.0, 4.0, 6.0)[s]
    return _moved(x, far * angle.cos(), far * angle.sin())


def rotation(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    angle = math.radians((15, 30, 45)[s]) * _sign(x, g)
    return _warped(x, angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def shear(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    slant, one = (0.25, 0.5, 0.8)[s] * _sign(x, g), torch.ones(len(x))
    return _warped(x, one, slant, 0 * one, one)


def scale(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    """Smaller or larger."""
    factor = torch.tensor((1.2, 1.35, 1.5)[s]) ** _sign(x, g)
    return _warped(x, factor, 0 * factor, 0 * factor, factor)


def contrast(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (0.5, 0.3, 0.15)[s] * (x - mean)


def brightness(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    return x + (0.2, 0.4, 0.6)[s]


def thick(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    """Strokes grown by a pixel, two, three."""
    k = s + 2
    return max_pool2d(pad(x, (k // 2, (k - 1) // 2) * 2), k, 1)


def thin(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    """Strokes that lose half a pixel, one, one and a half."""
    less, least = (-max_pool2d(pad(-x, (k // 2, (k - 1) // 2) * 2), k, 1) for k in (2, 3))
    return ((x + less) / 2, less, (less + least) / 2)[s]


def occlusion(x: Tensor, s: int, g: torch.Generator) -> Tensor:
    """A square of noise somewhere near the middle."""
    side, half = x.shape[-1], (4, 6, 8)[s]
    at = side / 2 + (torch.rand(len(x), 2, 1, generator=g) - 0.5) * side / 2
    there = ((torch.arange(side) + 0.5)[None, None] - at).abs() < half / 2
    box = there[:, 0, :, None] & there[:, 1, None, :]
    return torch.where(box[:, None], torch.rand(x.shape, generator=g), x)


CORRUPTIONS: dict[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {
    f.__name__: f
    for f in (
        gaussian_noise,
        shot_noise,
        impulse_noise,
        blur,
        motion_blur,
        shift,
        rotation,
        shear,
        scale,
        contrast,
        brightness,
        thick,
        thin,
        occlusion,
    )
}


def _sign(x: Tensor, g: torch.Generator) -> Tensor:
    return 2.0 * (torch.rand(len(x), generator=g) < 0.5) - 1


def _moved(x: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """By pixels of each image."""
    one = torch.ones(len(x))
    return _warped(x, one, 0 * one, 0 * one, one, across, down)


def _warped(x: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, *move: Tensor) -> Tensor:
    """Each pixel from where ``[[a, b], [c, d]]`` sends it about the middle; black comes in from outside."""
    across, down = (-2 * m / x.shape[-1] for m in move) if move else (0 * a, 0 * a)
    theta = torch.stack([torch.stack([a, b, across], 1), torch.stack([c, d, down], 1)], 1)
    return grid_sample(x, affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
