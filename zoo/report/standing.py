"""Where each method stands in the published tables: what `zoo info` says of it, from records."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

from zoo.records import Run, main_metric
from zoo.report.cells import EQUAL, PERCENT
from zoo.report.lines import Line, lines
from zoo.report.table import reference_of

FILE = Path(__file__).with_name("standing.csv")  # made by benchmarks/readme.py from results/
COLUMNS = (
    *("run", "setting", "learner", "method", "pairs", "seeds", "metric", "value", "gain", "rank", "of", "lost"),
    *("best_pair", "best_gain", "worst_pair", "worst_gain"),
)
SHOWN = 6  # tables in a paragraph
ENDS = {1: "st", 2: "nd", 3: "rd"}


def standings(run: Run, name: str) -> list[dict[str, Any]]:
    """A row for each finished, ranked row of a run's table; its main metric and gains in points.

    A gain is over the reference of the row's learner; the rank is among the rows of one setting and learner that
    finished all pairs, and rows that print alike share it. What differs by rounding alone is no loss, as in tables.
    """
    known, _ = lines(run)
    pairs, metric = run.meta["pairs"], main_metric(run.meta)
    if metric not in PERCENT:  # gains in points are of percentages
        return []
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in known:
        reference = reference_of(line, known, run.meta["suite"])
        if line.oracle or line.family == "baseline" or reference is None or line.label != line.method:
            continue
        own, other = _means(line, pairs, metric), _means(reference, pairs, metric)
        if len(own) < len(pairs) or len(other) < len(pairs) or any(map(line.blind, pairs)):
            continue
        gains = {pair: own[pair] - other[pair] for pair in pairs}
        best, worst = max(gains, key=gains.__getitem__), min(gains, key=gains.__getitem__)
        seeds = min(len(line.values(pair, metric)) for pair in pairs)
        groups[line.setting, line.learner].append(
            {"run": name, "setting": line.setting, "learner": line.learner, "method": line.method}
            | {"pairs": len(pairs), "seeds": seeds, "metric": metric, "value": fmean(own.values())}
            | {"gain": fmean(gains.values())}
            | {"lost": sum(g < -100 * EQUAL for g in gains.values()), "best_pair": best, "best_gain": gains[best]}
            | {"worst_pair": worst, "worst_gain": gains[worst]}
        )
    for rows in groups.values():
        rows.sort(key=lambda row: -row["value"])
        printed = [round(row["value"], 1) for row in rows]
        for row, value in zip(rows, printed, strict=True):
            row |= {"rank": printed.index(value) + 1, "of": len(rows)}
    return [row for rows in groups.values() for row in rows]


def _means(line: Line, pairs: Iterable[str], metric: str) -> dict[str, float]:
    found = {pair: line.mean(pair, metric) for pair in pairs}
    return {pair: 100 * value for pair, value in found.items() if value is not None}


def written(rows: Iterable[dict[str, Any]]) -> str:
    """The rows as CSV, numbers with one decimal."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.1f}" if isinstance(v, float) else v for k, v in row.items()})
    return file.getvalue()


def paragraph(method: str, text: str | None = None) -> str:
    """When a method wins and when it fails in our own tables; empty where it stands in none.

    Parameters
    ----------
    text : CSV of `written`; default: that of the package

    >>> head = ",".join(COLUMNS)
    >>> row = "digits,unsupervised,cnn,dan,2,5,accuracy,90.0,17.7,2,7,0,usps:mnist,22.8,mnist:usps,12.6"
    >>> print(paragraph("dan", head + chr(10) + row))
    In our tables: digits 90.0 (cnn; +17.7 over its reference, 2nd of 7 unsupervised). It wins most on digits usps→mnist
    (+22.8). It is nowhere below its reference.
    """
    import textwrap

    source = FILE.read_text(encoding="utf-8") if text is None else text
    rows = [row for row in csv.DictReader(io.StringIO(source)) if row["method"] == method]
    if not rows:
        return ""
    rows.sort(key=lambda row: -int(row["pairs"]) * int(row["seeds"]))
    told = [
        f"{row['run']} {row['value']}{' AUROC' * (row['metric'] == 'auroc')} "
        f"({row['learner']}; {float(row['gain']):+.1f} over its reference, "
        f"{_ordinal(int(row['rank']))} of {row['of']} {row['setting']})"
        for row in rows[:SHOWN]
    ]
    best = max(rows, key=lambda row: float(row["best_gain"]))
    worst = min(rows, key=lambda row: float(row["worst_gain"]))
    lost, pairs = sum(int(row["lost"]) for row in rows), sum(int(row["pairs"]) for row in rows)
    sentences = [f"In our tables: {'; '.join(told)}."]
    if float(best["best_gain"]) > 0:
        sentences.append(
            f"It wins most on {best['run']} {_arrow(best['best_pair'])} ({float(best['best_gain']):+.1f})."
        )
    if lost:
        where = f"{worst['run']} {_arrow(worst['worst_pair'])} ({float(worst['worst_gain']):+.1f})"
        sentences.append(f"It is below its reference on {lost} of {pairs} pairs, furthest on {where}.")
    else:
        sentences.append("It is nowhere below its reference.")
    return textwrap.fill(" ".join(sentences), 120)


def _ordinal(i: int) -> str:
    return f"{i}{'th' if i % 100 in (11, 12, 13) else ENDS.get(i % 10, 'th')}"


def _arrow(pair: str) -> str:
    return pair.replace(":", "→")
