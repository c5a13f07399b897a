"""What validators are given of a cell: arrays out of its predictions, features and probes, and the source's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.kinds.base import Data, Pair, origins
from zoo.records.store import unpacked

Arrays = dict[str, np.ndarray]
KEEP = "were not kept: they come with zoo run --validators or --keep features before the cell runs"
WHY = {  # a field is missing
    "pv": "there is no source validation here",
    "yv": "there is no source validation here",
    "ys": "there are no source labels here",
    "zv": "there is no source validation here, or features",
    "pt": "there are no predictions of what was adapted to",
    **dict.fromkeys(("ps", "zs", "zt"), f"features {KEEP}"),
    **dict.fromkeys(("pm", "im"), f"answers to mixtures {KEEP} (nodes of a graph have none)"),
}


def fields(stored: Mapping[str, np.ndarray], labels: Arrays, transductive: bool) -> Arrays:
    """The fields of `zoo.select.base.Seen` that there are of a cell.

    Scores are as they are stored, in half precision, so that a value is the same now and later. No label of the target
    is in it: of the test rows nothing is taken, save where they are what was adapted to, and then their scores alone.

    Parameters
    ----------
    stored : as from `Store.seen`
    labels : as from `source_labels`
    """
    adapt = "test" if transductive and "adapt_rows" not in stored else "adapt"
    said: dict[str, Any] = {
        "pt": _scores(stored.get(f"{adapt}_log_scores")),
        "pv": _scores(stored.get("validation_log_scores")),
        "ps": stored.get("train_scores"),
        "pm": stored.get("mixed_scores"),
        "im": stored.get("mixed_parents"),
        "zs": stored.get("train_features"),
        "zv": stored.get("validation_features"),
        "zt": stored.get("adapt_features"),
        **labels,
    }
    return {k: v for k, v in said.items() if v is not None and len(v)}


def _scores(logs: np.ndarray | None) -> np.ndarray | None:
    return None if logs is None else unpacked(logs)


def source_labels(data: Data, source: str | None, pair: Pair) -> Arrays:
    """Labels of source-train and source-validation, in the order of the pair's rows; none where there are no samples.

    The training part's come from the pair; of each source domain what is not in it was held out, in its own order.
    """
    given = getattr(pair, "fields", {})
    rows, held = pair.rows.get("validation"), []
    if source is None or "ys" not in given:
        return {}
    found = {"ys": given["ys"]}
    if rows is None or not len(rows):
        return found
    start = 0
    for k, name in enumerate(origins(source)):
        domain = data.source(name)
        n = len(domain.y) - int((given["ds"] == k).sum())
        place = np.empty(int(domain.rows.max()) + 1, np.int64)
        place[domain.rows] = np.arange(len(domain.rows))
        held.append(domain.y[place[rows[start : start + n]]])
        start += n
    return found | {"yv": np.concatenate(held)}
