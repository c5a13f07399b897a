"""How well validators choose: rank correlation with target accuracy, and regret, from a run's records and values."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from zoo.errors import BadInput, printable
from zoo.records import Record, Run, main_metric
from zoo.report.cells import LOWER, PERCENT
from zoo.report.compare import Gain, student
from zoo.report.formats.md import escape, padded
from zoo.report.grid import Grid, latex
from zoo.report.selection import DEFAULT, NA, ORACLE, Search, choose, rules, said, searches, seeds

RANDOM = "random"  # the mean over trials: what a choice by lot has to expect
FEWEST = 3  # trials, of which a rank correlation is one

ByUnit = dict[tuple[str, int | None], list[float]]  # pair and seed → a number for each row


@dataclass(frozen=True)
class Figure:
    """A mean over pairs of their means over seeds and rows, with Student's intervals over pairs and over seeds.

    Attributes
    ----------
    of : how many rows × pairs × seeds stand in it
    """

    pairs: Gain
    seeds: Gain
    of: int


@dataclass(frozen=True)
class Judged:
    """What a rule is worth. None where there is nothing to say it from.

    Attributes
    ----------
    within : Spearman's correlation of its values and the metric over the trials of a row, pair and seed
    overall : the same over all rows and trials of a pair and seed
    regret : what the oracle's choice is better by, in points of the metric
    gain : what its choice is better by than the default
    failed, na : cells of which it gave no finite value, and of which it does not speak
    cells : those that it was asked of
    unchosen : selections that it could not make
    seconds : its mean time a cell
    """

    rule: str
    within: Figure | None
    overall: Figure | None
    regret: Figure | None
    gain: Figure | None
    failed: int
    na: int
    cells: int
    unchosen: int
    seconds: float | None


def judge(run: Run, metric: str = "") -> tuple[str, list[Judged]]:
    """The metric, and every rule of the run with the default, the oracle and a choice by lot beside the validators.

    Oracle rows are left out. Correlations are positive where a higher value goes with a better metric.

    Raises
    ------
    BadInput
        No validator has judged the run.
    """
    metric = metric or main_metric(run.meta)
    found = [s for s in searches(run) if not s.line.oracle]
    names = [rule for rule in rules(run) if rule not in (DEFAULT, ORACLE)]
    if not names:
        raise BadInput("--validators: no validator has judged this run (zoo run ... --validators all)")
    judged = [_judged(run, found, rule, metric) for rule in (*names, DEFAULT, ORACLE, RANDOM)]
    worst = float("inf")
    order = {rule: i for i, rule in enumerate((ORACLE, DEFAULT, RANDOM))}
    judged.sort(key=lambda j: (order.get(j.rule, -1), worst if j.regret is None else j.regret.pairs.mean, j.rule))
    return metric, judged


def _judged(run: Run, found: list[Search], rule: str, metric: str) -> Judged:
    sign = -1 if metric in LOWER else 1
    within: ByUnit = {}
    regret: ByUnit = {}
    gain: ByUnit = {}
    together: dict[tuple[str, int | None], list[tuple[float, float]]] = {}
    unchosen = 0
    for search in found:
        for pair, by_seed in search.pairs.items():
            for seed, tried in seeds(by_seed).items():
                known = _points(run, tried, rule, metric, sign)
                together.setdefault((pair, seed), []).extend(known)
                if (rho := spearman(known)) is not None:
                    within.setdefault((pair, seed), []).append(rho)
                if search.trials > 1:
                    values = _metrics(tried, metric, sign)
                    chosen = _chosen(run, tried, rule, metric, values)
                    unchosen += chosen is None and bool(values)
                    if chosen is not None:
                        regret.setdefault((pair, seed), []).append(max(values.values()) - chosen)
                        if 0 in values:
                            gain.setdefault((pair, seed), []).append(chosen - values[0])
    overall = {unit: [rho] for unit, points in together.items() if (rho := spearman(points)) is not None}
    cells = {r["cell"] for s in found for r in _records(s) if r["status"] == "ok"}
    said_ = [v for (cell, name), v in run.values.items() if name == rule and cell in cells]
    times = [v.seconds for v in said_ if v.seconds is not None]
    return Judged(
        rule=rule,
        within=_figure(within),
        overall=_figure(overall),
        regret=_figure(regret),
        gain=_figure(gain),
        failed=sum(v.status == "failed" for v in said_),
        na=sum(v.status == NA for v in said_),
        cells=len(said_),
        unchosen=unchosen,
        seconds=fmean(times) if times else None,
    )


def _records(search: Search) -> Iterable[Record]:
    return (r for by_seed in search.pairs.values() for tried in by_seed.values() for r in tried.values())


def _metrics(tried: dict[int, Record], metric: str, sign: int) -> dict[int, float]:
    said_ = {t: r["metrics"].get(metric) for t, r in tried.items() if r["status"] == "ok"}
    return {t: sign * v for t, v in said_.items() if v is not None}


def _points(run: Run, tried: dict[int, Record], rule: str, metric: str, sign: int) -> list[tuple[float, float]]:
    """Value and metric of each trial that has both."""
    values = {t: run.values.get((tried[t]["cell"], rule)) for t in tried}
    found = _metrics(tried, metric, sign)
    return [(v.value, found[t]) for t, v in values.items() if v is not None and v.value is not None and t in found]


def _chosen(run: Run, tried: dict[int, Record], rule: str, metric: str, values: dict[int, float]) -> float | None:
    if rule == RANDOM:
        return fmean(values.values()) if values else None
    trial = choose(run, tried, rule, metric).trial
    return None if trial is None else values.get(trial)


def spearman(points: list[tuple[float, float]]) -> float | None:
    """Spearman's rank correlation; None of fewer than three points, or where one side is constant.

    >>> spearman([(1, 10), (2, 20), (3, 25)]), spearman([(1, 1), (1, 2), (1, 3)])
    (1.0, None)
    """
    from scipy.stats import ConstantInputWarning, spearmanr

    if len(points) < FEWEST or any(len(set(side)) < 2 for side in zip(*points, strict=True)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return float(spearmanr(*zip(*points, strict=True)).statistic)


def _figure(units: ByUnit) -> Figure | None:
    if not units:
        return None
    means = {unit: fmean(values) for unit, values in units.items()}

    def by(key: Callable[[tuple[str, int | None]], Any]) -> Gain:
        groups: dict[Any, list[float]] = {}
        for unit, value in means.items():
            groups.setdefault(key(unit), []).append(value)
        return student([fmean(group) for _, group in sorted(groups.items(), key=lambda item: str(item[0]))])

    return Figure(by(lambda unit: unit[0]), by(lambda unit: unit[1]), sum(map(len, units.values())))


def render(run: Run, metric: str = "", form: str = "md") -> str:
    """The table of validators as markdown, LaTeX or JSON."""
    metric, judged = judge(run, metric)
    if form == "json":
        return json.dumps({"metric": metric, "rules": [asdict(j) for j in judged], "refused": run.refused}, indent=1)
    scale, unit = (100, " points") if metric in PERCENT else (1, "")
    heads = ["rule", "ρ within a method", "ρ over all", f"regret{unit}", f"gain over default{unit}"]
    heads += ["no value", "n/a", "no selection", "s a cell"]
    lines = [
        [
            j.rule,
            *(_shown(f, 1, 2, most=1.0) for f in (j.within, j.overall)),
            *(_shown(f, scale, 1 if scale == 100 else 3) for f in (j.regret, j.gain)),
            *(f"{n}/{j.cells}" if j.cells else "–" for n in (j.failed, j.na)),
            str(j.unchosen),
            "–" if j.seconds is None else f"{j.seconds:.2g}",
        ]
        for j in judged
    ]
    suite = run.meta["suite"]
    pairs, n = len(run.meta["pairs"]), max((j.regret.seeds.n for j in judged if j.regret), default=0)
    head = f"{suite.get('name')}: validators against target {metric}, {pairs} pairs, {n} seeds. {said(run, ['rules'])}."
    notes = [
        "mean over pairs [95 % interval, Student's t over pairs' means; of one pair over seeds]; "
        "pairs share domains, so intervals may be too narrow",
        "ρ: Spearman's rank correlation of a rule's values and the metric, over the trials of a row, pair and seed, or "
        "over all rows and trials of a pair and seed; three and more that are not all alike",
        "regret: what the best trial by test labels (oracle) is better by than the chosen one; "
        "rows with one trial have none. random: the mean over trials",
        "no value: cells of which it gave no finite value; n/a: of which it cannot speak; no selection: "
        "rows × pairs × seeds that it chose nothing for, which its regret and gain leave out",
    ]
    notes += run.remarks()
    if form == "latex":
        return latex(Grid(head, heads, lines, 1, notes))
    lines = [[*map(escape, line)] for line in lines]
    text = [head, "", *padded([heads, *lines], 1), "", *(f"- {note}" for note in notes)]
    return "\n".join(map(printable, text)) + "\n"


def _shown(figure: Figure | None, scale: int, digits: int, most: float = float("inf")) -> str:
    """A figure with its interval, which ends where the figure does: no correlation exceeds 1."""
    if figure is None:
        return "–"

    def text(value: float) -> str:
        return f"{round(scale * max(-most, min(most, value)), digits) + 0.0:.{digits}f}"

    shown = figure.pairs if figure.pairs.n > 1 else figure.seeds
    if shown.low is None or shown.high is None:
        return text(figure.pairs.mean)
    return f"{text(figure.pairs.mean)} [{text(shown.low)}, {text(shown.high)}]"
