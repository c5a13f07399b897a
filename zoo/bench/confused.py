"""Which classes a cell takes for which: its stored predictions beside the labels, which only the data hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.bench.known import again, labels_alone
from zoo.errors import BadInput, one_line
from zoo.kinds import unknown
from zoo.kinds.base import Domain
from zoo.records import Record, Run
from zoo.report.beside import Beside

Confusion = tuple[tuple[str, ...], list[list[int]]]  # names of the classes; [true, predicted, n] where n > 0
NEAR = 1e-9  # of the accuracy that the predictions have to give
EXACT = "accuracy"


def confusions(folder: Path, run: Run, data_root: str | Path | None = None) -> tuple[dict[str, Confusion], str]:
    """The confusion of each cell whose predictions are in the folder, and why there are none.

    Predictions have to be those whose hash the record holds, and to give its accuracy with the labels that are here.
    """
    kept = [r for r in run.records if r["status"] == "ok" and (folder / "predictions" / f"{r['cell']}.npz").is_file()]
    if not kept:
        return {}, "No confusion matrices: the predictions are not in the run folder."
    try:
        _, _, data = again(labels_alone(run.meta), data_root)
    except BadInput as error:
        return {}, f"No confusion matrices: the data are not here ({one_line(error)})."
    found, wrong = {}, 0
    for record in kept:
        domain = data.domains.get(record["target"])
        if not isinstance(domain, Domain):  # of facts: there is one class, true or not
            continue
        names, y = unknown.names(data, record["source"]), unknown.numbers(data, record["source"], domain.y)
        # The last rows may have no label.
        counts = _counts(folder, record, dict(zip(domain.rows.tolist(), y.tolist(), strict=False)), len(names))
        if counts is None:
            wrong += 1
        else:
            at = np.argwhere(counts)
            found[record["cell"]] = tuple(names), [[int(i), int(j), int(counts[i, j])] for i, j in at]
    why = (
        f"Without a confusion matrix, since its predictions do not give its accuracy: {wrong} cell{'s'[: wrong != 1]}."
        if wrong
        else ""
    )
    return found, why


def _counts(folder: Path, record: Record, known: dict[int, int], n: int) -> np.ndarray | None:
    """Counts [true, predicted] by the labels of rows; None where predictions, labels and record do not belong."""
    arrays = Beside(folder).predictions(record)
    if not arrays:
        return None
    guessed, rows = arrays["test_predicted"].astype(int), arrays["test_rows"].astype(int)
    if len(guessed) != len(rows) or not len(rows) or not known.keys() >= {*rows.tolist()}:
        return None
    if guessed.min() < 0 or guessed.max() >= n:
        return None
    counts = np.zeros((n, n), int)
    np.add.at(counts, (np.array([known[row] for row in rows.tolist()]), guessed), 1)
    return counts if abs(np.trace(counts) / len(rows) - record["metrics"].get(EXACT, -1)) <= NEAR else None
