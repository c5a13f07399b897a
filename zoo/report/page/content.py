"""What stands on a run's page, before it is HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import rules, status, table
from zoo.report.cells import LOWER, STUB, Cell, Table, ruled
from zoo.report.lines import lines
from zoo.report.notes import without_result


@dataclass(frozen=True)
class Body:
    """The rows of a setting; `numbers` are their places in the table, by which their records are found."""

    setting: str
    ruled: bool
    rows: Sequence[tuple[int, Any]]


@dataclass(frozen=True)
class Shown:
    """A table for the page."""

    caption: str
    stub: Sequence[str]
    table: Table
    bodies: Sequence[Body]
    notes: Sequence[str]
    better: str

    @property
    def width(self) -> int:
        return len(self.stub) + len(self.table.columns)


def shown(built: Table, without: Sequence[str] = ()) -> Shown:
    """A table with its rows numbered; notes that stand elsewhere on the page are left out."""
    plain, bodies, number = built.printable(), [], 0
    for setting, rows in plain.groups:
        bodies.append(Body(setting, ruled(setting), list(enumerate(rows, number))))
        number += len(rows)
    kept = [note for note in built.notes if note not in {*without}]
    return Shown(plain.caption, STUB, plain, bodies, kept, "low" if built.metric in LOWER else "high")


def value(cell: Cell) -> str:
    """What a column is sorted by; nothing where there is no number.

    >>> value(Cell(0.25)), value(Cell())
    ('0.25', '')
    """
    return "" if cell.value is None else repr(float(cell.value))


def main(run: Run) -> tuple[Shown, list[str]]:
    """The run's table with its time and memory, and what gave no result."""
    built = table.build(run)
    heads = {c.key: c.head for c in built.columns if ":" in c.key}
    failures = without_result(run, lines(run)[0], heads)
    return shown(built, failures), failures


def selection(run: Run) -> Shown | None:
    """Methods × rules of selection; none of a run without a search."""
    try:
        built = rules.build(run)
    except BadInput:  # one trial a method
        return None
    return shown(built)


def progress(run: Run) -> str:
    """How many of the planned cells are done; an older run does not say what was planned."""
    try:
        return f"{status.build(run).head}."
    except BadInput as error:
        return f"{error}."


def domains(run: Run) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of the data."""
    head = ["domain", "samples", "classes", "sha256 of its content"]
    rows = [
        [name, str(d.get("n", "–")), str(d.get("classes") or "–"), str(d.get("content") or "–")]
        for name, d in run.meta["domains"].items()
    ]
    return head, rows
