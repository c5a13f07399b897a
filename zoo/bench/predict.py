"""What a run says of every row of its targets, or of rows that were not there: class and scores, averaged over seeds.

No label is read for it: the data are loaded for the order of their rows and the names of their classes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import discover, machine, records
from zoo.bench.again import Unplanned, loaded
from zoo.errors import BadInput, one_line
from zoo.kinds import unknown
from zoo.kinds.base import Data, Domain
from zoo.records import Record, Run
from zoo.records.store import unpacked
from zoo.report.beside import Beside

if TYPE_CHECKING:
    import pandas as pd

    from zoo.bench.suite import Suite

Arrays = Mapping[str, np.ndarray]
Pairs = dict[str, list[Record]]  # the cells of a method by pair, one a seed


@dataclass(frozen=True)
class Said:
    """What the cells of a pair say of rows: means over those that scored a row, NaN where none did.

    Attributes
    ----------
    scores : array [n, columns]
    predicted : int array [n], the class; where means are equal, the one that more cells predict
    seeds : int array [n], how many cells scored it
    """

    scores: np.ndarray
    predicted: np.ndarray
    seeds: np.ndarray


def predict(
    folder: Path,
    method: str,
    *,
    pairs: Sequence[str] | None = None,
    learner: str = "",
    setting: str = "",
    data_root: str | Path | None = None,
) -> pd.DataFrame:
    """The stored predictions of a row of the table, a line for each row of a target in the order of its file.

    Parameters
    ----------
    method : the row's label
    pairs : those asked for; default: all of the run
    learner, setting : of the row, where several have one label

    Raises
    ------
    BadInput
        There is no such row, or there are several; predictions or data are not here, or not those of the run.
    """
    run = records.read(folder)
    cells = chosen(folder, run, method, pairs, learner, setting)
    kept = {r["cell"]: stored(folder, r) for found in cells.values() for r in found}
    suite, data = data_of(folder, run, data_root)
    parts = []
    for pair, found in cells.items():
        domain = of_run(folder, data, found)
        said = averaged([of_cell(kept[r["cell"]]) for r in found], int(domain.rows.max()) + 1)
        rows, names = np.sort(domain.rows), unknown.names(data, found[0]["source"])
        parts.append(lines(pair, said, rows, _places(suite, domain, rows), names))
    return joined(parts)


def chosen(
    folder: Path, run: Run, method: str, pairs: Sequence[str] | None, learner: str = "", setting: str = ""
) -> Pairs:
    """The finished cells of a row of the table, with the row's own parameters, by pair.

    Raises
    ------
    BadInput
        As `predict`.
    """
    if method not in run.meta["rows"]:
        raise discover.unknown("method", method, sorted(run.meta["rows"]))
    for pair in pairs or ():
        if pair not in run.meta["pairs"]:
            raise discover.unknown("pair", pair, run.meta["pairs"])
    own = [r for r in run.records if method in run.labels(r)]
    done = [r for r in own if r["status"] == "ok" and not run.stale(r, method)]
    if not done:
        states = sorted({"stale" if r["status"] == "ok" else r["status"] for r in own}) or ["not run"]
        raise BadInput(f"{folder}: no cell of {method} has finished ({', '.join(states)}): see zoo status {folder}")
    done = [
        r for r in done if r["learner"] in (learner or r["learner"],) and r["setting"] in (setting or r["setting"],)
    ]
    kinds = sorted({(r["learner"], r["setting"]) for r in done})
    if len(kinds) != 1:
        there = "; ".join(f"{x}, {y}" for x, y in kinds or sorted({(r["learner"], r["setting"]) for r in own}))
        what = "is several rows" if kinds else "has no row of that learner and setting"
        raise BadInput(f"{folder}: {method} {what}: choose by --learner and --setting one of: {there}")
    found: Pairs = {}
    for pair in pairs or run.meta["pairs"]:
        source, target = pair.split(":")
        cells = [r for r in done if r["target"] == target and r["source"] in (source, None)]
        if cells:
            found[pair] = cells
        elif pairs:
            raise BadInput(f"{folder}: no cell of {method} on {pair} has finished: see zoo status {folder}")
    return found


def stored(folder: Path, record: Record) -> dict[str, np.ndarray]:
    """The predictions of a cell, which are those whose hash its record holds.

    Raises
    ------
    BadInput
        They are not there, or others.
    """
    path = folder / "predictions" / f"{record['cell']}.npz"
    if not path.is_file():
        raise BadInput(
            f"{path} is not there: predictions stay where a run was made (git ignores them); the same zoo run makes "
            "them again in a folder of its own"
        )
    if not (found := Beside(folder).predictions(record)):
        raise BadInput(f"{path}: is not what was stored: its record holds another hash")
    return found


def data_of(folder: Path, run: Run, data_root: str | Path | None) -> tuple[Suite, Data]:
    """The data of a run.

    Raises
    ------
    BadInput
        They are not here.
    """
    try:
        suite, _, data = loaded(run, machine.data_root(data_root), methods=(), trials=1)
    except Unplanned as error:
        raise BadInput(f"{folder}: its data are not here ({one_line(error.why)})") from None
    return suite, data


def of_run(folder: Path, data: Data, cells: Sequence[Record]) -> Domain:
    """The target of some cells, which has to be what they had.

    Raises
    ------
    BadInput
        It is another, or holds nothing that has rows.
    """
    target = cells[0]["target"]
    domain = data.domains[target]
    if not isinstance(domain, Domain):
        raise BadInput(f"{folder}: {target} holds facts, which are no rows of a file")
    for record in cells:
        for name, content in record["data"].items():
            if data.domains[name].content != content:
                raise BadInput(f"{folder}: the data of {name} have changed since the run: other hash of their content")
    return domain


def averaged(cells: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], n: int) -> Said:
    """Means over cells, each of them (rows, scores [rows, columns], predicted [rows]), for rows 0 to n - 1.

    >>> one = (np.array([1, 0]), np.array([[0.5, 0.5], [0.75, 0.25]]), np.array([1, 0]))
    >>> two = (np.array([1]), np.array([[0.0, 1.0]]), np.array([1]))
    >>> said = averaged([one, two], 2)
    >>> said.scores.tolist(), said.predicted.tolist(), said.seeds.tolist()
    ([[0.75, 0.25], [0.25, 0.75]], [0, 1], [1, 2])
    """
    total = votes = np.zeros((n, 0))
    seeds = np.zeros(n, np.int64)
    for rows, scores, predicted in cells:
        if not total.shape[1]:
            total, votes = np.zeros((n, scores.shape[1])), np.zeros((n, scores.shape[1]))
        rows, first = np.unique(rows, return_index=True)  # of a row in two sets, once
        total[rows] += scores[first]
        votes[rows, predicted[first]] += 1
        seeds[rows] += 1
    means = np.divide(total, seeds[:, None], out=np.full(total.shape, np.nan), where=seeds[:, None] > 0)
    best = means == means.max(1, keepdims=True)
    return Said(means, (best * (1 + votes)).argmax(1), seeds)


def of_cell(kept: Arrays, sets: Sequence[str] = ("test", "adapt")) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, scores and classes that a cell stored of some sets; values where there are no classes."""
    sets = [name for name in sets if f"{name}_rows" in kept]
    rows = np.concatenate([kept[f"{name}_rows"] for name in sets]).astype(np.int64)
    predicted = np.concatenate([kept[f"{name}_predicted"] for name in sets])
    if len(rows) != len(predicted):
        raise BadInput("its predictions do not say of which rows they are")
    if f"{sets[0]}_log_scores" not in kept:
        return rows, predicted.astype(np.float64)[:, None], np.zeros(len(rows), np.int64)
    return rows, unpacked(np.concatenate([kept[f"{name}_log_scores"] for name in sets])), predicted.astype(np.int64)


