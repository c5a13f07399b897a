"""The comparison table: a pure function of a run's records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from zoo.errors import BadInput
from zoo.records import Run, main_metric
from zoo.report import singles, stream
from zoo.report.caption import abbreviations, caption
from zoo.report.cells import EQUAL, LOWER, PERCENT, Cell, Column, Row, Table
from zoo.report.formats import render
from zoo.report.lines import Line, lines
from zoo.report.notes import notes
from zoo.report.selection import asked, said, under
from zoo.report.terminal import rich

__all__ = ["build", "render", "rich"]

KNOWN = (*PERCENT, "nll", "cll", "mae", "rmse", "r2")
TOO_WIDE = 40  # characters of all pair heads together, beyond which they are abbreviated


def build(run: Run, metric: str = "", cost: bool = True, select: Sequence[str] = ()) -> Table:
    """Make the table of a run.

    Parameters
    ----------
    metric : one of the metrics in the records; default: the run's main one
    cost : whether time and memory stand beside it; without them, two runs on one machine give the same table
    select : rules by which one of a row's trials is chosen, a row for each; default: the row's own parameters

    Raises
    ------
    BadInput
        No record has this metric; a rule that the run has no values of.
    """
    metric = metric or main_metric(run.meta)
    known = sorted({name for record in run.records for name in record["metrics"]}) or list(KNOWN)
    if metric not in known:
        raise BadInput(f"unknown metric {metric!r}: this run has {', '.join(known)}")
    suite, pairs = run.meta["suite"], run.meta["pairs"]
    rows, stale = lines(run)
    chosen: list[str] = []
    if select:
        select = asked(run, select)
        rows, chosen = under(run, select, metric)
    rows, of_sources = singles.beside(run, rows, select, metric)
    planned, drawn = planned_seeds(run, rows)
    n = drawn or 1
    short = abbreviations(pairs) if sum(map(len, pairs)) > TOO_WIDE else {}
    heads = {pair: _head(pair, short) for pair in pairs}
    unit = "%" if metric in PERCENT else ""
    columns = [Column(pair, head, unit) for pair, head in heads.items()]
    columns += [Column("average", "average", unit), Column("negative_transfer", "negative transfer", "pairs")]
    columns += stream.columns(suite, cost)
    columns += [Column("time_s", "time (s)", "s"), Column("memory_mb", "memory (MB)", "MB")] if cost else []
    groups = []
    for setting, members in groupby(rows, key=lambda line: line.setting):
        group = list(members)
        every = [finished(line, pairs, metric, planned) for line in group]
        # A row that finished nothing has no average, and takes nobody else's away.
        common = [p for p in pairs if all(p in done for done in every if done)]
        filled = []
        for line, done in zip(group, every, strict=True):
            cells = [_pair(line, pair, metric, planned, n) for pair in pairs]
            cells.append(averaged(line, common, metric, planned, n, len(pairs)) if common and done else Cell())
            cells.append(_negative(line, reference_of(line, rows, suite), pairs, metric))
            if stream.streams(suite):
                last = averaged(line, common, stream.LAST, planned, n, len(pairs)) if common and done else Cell()
                cells += [last, stream.seconds(line, suite)] if cost else [last]
            cells += [_time(line), _memory(line)] if cost else []
            if not singles.ranked(line.rule):
                cells = [replace(cell, ranked=False) for cell in cells]
            filled.append(_gathered(Row(line.setting, line.learner, line.family, line.shown, line.method, cells)))
        ranked = setting != "none" and not group[0].oracle
        groups.append((setting, marked(filled, metric) if ranked else filled))
    words = f"{metric.replace('_', ' ')}{' in %' if unit else ''}"
    seeds = "n = 1, no cell depends on the seed" if not drawn else f"n = {n} seed{'s'[: n > 1]}"
    title = f"{words}, {seeds}"
    words = said(run, select) if select else ""
    of = singles.said(run, select)
    text = caption(run.meta, title, [line.learner for line in rows], short, words, of)
    table = Table(text, metric, columns, groups, [])
    better = "lower" if metric in LOWER else "higher"
    chosen = [note for note in chosen if cost or not note.startswith("time")]
    return replace(table, notes=[*chosen, *of_sources, *notes(run, table, rows, stale, heads, better)])


def _head(pair: str, short: dict[str, str]) -> str:
    return "→".join("+".join(short.get(name, name) for name in side.split("+")) for side in pair.split(":"))


def planned_seeds(run: Run, rows: Sequence[Line]) -> tuple[set[int], int]:
    """The seeds that a finished pair has, and how many that is; 0 where no cell depends on the seed."""
    seen = {record["seed"] for line in rows for record in line.records()}
    planned = set(range(run.meta["suite"].get("seeds", 1))) | (seen - {None})
    return planned, 0 if seen == {None} else len(planned)


def finished(line: Line, pairs: Iterable[str], metric: str, planned: set[int]) -> set[str]:
    """The pairs of which a row has all planned seeds."""
    return {p for p in pairs if _finished(line.values(p, metric), planned)}


def _finished(seeds: Iterable[int | None], planned: set[int]) -> bool:
    seeds = set(seeds)
    return None in seeds or seeds >= planned


def _cell(values: list[float], metric: str, n: int, whole: bool, blind: bool, *remarks: str) -> Cell:
    """A mean over seeds as printed, with its n where that is not the caption's."""
    scale, digits = (100, 1) if metric in PERCENT else (1, 3)
    mean, std = fmean(values), stdev(values) if len(values) > 1 else None
    remarks = remarks if len(values) == n else (f"n={len(values)}", *remarks)
    tail = "" if std is None else f" ± {scale * std:.{digits}f}"
    tail += f" ({', '.join(remarks)})" if remarks else ""
    return Cell(mean, std, len(values), f"{scale * mean:.{digits}f}", tail, ranked=whole and not blind, whole=whole)


