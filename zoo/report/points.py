"""What pictures take from a table: its finished rows, their means, gains and intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report.cells import PERCENT, Row, Table
from zoo.report.statistics.paired import student

FEW = 5  # pairs, below which an interval over them leaves the picture


def rows(table: Table) -> list[Row]:
    """Rows with a finished pair.

    Raises
    ------
    BadInput
        The table is of no percentages, which is what pictures show.
    """
    if table.metric not in PERCENT:
        raise BadInput(f"pictures show percentages, and this run's metric is {table.metric}: see zoo table")
    return [row for _, rows in table.groups for row in rows if done(table, row)]


def adapted(run: Run, table: Table) -> list[Row]:
    """Rows that see the target, but not the labels that score them."""
    return [row for row in rows(table) if row.setting != "none" and not row.setting.endswith("oracle")]


def done(table: Table, row: Row) -> set[str]:
    """The pairs that a row finished in all seeds."""
    return {c.key for c, cell in zip(table.columns, row.cells, strict=True) if ":" in c.key and cell.whole}


def common(table: Table, rows: list[Row]) -> list[str]:
    """The pairs that all rows finished, so that their means can be compared."""
    if not rows:
        raise BadInput("nothing to draw: the run has no finished cells that are scored")
    common = [c.key for c in table.columns if all(c.key in done(table, row) for row in rows)]
    if not common:
        raise BadInput("nothing to draw: no pair is finished by all rows; zoo status DIR says what is left")
    return common


def cell(table: Table, row: Row, key: str) -> Any:
    """The row's cell in a column."""
    return next(cell for c, cell in zip(table.columns, row.cells, strict=True) if c.key == key)


def values(table: Table, row: Row, pairs: list[str]) -> np.ndarray:
    """The means over seeds, in %."""
    return np.array([100 * cell(table, row, pair).value for pair in pairs])


def gain(run: Run, table: Table, row: Row, pair: str) -> float:
    """Points over the reference of the row's learner; NaN where one of the two is missing."""
    found = [cell(table, r, pair).value for r in (row, reference(run, table, row)) if r]
    return float("nan") if None in found else 100 * (found[0] - found[1])


def reference_name(run: Run) -> str:
    """The label of the row that others are compared with."""
    return str(run.meta["suite"].get("reference", "source_only"))


def learner(run: Run, row: Row) -> str:
    """The learner whose reference a row is compared with: the base, where a method has its own."""
    return str(run.meta["suite"].get("base")) if row.learner == "own" else row.learner


def reference(run: Run, table: Table, row: Row) -> Row | None:
    """The row that a row is compared with."""
    return find(table, reference_name(run), learner(run, row))


def find(table: Table, label: str, learner: str) -> Row | None:
    """The row of a label and learner."""
    return next((row for row in rows(table) if (row.label, row.learner) == (label, learner)), None)


def interval(table: Table, row: Row, reference: Row | None, pairs: list[str]) -> tuple[float, float]:
    """Ends of a whisker; see `zoo.report.plots.bars`."""
    own = values(table, row, pairs)
    if len(pairs) < FEW:
        spread = 100 * (cell(table, row, "average").std or 0)
        return own.mean() - spread, own.mean() + spread
    against = values(table, reference, pairs) if reference else np.zeros(len(pairs))
    gain = student(own - against)
    assert gain.low is not None  # of FEW pairs at least
    assert gain.high is not None
    return against.mean() + gain.low, against.mean() + gain.high


def name(row: Row) -> str:
    """A row's label, with its setting where that is not the usual one."""
    return row.label if row.setting in ("none", "unsupervised") else f"{row.label}, {row.setting}"


def over(pairs: list[str], table: Table) -> str:
    """How many of the pairs a mean is over, in words."""
    of = sum(":" in column.key for column in table.columns)
    return f"{len(pairs)} pair{'s'[: of > 1]}" if len(pairs) == of else f"{len(pairs)} of {of} pairs"


def measure(table: Table) -> str:
    """The table's metric as an axis names it."""
    return f"{'AUROC' if table.metric == 'auroc' else table.metric} (%)"
