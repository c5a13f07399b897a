"""Accuracy against the number of labelled target samples: runs of one suite that differ in `labels` alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report.formats.md import escape
from zoo.report.lines import Line, lines

REFERENCES = ("source_only", "labelled_only")  # what a method has to beat: no target label, no source


@dataclass
class Curve:
    """One row of the tables: by number of labels a class, the average over pairs by seed."""

    label: str
    values: dict[int | str, list[float]] = field(default_factory=dict)

    def mean(self, k: int | str) -> float:
        return 100 * fmean(self.values[k]) if self.values.get(k) else math.nan

    def deviation(self, k: int | str) -> float:
        return 100 * stdev(self.values[k]) if len(self.values.get(k, ())) > 1 else math.nan


def gathered(runs: Sequence[Run]) -> tuple[list[int | str], list[Curve]]:
    """The numbers of labels in order, and the curves of the parameter family and its references.

    Raises
    ------
    BadInput
        The runs differ in more than their labels, have the same number, or none of the rows.
    """
    suites = [run.meta["suite"] | {"pairs": run.meta["pairs"]} for run in runs]
    for suite in suites[1:]:
        for key in ("name", "dataset", "net", "steps", "batch_size", "learning_rate", "trainable", "pairs"):
            if suite.get(key) != suites[0].get(key):
                raise BadInput(f"runs of one curve differ in labels alone: {key} is {suite.get(key)}, {suites[0][key]}")
    amounts: list[int | str] = [suite.get("labels") or 0 for suite in suites]
    if len(set(amounts)) < 2 or len(set(amounts)) < len(amounts):
        raise BadInput(f"a curve needs runs of two or more numbers of labels, each once; got {amounts}")
    found: dict[str, Curve] = {}
    for k, run in zip(amounts, runs, strict=True):
        for line in lines(run)[0]:
            if line.learner == run.meta["suite"].get("net") and (
                line.family == "parameter" or line.label in REFERENCES
            ):
                found.setdefault(line.label, Curve(line.label)).values[k] = _by_seed(line, run.meta["pairs"])
    if not set(found) - set(REFERENCES):
        raise BadInput("no finished row of the parameter family in these runs")
    first = [found[name] for name in REFERENCES if name in found]
    return sorted(amounts, key=_order), first + [c for name, c in sorted(found.items()) if name not in REFERENCES]


def _order(k: int | str) -> float:
    return math.inf if k == "all" else float(k)


def _by_seed(line: Line, pairs: list[str]) -> list[float]:
    """The average over pairs for each seed that has them all."""
    by_pair = [line.values(pair, "accuracy") for pair in pairs]
    return [fmean(v[seed] for v in by_pair) for seed in by_pair[0] if all(seed in v for v in by_pair)]


def table(runs: Sequence[Run]) -> str:
    """The curves as a Markdown table, in %; the best of a column bold.

    Raises
    ------
    BadInput
        As `gathered`.
    """
    amounts, curves = gathered(runs)
    best = {k: max((c.mean(k) for c in curves if not math.isnan(c.mean(k))), default=math.nan) for k in amounts}
    head = [*("method", *(f"{k} a class" if k != "all" else "all" for k in amounts))]

    def text(c: Curve, k: int | str) -> str:
        if math.isnan(c.mean(k)):
            return "–"
        shown = f"{c.mean(k):.1f}" + ("" if math.isnan(c.deviation(k)) else f" ± {c.deviation(k):.1f}")
        return f"**{shown}**" if c.mean(k) == best[k] else shown

    rows = [
        head,
        [":---", *("---:" for _ in amounts)],
        *([escape(c.label), *(text(c, k) for k in amounts)] for c in curves),
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
