"""Open label sets: classes that a target alone has are `unknown`, the last column of scores.

What a method is sent says nothing of them: it knows the classes of its source, as many as ``n_classes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.kinds.base import Data, Round, origins
from zoo.kinds.scores import auroc
from zoo.label_sets import OPEN

if TYPE_CHECKING:
    from zoo.discover import MethodInfo

NAME = "unknown"
QUANTILE = 0.95  # of the entropy on source validation, above which a method for closed sets is said to reject
METRICS = ("accuracy", "os", "os_star", "unk", "hos", "auroc_unknown")


def native(info: MethodInfo) -> bool:
    """Whether a method scores what is unknown itself."""
    return bool(info.label_sets & OPEN)


def helped(info: MethodInfo) -> bool:
    """Whether the harness says for a method what is unknown: it neither is made for that nor sees it."""
    return "yt" not in info.needs and not native(info)


def known(data: Data, source: str | None) -> np.ndarray:
    """The classes that a pair's methods know: under open label sets those of its source, else all."""
    if not data.open:
        return np.arange(data.columns)
    return np.unique(np.concatenate([data.source(name).y for name in origins(source)]))


def names(data: Data, source: str | None) -> list[str]:
    """What the columns of a pair's scores stand for."""
    return [*(data.classes[c] for c in known(data, source)), NAME] if data.open else data.classes


def numbers(data: Data, source: str | None, y: np.ndarray) -> np.ndarray:
    """Classes of the data as columns of a pair's scores; -1 stays."""
    if not data.open:
        return y
    there = known(data, source)
    column = np.full(len(data.classes) + 1, len(there))
    column[there], column[-1] = np.arange(len(there)), -1
    return column[y]


def entropy(scores: np.ndarray) -> np.ndarray:
    """In nats, of each row of scores.

    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).round(3).tolist()
    [0.0, 0.693]
    """
    found: np.ndarray = -(scores * np.log(np.where(scores > 0, scores, 1.0))).sum(1)
    return np.maximum(found, 0.0)


def rejected(scores: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """Scores of several sets with a column for `unknown`, and the entropy above which it is the highest.

    The limit is that of source samples which the fit has not seen, so that no target sample has a say in it: those
    of validation, or, where there are none, each by the fit without its fold.
    """
    held = scores["folds"] if "folds" in scores else scores["validation"]
    limit = float(np.quantile(entropy(held), QUANTILE))
    return {name: extended(part, limit) for name, part in scores.items() if name != "folds"}, limit


def out_of_fold(fields: dict[str, Any], held: np.ndarray) -> Round:
    """A fit without the source samples `held`, which are all that it scores."""
    kept = {k: fields[k][~held] for k in ("Xs", "ys", "ds")}
    return Round(fields | kept, {"folds": fields["Xs"][held]}, folds=True)


def extended(scores: np.ndarray, limit: float) -> np.ndarray:
    """Scores with a column for `unknown` that rises with the entropy, and is the highest where that is above `limit`.

    >>> extended(np.array([[0.9, 0.1], [0.5, 0.5]]), 0.4).argmax(1).tolist()
    [0, 2]
    """
    h, most, k = entropy(scores), np.log(scores.shape[1]), scores.shape[1]
    # Below the limit it is less than the mean of the others, and so than the highest of them; above it, over a half.
    below, above = h / max(limit, 1e-12) / (k + 2), 0.5 + 0.5 * (h - limit) / max(most - limit, 1e-12)
    u = np.clip(np.where(h > limit, above, below), 0.0, 1.0)[:, None]
    return np.concatenate([scores * (1 - u), u], axis=1)


def metrics(scores: np.ndarray, y: np.ndarray) -> dict[str, float | None]:
    """Metrics of scores whose last column is `unknown`, as the field defines them.

    Returns
    -------
    dict
        ``os`` is the mean over the classes of the target, `unknown` one of them, of the share of a class that is
        recognised; ``os_star`` that over the known ones; ``unk`` the share of unknown samples that are; ``hos`` the
        harmonic mean of the last two; ``auroc_unknown`` that of known against unknown by the last column. None where
        there is no sample of a kind.

    >>> metrics(np.array([[0.9, 0.0, 0.1], [0.2, 0.6, 0.2], [0.3, 0.1, 0.6]]), np.array([0, 0, 2]))["hos"]
    0.666...
    """
    if not len(y):
        return dict.fromkeys(METRICS)
    k, right = scores.shape[1] - 1, scores.argmax(1) == y
    found = {int(c): float(right[y == c].mean()) for c in np.unique(y)}
    own, unk = [share for c, share in found.items() if c < k], found.get(k)
    star = float(np.mean(own)) if own else None
    both = star is not None and unk is not None
    return {
        "accuracy": float(right.mean()),
        "os": float(np.mean([*found.values()])) if both else None,
        "os_star": star,
        "unk": unk,
        "hos": _harmonic(star, unk) if star is not None and unk is not None else None,
        "auroc_unknown": auroc(scores, y, np.bincount(y, minlength=k + 1), np.array([k])),
    }


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
