"""The MATLAB files that Gong et al. published: features under `fts`, numbered classes under `labels`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _mat5, _room
from zoo.errors import BadInput


def read(path: Path, classes: tuple[str, ...], first: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples float32 [n, d], and names from `classes`, which are numbered from `first`."""

    def bad(message: str) -> BadInput:
        return BadInput(f"{path} cannot be read as a MATLAB file: {message}")

    try:
        content = _mat5.load(path, ("fts", "labels"), bad)
        missing = [key for key in ("fts", "labels") if key not in content]
        there = [name for name, *_ in _mat5.headers(path)] if missing else []
    except BadInput:
        raise
    except Exception as error:  # a damaged file raises nearly anything: zlib's errors, ValueError, OSError
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as a MATLAB file: {reason}") from None
    if missing:
        raise BadInput(f"{path} has no {' and no '.join(missing)}; it has {', '.join(there) or 'nothing'}")
    X, y = _room.dense("fts", content["fts"], bad), np.ravel(_room.dense("labels", content["labels"], bad))
    if X.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        raise BadInput(f"{path}: fts and labels have to be numbers")
    if X.ndim != 2 or len(X) != len(y):
        raise BadInput(f"{path}: fts is {'×'.join(map(str, X.shape))} for {len(y)} labels, not a row for each")
    last = first + len(classes) - 1
    if not np.isin(y, np.arange(first, last + 1)).all():
        raise BadInput(f"{path}: labels are not whole numbers from {first} to {last}")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which the protocol refuses
        X = X.astype(np.float32)
    return X, np.array(classes)[y.astype(int) - first]
