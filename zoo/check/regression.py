"""The contract tests of methods that predict values: a plane through the toy pair's samples, moved with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.check import toys
from zoo.check.contract import Contract
from zoo.check.samples import process_state, refit, shared_results, sparse_rows
from zoo.check.subject import BRIEF, EXACT, ROUNDING, Skip, Subject, difference, expect, require
from zoo.errors import Diverged
from zoo.seeds import derive

NOISE = 0.2  # of labels, whose plane has a spread of about 1


def toy(shift: float = 1.0, **how: Any) -> toys.Pair:
    """Labels are a plane over the samples before the shift, with noise."""
    pair, g = toys.toy(shift, **how), torch.Generator().manual_seed(derive("plane"))
    width = pair.Xs.shape[1]
    slope = torch.randn(width, generator=g) / width**0.5 / 1.5

    def values(X: Tensor, shift: float) -> Tensor:
        return ((X - 0.5 * shift) / (1 + 0.2 * shift)) @ slope + NOISE * torch.randn(len(X), generator=g)

    labels = {"ys": values(pair.Xs, 0.0)}
    labels |= {y: values(getattr(pair, X), shift) for X, y in (("Xt", "yt"), ("Xl", "yl"), ("X", "y"))}
    return replace(pair, **labels)


def error(s: Subject, pair: Any = None) -> float:
    """The mean squared error on the test set, over that of the best constant."""
    pair = pair or s.pair
    found = s.predict(s.fitted if pair is s.pair else s.fit(pair), pair.X)[:, 0]
    return float((found - pair.y).square().mean() / (pair.y - pair.y.mean()).square().mean())


def shapes(s: Subject) -> None:
    """Predictions are finite values [n, 1]."""
    for rule, X in (("predict", s.pair.X), ("predict_source", s.pair.Xs)):
        _valid(s.predict(s.fitted, X, rule=rule), len(X), rule)


def row_wise(s: Subject) -> None:
    """The values of a subset, a permutation or a single sample are those rows of the values."""
    X = s.pair.X
    whole = s.predict(s.fitted, X)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))
    for what, rows in (("a permutation", order), ("a subset", order[:40]), ("one sample", order[:1])):
        off = difference(s.predict(s.fitted, X[rows]), whole[rows])
        require(off < 10 * ROUNDING, f"{what} of the samples is predicted differently than among all (by {off:.2g})")


def same_seed(s: Subject) -> None:
    """The same seed gives the same predictions; another too, where it is deterministic."""
    first = s.predict(s.fitted, s.pair.X)
    off = difference(s.predict(s.fit(), s.pair.X), first)
    require(off == 0, f"two fits with the same seed differ (by {off:.2g}): draw from task.generator or b.generator")
    if s.info.deterministic:
        off = difference(s.predict(s.fit(seed=1), s.pair.X), first)
        require(off < EXACT, f"deterministic = True, but another seed changes the predictions (by {off:.2g})")


def better_than_the_mean(s: Subject) -> str:
    """It predicts a plane, mildly shifted, better than the best constant does."""
    if s.info.family == "baseline" and s.info.learner == "own":
        raise Skip("a baseline without a learner is the mean itself")
    got = error(s)
    require(got < 0.9, f"R² {1 - got:.2f} on the toy pair")
    return f"R² {1 - got:.2f}"


def unit_of_labels(s: Subject) -> None:
    """Labels ten times as large and moved by three give predictions that are (networks: not tried)."""
    if s.use == "net":
        raise Skip("a network is trained in the unit of its labels")
    p = s.pair
    moved = {k: 10 * getattr(p, k) + 3 for k in ("ys", "yl", "yt")}
    off = difference(s.predict(s.fit(replace(p, **moved)), p.X), 10 * s.predict(s.fitted, p.X) + 3)
    require(off < 1e-3, f"the predictions do not follow the labels' unit (by {off:.2g})")


def single_and_constant(s: Subject) -> None:
    """A single target sample, and labels that are all equal, give predictions, or a reason."""
    p = s.pair
    one = replace(p, Xt=p.Xt[:1], yt=p.yt[:1])
    for pair in (one, replace(p, **{k: torch.full_like(getattr(p, k), 2.0) for k in ("ys", "yl", "yt")})):
        try:
            fitted = s.fit(pair, budget=BRIEF)
        except (FloatingPointError, Diverged):
            continue
        _valid(s.predict(fitted, pair.X), len(pair.X), "predict")


def device_agnostic(s: Subject) -> None:
    """Training steps run on the meta device."""
    if s.info.kind != "deep":
        raise Skip("trains no network by a penalty")
    answer = s.far.ask("train_on_meta", s.deadline, task=s.task(s.pair, budget=BRIEF))
    if expect(answer, exempt=bool)[0]:
        raise Skip("host_sync = True: it needs numbers on the host")


class Values(Contract):
    """Vectors with a value each."""

    n_classes = 1
    task = "regression"
    tests = (
        shapes,
        row_wise,
        same_seed,
        better_than_the_mean,
        unit_of_labels,
        single_and_constant,
        sparse_rows,
        refit,
        shared_results,
        process_state,
        device_agnostic,
    )

    def toy(self, **how: Any) -> Any:
        return toy(**how)


def _valid(values: Tensor, n: int, what: str) -> None:
    require(list(values.shape) == [n, 1], f"{what} has shape {list(values.shape)}, not {[n, 1]}")
    require(bool(torch.isfinite(values).all()), f"{what} is not finite")
