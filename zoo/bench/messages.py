"""What a worker is sent for a cell: pure functions of the protocol, the cell and the round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.access import trained
from zoo.bench import guests
from zoo.bench.plan import Cell
from zoo.bench.suite import Suite
from zoo.kinds import unknown
from zoo.kinds.base import Data, Round

CHUNKS = 3  # in which a stranger is sent rows that its fit has not seen
AGAIN = 0.2  # share of the rows of a chunk that come again in another
DIFFER = 1e-3  # how far two scores of one row may be apart in float32; products round by their neighbours
DIFFER_BF16 = 0.05


Part = dict[str, np.ndarray]  # one message of a prediction: which rows of which sets


def on_features(suite: Suite, cell: Cell) -> bool:
    """Whether the cell's samples are features of the source model."""
    return cell.use == "base" and suite.features == "source" and nodes(suite, cell) != "own"


def stranger_features(suite: Suite, cell: Cell) -> str:
    """The key of the features that a stranger is sent in place of its samples; empty where it is sent none."""
    if not (cell.row.info.plugin and cell.model and on_features(suite, cell)) or cell.foreign:
        return ""  # whoever made them with a stranger's net would be one, too, and would see the test with the rest
    if "yt" in cell.grant and suite.protocol == "transductive":
        return ""  # each of its rounds has samples of its own, and an oracle may have the model
    return f"features {cell.model} {cell.target} {cell.seed} {' '.join(sorted(cell.grant))}"


def learner(suite: Suite, cell: Cell, use: str, seed: int) -> dict[str, Any]:
    """How the worker makes its learner, and the source model of the cell."""
    budget, backbone = trained(cell.row.info.source_model)
    spec = {
        "task": suite.task,
        "base": suite.base,
        "net": guests.name(suite, cell.foreign),
        "backbone": suite.backbone | backbone,
    }
    return {**spec, "use": use, "budget": suite.net_budget | budget, "seed": seed}


def nodes(suite: Suite, cell: Cell) -> str:
    """How samples are nodes: not at all, to the method itself, or to its network."""
    return suite.kind.handed(suite, cell.row.info, cell.use)


def rejects(data: Data, cell: Cell) -> bool:
    """Whether the harness says of a cell what is unknown."""
    return data.open and unknown.helped(cell.row.info)


def widths(data: Data, cell: Cell, trains: bool = False) -> dict[str, int]:
    """How many classes a method has labels of, how many scores it gives a row, and how many a source model does.

    What is unknown is a class among others to what sees it, and to a source model nothing.
    """
    n = len(unknown.known(data, cell.source))
    sees = data.open and "yt" in cell.grant and not trains
    more = data.open and not trains and not rejects(data, cell)
    return {"n_classes": n + sees, "columns": n + more, "of_model": n}


def head(suite: Suite, data: Data, cell: Cell, device: str, use: str, trains: bool = False) -> dict[str, Any]:
    """What every fit, source model and extraction says alike."""
    seed = cell.seed or 0
    return {
        "nodes": nodes(suite, cell),
        "learner": learner(suite, cell, use, seed),
        **widths(data, cell, trains),
        "device": device,
        "seed": seed,
        **guests.shown(suite, cell.foreign),
    }


def fit(
    suite: Suite, cell: Cell, op: str, again: bool, arrays: dict[str, Any], model: dict[str, Any] | None, raw: bool
) -> dict[str, Any]:
    """What a fit, a source model or an extraction is sent beside its `head`; `raw`: samples, not features of them."""
    trains = op == "model"
    return {
        "op": op,
        "info": cell.row.info,
        "parameters": cell.row.parameters,
        "needs": sorted(cell.grant),
        "arrays": arrays,
        "model": model,
        "featurise": raw and not trains and on_features(suite, cell),
        "shaped": trains or cell.use == "net",
        "again": again,
    }


def sets(now: Round, features: dict[str, np.ndarray] | None) -> dict[str, Any]:
    """The rows of each set of a round; of a stranger that is sent features, these."""
    if features is None:
        return now.sets
    return {k.removeprefix("set "): v for k, v in features.items() if k[:4] == "set "}


def predict(cell: Cell, now: Round, part: Part, rows: dict[str, Any], graphs: dict[str, Any]) -> dict[str, Any]:
    """What is asked of a fitted method: scores of some rows of its sets."""
    return {
        "op": "observe" if now.batches else "predict",
        "adapts": cell.row.info.stream,
        "arrays": {name: _taken(rows[name], of) for name, of in part.items()},
        "context": {k: v for k, v in now.context.items() if k in part},
        "graphs": graphs,
        "fitted": now.fitted if "Xt" in cell.grant else None,
    }


def probe(
    cell: Cell, now: Round, rows: dict[str, Any], features: dict[str, np.ndarray] | None, graphs: dict[str, Any]
) -> dict[str, Any]:
    """What is asked of a fitted method for validators, before a test row has come; no row of the test is in it.

    Where the test is what was adapted to, it is among the samples that the fit has seen.
    """
    known = {name: rows[name] for name in ("validation", "adapt", now.fitted) if name in rows and rows[name].shape[0]}
    trained = now.fields.get("Xs") if features is None else features.get("field Xs")
    if trained is not None:
        known["train"] = trained
    message = predict(cell, now, {}, {}, graphs)
    return message | {"op": "probe", "arrays": known, "seed": cell.seed or 0}


def parts(now: Round, cell: Cell, rng: np.random.Generator) -> list[Part]:
    """The messages in which the sets of a round are predicted.

    A stream comes batch by batch, each once what the last one scores is there, which nothing changes any more.

    A stranger's unseen rows come in random chunks and some of them twice, in other company: scores that hang on who
    else is asked for differ then. What its fit has seen comes whole.
    """
    info = cell.row.info
    if now.batches and (info.stream or not cell.stranger):
        return [{"test": rows} for rows in now.batches]
    whole = {name: np.arange(n) for name, rows in now.sets.items() if (n := rows.shape[0])}
    if not cell.stranger:
        return [whole]
    unseen = [name for name in whole if name not in ("adapt", "validation", now.fitted)]
    known = {name: rows for name, rows in whole.items() if name not in unseen}
    chunks = [{name: rows} for name in unseen for rows in _chunks(len(whole[name]), rng)]
    return [known, *chunks] if known else chunks


def _taken(X: Any, rows: np.ndarray) -> Any:
    """Rows of a set; all of them in their order without a copy."""
    return X if np.array_equal(rows, np.arange(X.shape[0])) else X[rows]


def _chunks(n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    order = rng.permutation(n)
    cuts: Any = np.sort(rng.choice(np.arange(1, n), min(CHUNKS, n) - 1, replace=False)) if n > 1 else []
    for chunk in np.split(order, cuts):
        others = np.setdiff1d(order, chunk)
        again = rng.choice(others, min(len(others), int(AGAIN * n / CHUNKS) + 1), replace=False)
        yield rng.permutation(np.concatenate([chunk, again]))


def gathered(now: Round, n_classes: int, said: list[tuple[Part, Part]]) -> tuple[dict[str, np.ndarray], float]:
    """The scores [n, n_classes] of each set from those of its parts, and how far two scores of one row are apart."""
    scores = {name: np.full((rows.shape[0], n_classes), np.nan) for name, rows in now.sets.items()}
    apart = 0.0
    for part, answer in said:
        for name, rows in part.items():
            seen = ~np.isnan(scores[name][rows]).any(1)
            apart = max(apart, float(np.abs(scores[name][rows[seen]] - answer[name][seen]).max(initial=0.0)))
            scores[name][rows[~seen]] = answer[name][~seen]
    return scores, apart
