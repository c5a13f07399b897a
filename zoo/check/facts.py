"""The contract tests of relational methods: a toy pair of databases whose predicates differ in nothing but their names.

Who is whose boss's boss follows from ``boss``, and is hinted at by ``senior``; in the source the same hierarchy of a
family is told as ``parent`` and ``elder``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.check.contract import Contract
from zoo.check.samples import plain, process_state, shared_results
from zoo.check.subject import EXACT, Fitted, Skip, Subject, difference, expect, require, require_scores
from zoo.errors import Unsupported
from zoo.facts import Facts
from zoo.seeds import derive

LEVELS = (4, 8, 12, 16)  # people of each rank, each with a boss in the rank above
RATIO = 2  # negatives for each positive in training


@dataclass(frozen=True, eq=False)
class Relational:
    """What a cell of a facts suite is granted, and a test fold: queries `X`, their labels `y`, its facts `A`."""

    Fs: Facts
    Xs: Tensor
    ys: Tensor
    Ft: Facts
    Xl: Tensor
    yl: Tensor
    A: Facts
    X: Tensor
    y: Tensor

    @property
    def asked(self) -> tuple[Any, ...]:
        """What `predict` gets for the test fold."""
        return self.X, self.A

    def fields(self, device: Any, use: str) -> tuple[dict[str, Any], Any]:
        """What a task may grant; no graphs."""
        return {k: getattr(self, k).to(device) for k in ("Xs", "ys", "Xl", "yl", "Fs", "Ft")}, None


def fold(names: tuple[str, str, str], seed: int, first: int = 0) -> tuple[Facts, Tensor, Tensor]:
    """A hierarchy as facts of the first two predicates, and all pairs with the truth of the third.

    Parameters
    ----------
    first : the id of the first constant, since folds share their ids
    """
    rng = np.random.default_rng(derive("hierarchy", seed))
    rank = np.repeat(np.arange(len(LEVELS)), LEVELS)
    ids = first + rng.permutation(len(rank))
    boss = np.array([rng.choice(np.flatnonzero(rank == r - 1)) if r else -1 for r in rank])
    has = boss >= 0
    related, senior, target = names
    relations = {related: np.stack([ids[boss[has]], ids[has]], 1), senior: ids[rank < 2][:, None]}
    types = {related: ("person", "person"), senior: ("person",), target: ("person", "person")}
    constants = tuple(f"p{i}" for i in range(2 * sum(LEVELS)))
    facts = Facts(target, {k: v.astype(np.int32) for k, v in relations.items()}, types, constants)
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(len(ids)), np.arange(len(ids)), indexing="ij"))
    truth = (boss[b] >= 0) & (boss[boss[b]] == a)
    other = a != b
    X, y = np.stack([ids[a], ids[b]], 1)[other], truth[other].astype(np.int64)
    order = rng.permutation(len(X))
    return facts, torch.from_numpy(X[order].astype(np.int64)), torch.from_numpy(y[order])


def toy(seed: int = 0, examples: int = 12) -> Relational:
    """A family as the source, two offices as training and test fold of the target."""
    Fs, Xs, ys = fold(("parent", "elder", "grandparent"), 2 * seed + 100)
    office = ("boss", "senior", "bossofboss")
    Ft, Xl, yl = fold(office, seed)
    A, X, y = fold(office, seed + 50, first=sum(LEVELS))
    return Relational(Fs, *_drawn(Xs, ys, len(ys)), Ft, *_drawn(Xl, yl, examples), A, X, y)


def _drawn(X: Tensor, y: Tensor, positives: int) -> tuple[Tensor, Tensor]:
    yes, no = torch.nonzero(y == 1)[:positives, 0], torch.nonzero(y == 0)[:, 0]
    rows = torch.cat([yes, no[: RATIO * len(yes)]])
    return X[rows], y[rows]


def _scores(s: Subject, pair: Relational, **how: Any) -> Tensor:
    return s.predict(s.fit(pair, **how), pair.X, pair.A)


def _auroc(scores: Tensor, y: Tensor) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y.numpy(), scores[:, 1].numpy()))


def shapes(s: Subject) -> None:
    """Scores are finite, non-negative [n, 2]; their rows sum to 1."""
    _valid(s, s.fitted, s.pair)


def row_wise(s: Subject) -> None:
    """The scores of a subset, a permutation or a single atom are those rows of the scores."""
    pair = s.pair
    whole = s.predict(s.fitted, pair.X, pair.A)
    order = torch.randperm(len(pair.X), generator=torch.Generator().manual_seed(1))
    for what, rows in (("a permutation", order), ("a subset", order[:40]), ("one atom", order[:1])):
        off = difference(s.predict(s.fitted, pair.X[rows], pair.A), whole[rows])
        require(off < EXACT, f"{what} of the atoms is scored differently than among all (by {off:.2g})")


def order_of_facts(s: Subject) -> None:
    """The order in which facts stand says nothing."""
    pair = toy()
    off = difference(
        _scores(s, replace(pair, Ft=_turned(pair.Ft), Fs=_turned(pair.Fs), A=_turned(pair.A))), _scores(s, pair)
    )
    require(off < EXACT, f"with its facts in another order it scores differently (by {off:.2g})")


def names_of_constants(s: Subject) -> None:
    """Constants under other ids and names give the same scores (where not deterministic: hardly another AUROC)."""
    pair = toy()
    n = len(pair.A.constants)
    to = np.random.default_rng(3).permutation(n)

    def facts(F: Facts) -> Facts:
        names = tuple(f"q{i}" for i in range(n))
        return replace(F, relations={k: to[v].astype(np.int32) for k, v in F.relations.items()}, constants=names)

    moved = torch.from_numpy(to)
    other = replace(pair, Ft=facts(pair.Ft), A=facts(pair.A), Xl=moved[pair.Xl], X=moved[pair.X])
    a, b = _scores(s, pair), _scores(s, other)
    if s.info.deterministic:
        require(
            difference(a, b) < EXACT,
            f"under other ids of the constants it scores differently (by {difference(a, b):.2g})",
        )
    gap = abs(_auroc(a, pair.y) - _auroc(b, pair.y))
    require(gap < 0.1, f"other ids of the constants change the AUROC by {gap:.2f}")


def same_seed(s: Subject) -> None:
    """The same seed gives the same scores."""
    off = difference(_scores(s, toy()), _scores(s, toy()))
    require(off == 0, f"two fits with the same seed differ (by {off:.2g}): draw from task.generator or task.seed")


def deterministic(s: Subject) -> None:
    """What says so draws no random numbers: another seed changes nothing."""
    if not s.info.deterministic:
        raise Skip("does not say so")
    off = difference(_scores(s, toy(), seed=1), _scores(s, toy()))
    require(off < EXACT, f"deterministic = True, but another seed changes the scores (by {off:.2g})")


def better_than_chance(s: Subject) -> str:
    """It ranks the true atoms of another fold before the false ones."""
    got = float(np.mean([_auroc(_scores(s, pair), pair.y) for pair in map(toy, range(3))]))
    require(got > 0.65, f"AUROC {got:.2f} on the toy pair, where chance is 0.50")
    return f"AUROC {got:.2f}"


def refit(s: Subject) -> None:
    """The constructor only stores; a fitted adapter, and a clone of its parameters, fit again as if new."""
    stored = plain(s.info.parameters)
    require(s.params() == stored, "the constructor does not store its parameters as they are")
    adapter = s.fit(toy(seed=1))
    params = s.params(adapter)
    require(params == stored, f"fit changes the parameters to {params}")
    for what, how in (("a fitted adapter", {"again": adapter}), ("a clone", {"params": s.info.parameters})):
        off = difference(_scores(s, s.pair, **how), _scores(s, s.pair))
        require(off == 0, f"{what} fitted again scores differently than a new one (by {off:.2g})")


def one_example(s: Subject) -> None:
    """A single positive example does not crash it."""
    _survives(s, toy(examples=1))


def no_facts(s: Subject) -> None:
    """Folds in which a relation, or every relation, has no facts do not crash it."""
    pair = toy()
    for empty in (["boss"], ["senior"], ["boss", "senior"]):
        hollow = [
            replace(F, relations={**F.relations, **{k: F.relations[k][:0] for k in empty}}) for F in (pair.Ft, pair.A)
        ]
        _survives(s, replace(pair, Ft=hollow[0], A=hollow[1]))


def another_schema(s: Subject) -> None:
    """A source whose target has other types and arity than ours gives scores, or a reason."""
    pair = toy()
    Fs = replace(
        pair.Fs,
        target="old",
        relations={"likes": pair.Fs.relations["parent"]},
        types={"likes": ("person", "thing"), "old": ("person",)},
    )
    _survives(s, replace(pair, Fs=Fs, Xs=pair.Xs[:, :1]))


def json_explanation(s: Subject) -> None:
    """What it explains can be stored as JSON."""
    answer = s.fitted.far.ask("explanation", s.deadline, name=s.fitted.name)
    if not expect(answer, explains=bool)[0]:
        raise Skip("explains nothing")


def _turned(F: Facts) -> Facts:
    return replace(F, relations={k: v[::-1].copy() for k, v in F.relations.items()})


def _survives(s: Subject, pair: Relational) -> None:
    try:
        _valid(s, s.fit(pair), pair)
    except Unsupported:
        return


def _valid(s: Subject, fitted: Fitted, pair: Relational) -> None:
    require_scores(s.given(fitted, "predict", pair.X, pair.A), len(pair.X), 2, "predict")


class Atoms(Contract):
    """Query atoms, which are true or false."""

    tests = (
        shapes,
        row_wise,
        order_of_facts,
        names_of_constants,
        same_seed,
        deterministic,
        better_than_chance,
        refit,
        one_example,
        no_facts,
        another_schema,
        shared_results,
        process_state,
        json_explanation,
    )

    def toy(self, **how: Any) -> Relational:
        return toy(**how)
