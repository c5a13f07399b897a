"""Which rows of a run its tables and pictures show, and in which order: a run that holds these alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from zoo.errors import BadInput, unknown
from zoo.records import Run, main_metric
from zoo.report.cells import LOWER
from zoo.report.lines import FAMILIES, Line, lines

SORTS = ("family", "name", "accuracy")


@dataclass(frozen=True)
class Choice:
    """What is asked for.

    Attributes
    ----------
    methods : labels of rows, or names of methods; none: all
    top : so many rows of the best mean over pairs; 0: all
    sort : the order of rows within a setting and learner: "family", "name", or "accuracy", the best first
    pairs : ``source:target``; none: all
    """

    methods: Sequence[str] = ()
    top: int = 0
    sort: str = ""
    pairs: Sequence[str] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is asked for."""
        return self == Choice()


def chosen(run: Run, choice: Choice, metric: str = "") -> Run:
    """The run with the rows and pairs that are asked for, and with what has to be said of the others.

    The reference stays beside named methods, and the baselines beside the best ones, which they are compared with.

    Raises
    ------
    BadInput
        A method or a pair that the run does not have, or an order that there is not.
    """
    if choice.whole:
        return run
    if choice.sort not in ("", *SORTS):
        raise unknown("--sort", choice.sort, SORTS)
    run = _of_pairs(run, choice.pairs)
    metric = metric or main_metric(run.meta)
    known = lines(run)[0]
    kept = _named(run, known, choice.methods)
    pairs = scored(run, [x for x in known if not _beside(x)] or known, metric)
    means = {x.key: merit(x, pairs, metric) for x in known}
    why = ""
    if choice.top:
        ranked = sorted((x for x in kept if not _beside(x)), key=lambda x: (-means[x.key], x.key))
        best = [x for x in ranked[: choice.top] if means[x.key] > float("-inf")]
        if ranked and not best:
            raise BadInput(
                f"--top: no row has a mean {metric} over all pairs that could be ranked; --methods names rows"
            )
        kept = [x for x in kept if _beside(x) or x in best]
        among = " of those that --methods names" if choice.methods else ""
        why = f": these are the {len(best)} best in {metric} on the test{among}, and the baselines"
    said = [f"{len(known) - len(kept)} of {len(known)} rows"] if len(kept) < len(known) else []
    kept = sorted(kept, key=lambda x: _places(x, means[x.key])[choice.sort or SORTS[0]])
    labels = {x.label for x in kept}
    meta = run.meta | {"unsupported": [u for u in run.meta.get("unsupported", []) if u.get("label") in labels]}
    records = [r for r in run.records if labels & {*run.labels(r), *run.tried(r)}]
    omitted = [run.omitted, *(f"left out: {x}{why}" for x in said)]
    return replace(
        run,
        meta=meta,
        records=records,
        shown=tuple(x.key for x in kept) or (("", "", ""),),
        omitted="; ".join(filter(None, omitted)),
    )


def _of_pairs(run: Run, pairs: Sequence[str]) -> Run:
    known = run.meta["pairs"]
    for pair in pairs:
        if pair not in known:
            raise unknown("pair", pair, known)
    if not pairs or len(kept := [p for p in known if p in pairs]) == len(known):
        return run
    said = f"left out: {len(known) - len(kept)} of {len(known)} pairs"
    return replace(run, meta=run.meta | {"pairs": kept}, omitted=said)


def _named(run: Run, known: Sequence[Line], names: Sequence[str]) -> list[Line]:
    """The rows that are named, and their references."""
    for name in names:
        if not any(name in (x.label, x.method) for x in known):
            raise unknown("method", name, sorted({x.label for x in known}))
    reference = run.meta["suite"].get("reference", "source_only")
    found = [x for x in known if not names or x.label in names or x.method in names]
    learners = {x.learner for x in found} | {run.meta["suite"].get("base") for x in found if x.learner == "own"}
    return [
        x for x in known if x in found or (x.label == reference and learners & {x.learner, x.learner.partition("@")[0]})
    ]


def _beside(line: Line) -> bool:
    """Whether a row is one that others are compared with."""
    return line.oracle or line.family == "baseline"


def scored(run: Run, known: Sequence[Line], metric: str) -> list[str]:
    """The pairs on which any row has the metric: a target without labels ranks nothing."""
    return [pair for pair in run.meta["pairs"] if any(x.mean(pair, metric) is not None for x in known)]


def merit(line: Line, pairs: Sequence[str], metric: str) -> float:
    """The mean over all pairs, the larger the better; a row that lacks one, or is not ranked there, comes last."""
    means = [None if line.blind(pair) else line.mean(pair, metric) for pair in pairs]
    if None in means or not means:
        return float("-inf")
    return fmean(m for m in means if m is not None) * (-1 if metric in LOWER else 1)


def _places(line: Line, mean: float) -> dict[str, tuple[Any, ...]]:
    """What a row is sorted by, for each order."""
    family = FAMILIES.index(line.family) if line.family in FAMILIES else len(FAMILIES)
    name = line.label.casefold(), line.label
    return {"family": (family, *name), "name": name, "accuracy": (-mean, *name)}