def _gathered(row: Row) -> Row:
    """Say once what would stand behind each value of a row: that all come from one cell."""
    remark = " (n=1)"
    values = [cell for cell in row.cells if cell.ranked]
    if not values or any(cell.tail != remark for cell in values):
        return row
    return replace(row, remark=remark, cells=[replace(c, tail="") if c.ranked else c for c in row.cells])


def _pair(line: Line, pair: str, metric: str, planned: set[int], n: int) -> Cell:
    statuses = {record["status"] for record in line.pairs.get(pair, {}).values()}
    if statuses and "ok" not in statuses:
        return Cell(text="/".join(sorted(statuses)))
    values = line.values(pair, metric)
    blind = bool(line.blind(pair))
    return _cell(list(values.values()), metric, n, _finished(values, planned), blind) if values else Cell()


def averaged(line: Line, common: list[str], metric: str, planned: set[int], n: int, of: int) -> Cell:
    """The mean over pairs of each seed, then over seeds; a cell that stands for all seeds does so here."""
    by_pair = [line.values(pair, metric) for pair in common]
    seeds: Iterable[int | None] = [None] if all(None in values for values in by_pair) else sorted(planned)
    averages = [fmean(v[seed] if seed in v else v[None] for v in by_pair) for seed in seeds]
    remarks = [] if len(common) == of else [f"{len(common)}/{of} pairs"]
    return _cell(averages, metric, n, not remarks, any(map(line.blind, common)), *remarks)


def reference_of(line: Line, rows: list[Line], suite: dict[str, Any]) -> Line | None:
    """The reference row of a row's learner; a method with a learner of its own compares under the base."""
    for other in rows:
        base = line.learner == "own" and other.learner.split("@")[0] == suite.get("base")
        same = other.rule in ("", line.rule) and (other.learner == line.learner or base)
        if other.label == suite.get("reference", "source_only") and same:
            return other
    return None


def _negative(line: Line, reference: Line | None, pairs: list[str], metric: str) -> Cell:
    if reference is None or reference is line or line.oracle:
        return Cell()
    sign = -1 if metric in LOWER else 1
    means = [(line.mean(pair, metric), reference.mean(pair, metric)) for pair in pairs]
    gains = [sign * (a - b) for a, b in means if a is not None and b is not None]
    worse = sum(gain < -EQUAL for gain in gains)
    return Cell(worse, None, len(gains), f"{worse}/{len(gains)}") if gains else Cell()


def _time(line: Line) -> Cell:
    done = [r for r in line.records() if r["status"] == "ok" and r.get("fit_s") is not None]
    times = [r["fit_s"] + (r.get("shared_s") or 0) for r in done]
    return Cell(fmean(times), None, len(times), f"{fmean(times):.2f}") if times else Cell()


def _memory(line: Line) -> Cell:
    peaks = [r["peak_rss_mb"] for r in line.records() if r["status"] == "ok" and r.get("peak_rss_mb") is not None]
    return Cell(max(peaks), None, len(peaks), f"{max(peaks):.0f}") if peaks else Cell()


def marked(rows: list[Row], metric: str) -> list[Row]:
    """Mark best and second of each column; what prints alike is marked alike, and one alone is not marked."""
    columns = []
    for column in zip(*(row.cells for row in rows), strict=True):
        places = sorted({float(cell.text) for cell in column if cell.ranked}, reverse=metric not in LOWER)
        marks = dict(zip(places, ("best", "second"), strict=False)) if sum(c.ranked for c in column) > 1 else {}
        columns.append([replace(c, mark=marks.get(float(c.text), "")) if c.ranked else c for c in column])
    return [replace(row, cells=list(cells)) for row, cells in zip(rows, zip(*columns, strict=True), strict=True)]
