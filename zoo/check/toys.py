"""The toy pair of samples for the contract tests: Gaussian classes, moved a little in the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zoo.seeds import derive

CLASSES, WIDTH, LABELS = 3, 6, 3


@dataclass(frozen=True, eq=False)
class Pair:
    """Source, target and K labelled target samples; `X`, `y` is a test set of the target."""

    Xs: Tensor
    ys: Tensor
    Xt: Tensor
    yt: Tensor
    Xl: Tensor
    yl: Tensor
    X: Tensor
    y: Tensor
    ds: Tensor | None = None  # not said: every other source sample is of a second domain

    def reordered(self, order: Tensor) -> Pair:
        return replace(self, Xt=self.Xt[order], yt=self.yt[order])

    def mapped(self, source: Callable[[Tensor], Tensor], target: Callable[[Tensor], Tensor]) -> Pair:
        """With other features."""
        return replace(self, Xs=source(self.Xs), Xt=target(self.Xt), Xl=target(self.Xl), X=target(self.X))

    def of_sources(self, ds: Tensor, order: Tensor | None = None) -> Pair:
        """With the source's domains, and its rows in another order."""
        rows = torch.arange(len(ds)) if order is None else order
        return replace(self, Xs=self.Xs[rows], ys=self.ys[rows], ds=ds[rows])

    @property
    def asked(self) -> tuple[Any, ...]:
        """What `predict` gets for the test set."""
        return (self.X,)

    def of_source(self, use: str) -> tuple[str, str, tuple[Any, ...]]:
        """How the source's samples are asked for: in words, the rule, and what it gets."""
        return "predict_source(X)", "predict_source", (self.Xs,)

    def vectors(self, X: Tensor, part: str) -> Tensor:
        """Samples of the source ``s``, or of the target, as a base learner sees them."""
        return X

    def fields(self, device: Any, use: str) -> tuple[dict[str, Any], Any]:
        """What a task may grant; no graphs."""
        found = {k: getattr(self, k).to(device) for k in ("Xs", "ys", "Xt", "Xl", "yl", "yt")}
        ds = torch.arange(len(self.Xs)) % 2 if self.ds is None else self.ds
        return found | {"ds": ds.to(device)}, None


def toy(
    shift: float = 1.0, n_s: int = 150, n_t: int = 120, seed: int = 0, width: int = WIDTH, unknown: bool = False
) -> Pair:
    """Three Gaussian classes; the target is moved and stretched, by less than the classes are apart.

    Parameters
    ----------
    unknown : whether the target has a fourth class, numbered last
    """
    g = torch.Generator().manual_seed(derive("toy", seed))

    def draw(n: int, shift: float, classes: int) -> tuple[Tensor, Tensor]:
        y = (torch.arange(n) % classes)[torch.randperm(n, generator=g)]
        X = 3 * torch.eye(classes, width)[y] + torch.randn(n, width, generator=g)
        return (1 + 0.2 * shift) * X + 0.5 * shift, y

    few, fl = draw(CLASSES * LABELS, shift, CLASSES)
    there = CLASSES + unknown
    return Pair(*draw(n_s, 0.0, CLASSES), *draw(n_t, shift, there), few, fl, *draw(600, shift, there))