def _places(suite: Suite, domain: Domain, rows: np.ndarray) -> dict[str, Any]:
    """Where rows, in the order of loading, stand in their files: the columns that say so."""
    if domain.groups is None:
        files, numbers = suite.source.places(domain.name, int(domain.rows.max()) + 1)
        return ({"file": [files[r] for r in rows]} if files else {}) | {"row": numbers[rows]}
    return windows(domain.groups[np.argsort(domain.rows)])


def windows(series: np.ndarray) -> dict[str, Any]:
    """The number of the series of each window, and its own in that, where a series has several.

    >>> windows(np.array([0, 0, 2]))
    {'row': array([0, 0, 2]), 'window': array([0, 1, 0])}
    """
    first = np.searchsorted(series, series)
    own = np.arange(len(series)) - first
    return {"row": series} | ({"window": own} if own.any() else {})


def lines(pair: str, said: Said, rows: np.ndarray, places: dict[str, Any], classes: Sequence[str]) -> pd.DataFrame:
    """The lines of some rows, as they are written."""
    import pandas as pd

    source, target = pair.split(":")
    scores, seeds = said.scores[rows], said.seeds[rows]
    head = places | {"domain": target, "source": source}
    if not classes:
        return pd.DataFrame({**head, "value": scores[:, 0], "seeds": seeds})
    names = np.array([*classes], dtype=object)[said.predicted[rows]]
    columns = {f"score_{c}": scores[:, i] for i, c in enumerate(classes)}
    return pd.DataFrame({**head, "class": np.where(seeds > 0, names, ""), **columns, "seeds": seeds})


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(parts, ignore_index=True)
