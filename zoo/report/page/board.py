"""The leaderboard of several runs: what each holds, and gains over the reference side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from zoo.records import Run, main_metric
from zoo.report.caption import domain_names
from zoo.report.cells import LOWER, PERCENT
from zoo.report.lines import Line, lines
from zoo.report.table import reference_of


@dataclass(frozen=True)
class Entry:
    """A run in the index."""

    name: str
    suite: str
    dataset: str
    protocol: str
    domains: int
    pairs: int
    rows: int
    cells: int
    failed: int
    best: str
    badge: str

    @classmethod
    def of(cls, name: str, run: Run, badge: str) -> Entry:
        suite, (known, _) = run.meta["suite"], lines(run)
        records = {r["cell"]: r for line in known for r in line.records()}
        failed = sum(r["status"] not in ("ok", "unsupported") for r in records.values())
        return cls(
            name,
            suite.get("name") or name,
            suite.get("dataset") or "own data",
            suite.get("protocol") or "–",
            len(domain_names(run.meta["pairs"])),
            len(run.meta["pairs"]),
            len(known),
            len(records),
            failed,
            _best(run, known),
            badge,
        )


@dataclass(frozen=True)
class Gain:
    """The mean over pairs of what a row gains over its reference, in points."""

    value: float
    text: str
    pairs: str = ""


def leaders(runs: Mapping[str, Run]) -> tuple[list[str], list[tuple[tuple[str, ...], list[Gain | None]]]]:
    """Runs, and for each (method, family, setting, learner) that has a reference beside it its gain in each of them.

    The learner is the base classifier or the network, whichever a run has: gains of different learners are not compared
    with one another, each is over the reference of its own.
    """
    found: dict[tuple[str, ...], dict[str, Gain]] = {}
    for name, run in runs.items():
        known, _ = lines(run)
        net, metric = run.meta["suite"].get("net"), main_metric(run.meta)
        for line in known:
            other = reference_of(line, known, run.meta["suite"])
            if other is None or other is line or line.oracle:
                continue
            gain = _gain(line, other, run, metric)
            if gain:
                learner = "network" if net and net in line.learner.split("@") else "classifier"
                found.setdefault((line.label, line.family, line.setting, learner), {})[name] = gain
    ordered = sorted(found, key=lambda key: (key[0], key[3], key[2]))
    return list(runs), [(key, [found[key].get(name) for name in runs]) for key in ordered]


def _gain(line: Line, other: Line, run: Run, metric: str) -> Gain | None:
    pairs, scale = run.meta["pairs"], 100 if metric in PERCENT else 1
    sign = -scale if metric in LOWER else scale
    both = [(a, b) for p in pairs if None not in (a := line.mean(p, metric), b := other.mean(p, metric))]
    if not both:
        return None
    value = fmean(sign * (a - b) for a, b in both)  # type: ignore[operator]
    text = f"{value:+.1f}" if scale == 100 else f"{value:+.3f}"
    return Gain(value, text, "" if len(both) == len(pairs) else f"{len(both)}/{len(pairs)} pairs")


def _best(run: Run, known: list[Line]) -> str:
    """The best row of those that see the target without labels that score them, and finished all pairs."""
    metric, pairs = main_metric(run.meta), run.meta["pairs"]
    scale, digits = (100, 1) if metric in PERCENT else (1, 3)
    whole: list[tuple[float, Line]] = []
    for line in known:
        means = [mean for p in pairs if (mean := line.mean(p, metric)) is not None]
        if means and len(means) == len(pairs) and not line.oracle and line.family != "baseline":
            whole.append((fmean(means), line))
    if not whole:
        return "–"
    value, line = (min if metric in LOWER else max)(whole, key=lambda pair: pair[0])
    return f"{line.label} ({line.learner}, {line.setting}): {metric} {scale * value:.{digits}f}"
