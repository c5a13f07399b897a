"""Gains over the reference of the same learner, with intervals and paired tests: a pure function of the records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from zoo.errors import BadInput
from zoo.records import Run, main_metric
from zoo.report import selection, singles
from zoo.report.cells import LOWER, PERCENT
from zoo.report.lines import Line, lines
from zoo.report.statistics.hierarchical import Posterior, posterior
from zoo.report.statistics.paired import FEWEST, LEVEL, Gain, holm, student, tally, wilcoxon
from zoo.report.statistics.ranks import Ranks, ranks
from zoo.report.table import reference_of

ROPE = 1.0  # half the width of the region of practical equivalence, in points


@dataclass(frozen=True)
class Row:
    """What a method gains over its reference.

    Attributes
    ----------
    pairs : gains of the pairs, by seed against the same seed of the reference, with Student's t interval over seeds
    overall : the mean over pairs of the seeds' means, with Student's t interval over pairs
    p : Wilcoxon's signed-rank test over pairs, two-sided, after Holm over all rows; None where it cannot reach .05
    tally : pairs won, tied (within the region of practical equivalence) and lost
    next : what the hierarchical test expects of another pair; None of a single pair
    trusted : whether it may be called significant: at least 6 pairs, and two seeds of whatever draws random numbers
    """

    label: str
    setting: str
    learner: str
    pairs: dict[str, Gain]
    overall: Gain
    p: float | None
    tally: tuple[int, int, int]
    next: Posterior | None
    trusted: bool


def gains(
    run: Run, metric: str = "", reference: str = "", rope: float = ROPE, expect: bool = True
) -> tuple[str, list[Row], float]:
    """The metric, the rows with a reference, and the smallest p that Holm's first step lets the test reach.

    Gains are positive where the method is better. Oracle rows are left out. The reference is the suite's, or the row
    named, also of single sources (``dann [best single, oracle]``); BadInput if there is none of that name. Without
    `expect` nothing is said of another pair, which takes longest.
    """
    metric = metric or main_metric(run.meta)
    found, _ = lines(run)
    labels = sorted({line.label for line in found})
    alone: list[Line] = []
    if reference and reference not in labels:
        names = [name for name in selection.rules(run) if name != selection.DEFAULT]
        of_sources = [line for line in singles.beside(run, found, names, metric)[0] if line.rule]
        labels += sorted({line.shown for line in of_sources})
        alone = [replace(line, label=line.shown, rule="") for line in of_sources if line.shown == reference]
        if not alone:
            raise BadInput(f"unknown reference {reference!r}: the run has {', '.join(labels)}")
    suite = {**run.meta["suite"], **({"reference": reference} if reference else {})}
    compared: list[tuple[Line, dict[str, list[float]]]] = []
    for line in found:
        other = reference_of(line, [*found, *alone], suite)
        if other is None or other is line or line.oracle:
            continue
        by_pair = {p: differences(line, other, p, metric) for p in run.meta["pairs"]}
        if kept := {p: d for p, d in by_pair.items() if d}:
            compared.append((line, kept))
    raw = [wilcoxon([fmean(d) for d in by_pair.values()]) for _, by_pair in compared]
    smallest = max((2.0 ** (1 - len(by_pair)) for _, by_pair in compared), default=1.0) * len(compared)
    rho, width = correlation(run), rope / (100 if metric in PERCENT else 1)
    rows = []
    for (line, by_pair), p in zip(compared, holm(raw), strict=True):
        means = [fmean(d) for d in by_pair.values()]
        rows.append(
            Row(
                *(line.label, line.setting, line.learner),
                {pair: student(d) for pair, d in by_pair.items()},
                student(means),
                p if smallest <= 1 - LEVEL else None,
                tally(means, width),
                posterior(list(by_pair.values()), rope=width, rho=rho) if expect and len(means) > 1 else None,
                len(means) >= FEWEST and all(len(d) > 1 or _once(line, pair) for pair, d in by_pair.items()),
            )
        )
    return metric, rows, min(1.0, smallest)


def differences(line: Line, reference: Line, pair: str, metric: str) -> list[float]:
    """Of one pair, by seed, positive where the line is better; None stands for all seeds of what draws nothing."""
    own, other = line.values(pair, metric), reference.values(pair, metric)
    sign = -1 if metric in LOWER else 1
    seeds = sorted(({*own, *other} - {None}) or {None}, key=lambda s: (s is not None, s or 0))
    values = [(own.get(s, own.get(None)), other.get(s, other.get(None))) for s in seeds]
    return [sign * (a - b) for a, b in values if a is not None and b is not None]


def correlation(run: Run) -> float:
    """How far the differences of a pair over seeds hang together: the share of its samples that are tested.

    Nadeau and Bengio (2003). Under the transductive protocol seeds draw no samples, so that there is none.
    """
    suite = run.meta["suite"]
    folds = max([d.get("folds") or 0 for d in run.meta["domains"].values()], default=0)
    return {"holdout": 0.2, "folds": 1 - 1 / max(folds, 2)}.get(suite.get("protocol", ""), 0.0)


def ranked(run: Run, metric: str = "") -> tuple[list[Line], list[str], Ranks] | None:
    """Rows other than oracle ones that finished the same pairs, these pairs, and the ranks; None of fewer than two.

    Rows that are no result on one of the pairs are left out; see `Line.blind`.
    """
    metric = metric or main_metric(run.meta)
    found = [line for line in lines(run)[0] if not (line.oracle or any(map(line.blind, run.meta["pairs"])))]
    pairs = [p for p in run.meta["pairs"] if any(line.values(p, metric) for line in found)]
    kept = [line for line in found if pairs and all(line.values(p, metric) for p in pairs)]
    if len(kept) < 2 or len(pairs) < 2:
        return None
    values = np.array([[line.mean(p, metric) for line in kept] for p in pairs], np.float64)
    return kept, pairs, ranks(values, lower=metric in LOWER)


def every_two(run: Run, metric: str = "") -> list[tuple[str, str, float, float | None]]:
    """Each two rows: their names, the mean gain of the first, and Wilcoxon's p after Holm over all of them."""
    if (found := ranked(run, metric)) is None:
        return []
    rows, pairs, _ = found
    metric = metric or main_metric(run.meta)
    sign = -1 if metric in LOWER else 1
    gaps = {
        (a, b): [sign * ((x.mean(p, metric) or 0.0) - (y.mean(p, metric) or 0.0)) for p in pairs]
        for a, x in enumerate(rows)
        for b, y in enumerate(rows)
        if a < b
    }
    can = 2.0 ** (1 - len(pairs)) * len(gaps) <= 1 - LEVEL
    p = holm([wilcoxon(d) for d in gaps.values()]) if can else [None] * len(gaps)
    return [(name(rows[a]), name(rows[b]), fmean(d), q) for ((a, b), d), q in zip(gaps.items(), p, strict=True)]


def name(line: Line | Row) -> str:
    """A row in words: its label, with learner and setting."""
    return f"{line.label} ({', '.join(filter(None, (line.learner, line.setting)))})"


def _once(line: Line, pair: str) -> bool:
    """Whether a row draws no random numbers there, so that one run stands for all seeds."""
    return None in line.pairs.get(pair, {})
