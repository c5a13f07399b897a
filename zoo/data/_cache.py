"""The user's cache folder: what is decoded or extracted once, under keys that are hashes of what it was made from."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from zoo.errors import BadInput


def folder() -> Path:
    """``$ZOO_CACHE``, or zoo's folder among the user's caches."""
    own = os.environ.get("ZOO_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"


@cache
def _writable(own: Path) -> Path:
    """The folder, or a temporary one, which is said, where it cannot be written."""
    try:
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=own):  # `os.access` says yes to root wherever it asks
            return own
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return own  # which `array` says
        other = tempfile.TemporaryDirectory(prefix="zoo_cache_")
        _KEPT.append(other)
        why = f"the cache folder {own} cannot be written ({error.strerror}); what is decoded is kept in {other.name}"
        print(f"zoo: {why} until the end of this run; choose another with ZOO_CACHE", file=sys.stderr)
        return Path(other.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def array(kind: str, key: str, shape: tuple[int, ...], dtype: type, fill: Callable[[np.ndarray], None]) -> np.memmap:
    """The array of a key, memory-mapped for reading; made by `fill` if it is not there, and renamed when it is whole.

    Raises
    ------
    BadInput
        The cache folder cannot be written, or is full.
    """
    path = _writable(folder()) / kind / f"{key}.npy"
    if not path.exists():
        temporary = path.with_name(f".{key}.{os.getpid()}.npy")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            fill(whole)
            whole.flush()
            temporary.replace(path)
        except OSError as error:
            raise BadInput(f"cache {path.parent}: {error.strerror or error}; choose another with ZOO_CACHE") from None
        finally:
            temporary.unlink(missing_ok=True)
    return np.load(path, mmap_mode="r")


def key_of(array: np.ndarray) -> str:
    """The key of an array that came from the cache; empty for any other."""
    return Path(array.filename).stem if isinstance(array, np.memmap) and array.filename else ""
