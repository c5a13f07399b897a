"""Published figures with their sources, one csv a data set; domains have the names of `zoo.data`.

The columns from ``split`` on say in fixed words what ``representation`` and ``protocol`` say freely, so that a run can
be compared with them: the protocol as a suite has it, the normalisation (empty: unknown), the learner (a base learner,
a network, or ``own``), whether the input is that of our data set, and whether target labels chose anything (``leaks``).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """Where figures come from, and what they depend on: figures of one source may be compared with each other."""

    reference: str
    representation: str
    protocol: str
    split: str
    normalise: tuple[str, ...]
    same_input: bool
    leaks: bool


@dataclass(frozen=True)
class Figure:
    """One published figure; `value` is in the unit of the records (an accuracy is a fraction).

    `note` is the source's own of the method, `caution` is ours of the figure.
    """

    dataset: str
    source: Source
    method: str
    learner: str
    pair: str
    metric: str
    value: float
    note: str
    caution: str


@cache
def figures() -> tuple[Figure, ...]:
    """All published figures, in the order of the files."""
    found = []
    for path in sorted(Path(__file__).parent.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [_figure(row) for row in csv.DictReader(file)]
    return tuple(found)


def _figure(row: dict[str, str]) -> Figure:
    told: dict[str, Any] = {key: row[key] for key in ("reference", "representation", "protocol", "split")}
    told |= {key: row[key] == "true" for key in ("same_input", "leaks")}
    source = Source(**told, normalise=tuple(row["normalise"].split()))
    value = float(row["value"]) / (100 if row["unit"] == "%" else 1)
    given = {key: row[key] for key in ("dataset", "method", "learner", "metric", "note")}
    return Figure(
        **given, caution=row.get("caution", ""), source=source, pair=f"{row['source']}:{row['target']}", value=value
    )
