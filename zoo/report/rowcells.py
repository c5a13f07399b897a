"""Rows of a run with their finished cells, the best first: what pictures of single cells draw from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from zoo.errors import BadInput
from zoo.records import Record, Run, main_metric
from zoo.report.choice import merit, scored
from zoo.report.lines import Line, lines

T = TypeVar("T")
FEW = 6  # rows that are drawn where none are named


def best(
    run: Run, of: Callable[[Record], T | None], nothing: str, most: int = FEW
) -> tuple[list[tuple[Line, list[T]]], int]:
    """Rows in the order of the run's choice, or else the best few, with what `of` finds of each finished cell.

    Parameters
    ----------
    of : what is drawn of a cell; None: nothing
    nothing : why there is nothing to draw, where there is not
    most : rows at most

    Returns
    -------
    The rows, and how many were not looked at.
    """
    metric = main_metric(run.meta)
    rows = [line for line in lines(run)[0] if not line.oracle and finished(line)]
    if not run.shown:
        pairs = scored(run, rows, metric)
        rows.sort(key=lambda line: (-merit(line, pairs, metric), line.key))
    found: list[tuple[Line, list[T]]] = []
    for i, line in enumerate(rows):
        if len(found) == most:
            return found, len(rows) - i
        if cells := [made for r in finished(line) if (made := of(r)) is not None]:
            found.append((line, cells))
    if not found:
        raise BadInput(f"nothing to draw: {nothing}")
    return found, 0


def finished(line: Line) -> list[Record]:
    """The finished cells of a row, by pair and seed."""
    kept = {
        r["cell"]: r
        for by_seed in line.pairs.values()
        for _, r in sorted(by_seed.items(), key=lambda item: (item[0] is not None, item[0] or 0))
        if r["status"] == "ok"
    }
    return list(kept.values())


def name(line: Line) -> str:
    """A row as a panel names it: label, setting where it is not the usual one, and learner."""
    setting = "" if line.setting in ("none", "unsupervised") else f", {line.setting}"
    return f"{line.label}{setting} ({line.learner})"


def beside(n: int, drawn: int, run: Run) -> str:
    """What is said of rows that are not drawn."""
    if not n:
        return ""
    which = "the first" if run.shown else "the best"
    return f"left out: {n} row{'s'[: n > 1]} beside {which} {drawn}; --methods chooses"
