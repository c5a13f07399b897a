"""What a plugin's data set hands over, in the process that has imported it: arrays and names, to be checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.base import Dataset
from zoo.promises import counted, require

SHAPES = {"samples": (2, "[n, features]"), "images": (4, "[n, channels, height, width]")}  # dimensions, in words


def handed(cls: type[Dataset], domain: str, root: Path | None) -> dict[str, Any]:
    """A domain as it can be sent: samples, class names and the number of each sample's, or values; notes and parts.

    Raises
    ------
    Broken
        It gives something else than it promises, in words.
    """
    dataset = cls()
    load, what = dataset.load, f"load({domain!r})"
    found = load(domain, root)
    require(isinstance(found, tuple) and len(found) == 2, f"{what} gave no pair of samples and labels", load)
    X, y = np.asarray(found[0]), np.asarray(found[1])
    dimensions, shape = SHAPES[cls.kind]
    require(X.ndim == dimensions, f"{what} gave samples of shape {list(X.shape)}, where {shape} is promised", load)
    require(X.shape[0] > 0, f"{what} gave no samples", load)
    require(y.ndim == 1, f"{what} gave labels of shape {list(y.shape)}, where [n] is promised", load)
    require(len(y) == len(X), f"{what} gave {counted(len(y), 'label')} for {counted(len(X), 'sample')}", load)
    kind = np.dtype(np.uint8 if cls.photographs else np.float32)
    require(X.dtype == kind, f"{what} gave {X.dtype} samples: say .astype(np.{kind})", load)
    if X.dtype != np.uint8 and (odd := ~np.isfinite(X.reshape(len(X), -1)).all(1)).any():
        first, n = int(np.flatnonzero(odd)[0]), int(odd.sum())
        require(False, f"{what} gave NaN or infinity in {counted(n, 'sample')}, first in row {first}", load)
    notes = dataset.notes(domain)
    require(
        isinstance(notes, tuple | list) and all(isinstance(n, str) for n in notes), "notes are texts", dataset.notes
    )
    parts = dataset.parts(domain)
    if parts is not None:
        parts = np.asarray(parts).astype(np.int64)
        require(parts.shape == (len(X),), f"parts gave {list(parts.shape)} for {len(X)} samples", dataset.parts)
    labels, numbers = _labels(y)
    return {"X": X, "classes": labels, "y": numbers, "notes": list(notes), "parts": parts}


def _labels(y: np.ndarray) -> tuple[list[str] | None, np.ndarray]:
    """Class names and their numbers; of real values none."""
    if y.dtype.kind == "f":
        return None, y.astype(np.float64)
    names, numbers = np.unique(y.astype(str), return_inverse=True)
    return names.tolist(), numbers.astype(np.int64).reshape(-1)
