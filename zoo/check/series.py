"""What methods on samples promise of series, windows [n, channels, time], where they train a network on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.check.contract import Contract
from zoo.check.subject import BRIEF, ROUNDING, Subject, difference, require, require_scores
from zoo.check.toys import CLASSES, LABELS, Pair
from zoo.seeds import derive

if TYPE_CHECKING:
    from zoo.discover import MethodInfo

TIME = 16  # steps of a window


def toy_series(shift: float = 1.0, n_s: int = 60, n_t: int = 48, seed: int = 0, unknown: bool = False) -> Pair:
    """Windows of two noisy channels; the classes are frequencies, and the target is stronger and off zero.

    With `unknown` it has one more than the source.
    """
    g = torch.Generator().manual_seed(derive("toy series", seed))

    def draw(n: int, shift: float, classes: int) -> tuple[Tensor, Tensor]:
        y = (torch.arange(n) % classes)[torch.randperm(n, generator=g)]
        phase = torch.rand(n, 1, 1, generator=g) + torch.tensor([[0.0], [0.25]])
        turns = (1 + y)[:, None, None] * torch.arange(TIME) / TIME
        X = torch.sin(2 * torch.pi * (phase + turns)) + 0.3 * torch.randn(n, 2, TIME, generator=g)
        return (1 + 0.2 * shift) * X + 0.2 * shift, y

    few, labels = draw(CLASSES * LABELS, shift, CLASSES)
    there = CLASSES + unknown
    return Pair(*draw(n_s, 0.0, CLASSES), *draw(n_t, shift, there), few, labels, *draw(60, shift, there))


def series(s: Subject) -> None:
    """A network for series, trained with it on windows, scores each by itself."""
    fitted = s.fit(budget=BRIEF)
    if s.info.transductive_only:
        require_scores(s.given(fitted, "scores_t"), len(s.pair.Xt), s.columns, "scores_t() of series")
        return
    X = s.pair.X
    require_scores(s.given(fitted, "predict", X), len(X), s.columns, "predict(X) of series")
    off = difference(s.predict(fitted, X[:20]), s.predict(fitted, X)[:20])
    require(off < ROUNDING, f"a subset of the windows is scored differently than among all (by {off:.2g})")


class Series(Contract):
    """A network for series; base learners see statistics of them, which are vectors."""

    n_classes = CLASSES
    net = "cnn1d"
    opens = True
    tests = (series,)

    def toy(self, **how: Any) -> Pair:
        return toy_series(**how)

    def concerns(self, info: MethodInfo) -> bool:
        return info.learner == "net"
