"""Circular validation: the messages of a fit from the target, under predicted labels, back to the source."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from zoo.bench import messages
from zoo.bench.plan import Cell
from zoo.bench.suite import Suite
from zoo.kinds.base import Round

GRANTED = frozenset({"Xs", "ys", "Xt"})
NEVER = 1e12  # seconds between checkpoints
LIMIT = 1 << 30  # bytes of an answer's arrays: of a checkpoint, which is not kept


def refusal(suite: Suite, cell: Cell) -> str:
    """Why a method cannot go back; empty if it can."""
    if more := cell.grant - GRANTED:
        return f"a method that needs {', '.join(sorted(more))} cannot go back from the target"
    if messages.on_features(suite, cell):
        return "its samples are features of the source model, which knows the source's labels"
    if messages.nodes(suite, cell):
        return "its samples are nodes of a graph"
    return ""


def messages_of(
    cell: Cell, now: Round, predicted: np.ndarray, head: dict[str, Any]
) -> deque[tuple[dict[str, Any], int]]:
    """Fit with target-adapt as the source, labelled as predicted, and source-train as the target; then predict.

    What is predicted is source-validation, in the place of the test; its labels stay with the driver.
    """
    there = {"Xs": now.fields["Xt"], "ys": predicted.astype(np.int64), "Xt": now.fields["Xs"]}
    fit = {
        **head,
        "op": "fit",
        "info": cell.row.info,
        "parameters": cell.row.parameters,
        "needs": sorted(cell.grant),
        "arrays": {k: there[k] for k in sorted(cell.grant)},
        "model": None,
        "featurise": False,
        "shaped": cell.use == "net",
        "again": False,
        "checkpoint_s": NEVER,
        "state": None,
    }
    rows = {"test": now.sets["validation"]}
    part = {"test": np.arange(rows["test"].shape[0])}
    predict = messages.predict(cell, now, part, rows, {}) | {"device": head["device"], "last": True, "fitted": None}
    return deque([(fit, LIMIT), (predict, 8 * head["n_classes"] * len(part["test"]))])
