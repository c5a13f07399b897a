"""Records as a pandas frame, for one's own analysis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zoo.records import Record, Run

if TYPE_CHECKING:
    import pandas as pd

NESTED = {"metrics": "", "parameters": "parameters.", "validators": "validators.", "certificate": "certificate."}
# Alike in every row of a run, or no value for a column.
LEFT_OUT = {
    "data",
    "suite",
    "versions",
    "curves",
    "v",
    "digest",
    "files",
    "supersedes",
    "models_sha256",
}


def frame(runs: Run | Iterable[Run]) -> pd.DataFrame:
    """One row a cell, metrics as columns, other maps as dotted columns: ``parameters.reg``, ``validators.entropy``.

    `label` is the table row of a cell (None: of no row of the last plan), `stale` whether the table leaves it out
    because other code or data gave it.
    """
    import pandas as pd

    runs = [runs] if isinstance(runs, Run) else runs
    rows = []
    for run in runs:
        judged: dict[str, dict[str, float | None]] = {}
        for (cell, name), value in sorted(run.values.items()):
            judged.setdefault(cell, {})[f"validators.{name}"] = value.value
        rows += [_flat(run, record) | judged.get(record["cell"], {}) for record in run.records]
    table = pd.DataFrame(rows)
    return table.astype({"seed": "Int64"}) if len(table) else table


def _flat(run: Run, record: Record) -> dict[str, Any]:
    labels = run.labels(record)
    row: dict[str, Any] = {
        "run": run.meta["suite"].get("name"),
        "label": ", ".join(labels) or None,
        "stale": all(run.stale(record, label) for label in labels),
    }
    row |= {key: value for key, value in record.items() if key not in NESTED.keys() | LEFT_OUT}
    return row | {
        prefix + key: value for name, prefix in NESTED.items() for key, value in (record.get(name) or {}).items()
    }
