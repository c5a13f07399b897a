"""Gradient reversal (Ganin & Lempitsky 2015)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return -ctx.strength * grad, None


def reverse(x: Tensor, strength: float) -> Tensor:
    """The identity, whose gradient is ``-strength`` times the plain one.

    >>> x = torch.ones(2, requires_grad=True)
    >>> (3 * reverse(x, 0.5)).sum().backward(); x.grad.tolist()
    [-1.5, -1.5]
    """
    return _Reverse.apply(x, strength)


def warm_up(progress: float) -> float:
    """The reversal's strength over training, from 0 to 1: ``2 / (1 + exp(-10 p)) - 1``.

    >>> warm_up(0.0), round(warm_up(1.0), 4)
    (0.0, 0.9999)
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1
