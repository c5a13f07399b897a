"""What a worker answers, checked: a plugin may say anything, and only this much of it is believed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from zoo.errors import one_line, printable
from zoo.records.schema import even
from zoo.tasks import Problem
from zoo.vault.wire import Malformed

FAILED = ("failed", "oom", "diverged", "unsupported")
LONGEST = 200  # characters of a name
LARGEST = 1e100  # a number of a curve; beyond it training has diverged
TAKEN = {"file", "allow_pickle"}  # arguments of numpy.savez, which takes arrays by their names
ENTRIES = 1000  # of a certificate, of the loss terms of a curve, of files

P = ParamSpec("P")
T = TypeVar("T")


def checked(check: Callable[P, T]) -> Callable[P, T]:
    """A check of which every error is the answer's: Malformed."""

    @wraps(check)
    def malformed(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return check(*arguments, **options)
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise Malformed(f"what cannot be in it: {error}") from error

    return malformed


@checked
def failure(answer: dict[str, Any]) -> tuple[str, str] | None:
    """Status and reason of an answer that is no result; None of one that is.

    Raises
    ------
    Malformed
        It is neither.
    """
    status = _text(answer, "status")
    if status == "ok":
        return None
    if status not in FAILED:
        raise Malformed(f"an answer with status {one_line(repr(status), 40)}")
    return status, one_line(_text(answer, "reason")) or "no reason given"


@checked
def fit(answer: dict[str, Any]) -> dict[str, Any]:
    """Costs, certificate, curves, explanation, peaks and opened files of a fit, and itself in bytes if it was kept.

    Raises
    ------
    Malformed
        One of them is missing or of another type.
    """
    costs = {k: _number(answer, k) for k in ("fit_s", "fit_cpu_s", "shared_s")}
    certificate = {k: v if math.isfinite(v) else None for k, v in _numbers(_mapping(answer, "certificate")).items()}
    return {
        **costs,
        "certificate": certificate,
        "curves": _curves(answer),
        "explanation": json.loads(json.dumps(answer.get("explanation"))),  # of arrays there is no JSON
        "kept": _bytes(answer, "kept"),
        **_seen(answer),
    }


@checked
def made(answer: dict[str, Any]) -> tuple[float, dict[str, list[float | None]]]:
    """The seconds and curves of what was made for cells: a source model, or features, which have no curves.

    Raises
    ------
    Malformed
        As `fit`.
    """
    return _number(answer, "fit_s"), _curves(answer) if "curves" in answer else {}


@checked
def predict(answer: dict[str, Any], rows: dict[str, int], n_classes: int, solved: Problem) -> dict[str, Any]:
    """Scores [rows, n_classes] of each set that the task can have, seconds and peaks.

    Raises
    ------
    Malformed
        As `fit`; scores of another shape, or that are no scores of the task.
    """
    costs = {k: _number(answer, k) for k in ("predict_s", "shared_s")}
    scores = _mapping(answer, "scores")
    if scores.keys() != rows.keys():
        raise Malformed("scores of other sets than were asked for")
    for name, part in scores.items():
        fits = isinstance(part, np.ndarray) and part.dtype == np.float64 and part.shape == (rows[name], n_classes)
        if not fits or not np.isfinite(part).all():
            raise Malformed("scores that are no finite numbers for each row and class")
        if why := solved.fault(part):
            raise Malformed(f"scores with {why}")
    return {**costs, "scores": scores, **_seen(answer)}


@checked
def probed(
    answer: dict[str, Any], rows: dict[str, int], n_classes: int, solved: Problem
) -> tuple[dict[str, np.ndarray], float]:
    """What is seen of a fitted method for validators, and the seconds that it took; `rows` of train, validation, adapt.

    Raises
    ------
    Malformed
        As `predict`; what was not asked for; features or weights that are not finite, or not of as many rows.
    """
    found = _mapping(answer, "probed")
    pairs = found.get("mixed_parents")
    for name, part in found.items():
        of, _, what = name.partition("_")
        n = (0 if pairs is None else len(pairs)) if of == "mixed" else rows.get(of, -1)
        good = isinstance(part, np.ndarray) and part.ndim == 2 and len(part) == n and bool(np.isfinite(part).all())
        match what:
            case "features":
                good = good and part.dtype == np.float32 and of != "mixed"
            case "weights" if of == "train":
                good = good and part.dtype == np.float32 and part.shape[1] == 1 and bool((part >= 0).all())
            case "scores" if of in ("train", "mixed"):
                good = good and part.dtype == np.float64 and part.shape[1] == n_classes and not solved.fault(part)
            case "parents":
                inside = good and part.dtype == np.int64 and part.shape[1] == 2 and n <= 2 * rows.get("adapt", 0)
                good = inside and bool(((part >= 0) & (part < rows.get("adapt", 0))).all())
            case _:
                good = False
        if not good:
            raise Malformed(f"{name} that is not what a probe gives")
    return found, _number(answer, "seconds")


@checked
def validated(answer: dict[str, Any]) -> tuple[float, float]:
    """The value of a validator, which may be NaN or infinite, and its seconds.

    Raises
    ------
    Malformed
        They are no numbers.
    """
    value = answer.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed("a value that is no number")
    return float(value), _number(answer, "seconds")


def arrays(answer: dict[str, Any], key: str) -> dict[str, np.ndarray]:
    """A mapping of names to arrays, such as the state of a source model.

    Raises
    ------
    Malformed
        It is not one.
    """
    found = _mapping(answer, key)
    if not all(isinstance(v, np.ndarray) for v in found.values()) or found.keys() & TAKEN:
        raise Malformed(f"{key} that are no arrays, or cannot be kept under their names")
    return found


@checked
def note(answer: dict[str, Any]) -> dict[str, Any]:
    """What a worker tells while it trains: a checkpoint's bytes, or how far it is.

    Raises
    ------
    Malformed
        It is neither.
    """
    state, kind = answer.get("state"), _text(answer, "note")
    if kind == "checkpoint" and isinstance(state, np.ndarray) and state.dtype == np.uint8:
        return {"note": "checkpoint", "state": state.reshape(-1)}
    if kind != "progress":
        raise Malformed("a note that is neither a checkpoint nor progress")
    counts = {k: _number(answer, k) for k in ("step", "steps", "per_s")}
    return {"note": "progress", **counts, "terms": _numbers(_mapping(answer, "terms"))}


def opened(answer: dict[str, Any]) -> list[str]:
    """Files that a plugin opened, by its own word."""
    found = answer.get("opened", [])
    if not isinstance(found, list) or len(found) > 10 * ENTRIES or not all(map(_path, found)):
        raise Malformed("opened files that are no list of paths")
    return found


def _curves(answer: dict[str, Any]) -> dict[str, list[float | None]]:
    curves = {k: _series(v) for k, v in _mapping(answer, "curves").items()}
    if curves and not even(curves):
        raise Malformed("curves without a value of each term for each step")
    return curves


def _seen(answer: dict[str, Any]) -> dict[str, Any]:
    peaks = {k: None if answer.get(k) is None else _number(answer, k) for k in ("peak_rss_mb", "peak_cuda_mb")}
    return {**peaks, "opened": opened(answer)}


def _path(said: Any) -> bool:
    plain = isinstance(said, str) and len(said) <= 4096 and printable(said) == said
    return plain and os.path.isabs(said) and os.path.normpath(said) == said


def _text(answer: dict[str, Any], key: str) -> str:
    if not isinstance(value := answer.get(key), str):
        raise Malformed(f"{key} that is no text")
    return value


def _bytes(answer: dict[str, Any], key: str) -> np.ndarray | None:
    if (value := answer.get(key)) is None:
        return None
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 1:
        raise Malformed(f"{key} that is no bytes")
    return value


def _number(answer: dict[str, Any], key: str) -> float:
    value = answer.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise Malformed(f"{key} that is no finite number")
    return value


def _mapping(answer: dict[str, Any], key: str) -> dict[str, Any]:
    value = answer.get(key)
    if (
        not isinstance(value, dict)
        or len(value) > 10 * ENTRIES
        or not all(len(k) <= LONGEST and printable(k) == k for k in value)
    ):
        raise Malformed(f"{key} that is no mapping of names")
    return value


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    if len(values) > ENTRIES or not all(isinstance(v, int | float) for v in values.values()):
        raise Malformed("a mapping whose values are no numbers")
    return {k: float(v) for k, v in values.items()}


def _series(values: Any) -> list[float | None]:
    if not isinstance(values, list) or not all(isinstance(v, int | float) for v in values):
        raise Malformed("a curve that is no list of numbers")
    return [v if abs(v) <= LARGEST else None for v in values]
