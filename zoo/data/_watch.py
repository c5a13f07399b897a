"""Smartwatch measurements of shoulder exercises: the file as it was published, or as an npz of plain arrays."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np

from zoo.data._origins import ORIGINS
from zoo.errors import BadInput
from zoo.series import Series

RATE = 50.0
PLAIN, PUBLISHED = "watch.npz", "watch_dataset.npy"
CLASSES = ("pendulum", "abduction", "forward elevation", "internal rotation", "external rotation", "trapezius", "row")
KEYS = ("X", "length", "y", "subject", "side")


@lru_cache(maxsize=1)
def read(path: Path) -> tuple[Series, dict[str, np.ndarray]]:
    """All series, and of each its class ``y``, its ``subject`` and its ``side``.

    Raises
    ------
    BadInput
        It cannot be read, or is not what was published.
    """
    arrays = _published(path) if path.name == PUBLISHED else _plain(path)
    lengths, values = arrays["length"], arrays["X"]
    if lengths.sum() != len(values) or any(len(arrays[k]) != len(lengths) for k in ("y", "subject", "side")):
        raise BadInput(f"{path}: X, length, y, subject and side do not belong together")
    return Series(np.asarray(values, np.float32), lengths.astype(np.int64), RATE), arrays


def file(folder: Path) -> str:
    """The name of the file in a folder: the plain one where it is there."""
    return PLAIN if (folder / PLAIN).is_file() else PUBLISHED


def chosen(path: Path, which: np.ndarray) -> tuple[Series, np.ndarray]:
    """The series of a mask, and the names of their classes."""
    series, arrays = read(path)
    first, rows = series.starts, np.flatnonzero(which)
    values = np.concatenate([series.values[first[i] : first[i] + series.lengths[i]] for i in rows])
    return Series(values, series.lengths[rows], RATE), np.array(CLASSES)[arrays["y"][rows]]


def _plain(path: Path) -> dict[str, np.ndarray]:
    """Arrays of numbers that NumPy saved."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {k: archive[k] for k in KEYS}
    except KeyError as error:
        raise BadInput(f"{path}: {str(error).strip(chr(34))}") from None
    except Exception as error:  # a damaged file raises nearly anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as npz: {reason}") from None
    if wrong := [k for k in KEYS if found[k].dtype.kind not in "iuf" or found[k].ndim != (2 if k == "X" else 1)]:
        raise BadInput(f"{path}: {wrong[0]} holds {found[wrong[0]].ndim}-dimensional {found[wrong[0]].dtype}")
    return {k: v if k == "X" else v.astype(np.int64) for k, v in found.items()}


def _published(path: Path) -> dict[str, np.ndarray]:
    """The file of seglearn. It holds pickled objects, which run what they say when they are read: only the very one."""
    content = path.read_bytes()
    known, got = ORIGINS["watch"].files[0].digest, f"sha256:{hashlib.sha256(content).hexdigest()}"
    if got != known:
        raise BadInput(f"{path}: {got} is not the published {known}: it holds pickled objects and is not read")
    data = np.load(BytesIO(content), allow_pickle=True).item()
    numbers = {k: np.ravel(data[k]).astype(np.int64) for k in ("y", "subject", "side")}
    return {"X": np.concatenate(data["X"]), "length": np.array([len(x) for x in data["X"]]), **numbers}
