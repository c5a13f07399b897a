"""Large arrays that trusted workers share: each is in one sealed file in memory, which they map and cannot change.

A mapping is private: what a method writes into its array takes memory of its own, a page at a time, and nobody else
sees it. Strangers get theirs as bytes, through their pipe.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.graph import is_sparse
from zoo.noun import Noun

LARGE = 1 << 20  # bytes of an array that is worth a file
MOST = 200  # files that come with one message; the kernel takes 253


class File:
    """A file without a name, which is gone once nobody holds it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class Map(mmap.mmap):
    """A private mapping of a whole file, which it keeps, so that there can be another one."""

    file: File


class Shelf:
    """Files of a driver's arrays, each made once and kept as long as its array is there.

    The driver writes into no array that it has sent.
    """

    def __init__(self) -> None:
        self.files: dict[tuple[int, int, int], tuple[weakref.ref[np.ndarray], File]] = {}

    def file(self, array: np.ndarray) -> File | None:
        """The file of a contiguous array; None of a small one, and where there is no room or no such file."""
        if array.nbytes < LARGE or not hasattr(os, "memfd_create"):
            return None
        owner = _owner(array)
        key = id(owner), array.ctypes.data, array.nbytes
        known, file = self.files.get(key, (None, None))
        if known is None or known() is not owner:
            self.files = {k: v for k, v in self.files.items() if v[0]() is not None}
            if (file := _stored(array)) is not None:
                self.files[key] = weakref.ref(owner), file
        return file


def _stored(array: np.ndarray) -> File | None:
    """What an array holds as a file that nobody can write into any more."""
    file = File(os.memfd_create("zoo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    left = array.reshape(-1).view(np.uint8).data
    try:
        while left.nbytes:
            left = left[os.write(file.fd, left) :]
    except OSError:  # no room: its bytes go through the pipe
        return None
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file.fd, fcntl.F_ADD_SEALS, seals)
    return file


def array(file: File, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """An array in a private mapping of a file.

    >>> kept = np.arange(LARGE, dtype=np.uint8)
    >>> file = Shelf().file(kept)
    >>> one, other = (array(file, kept.dtype, kept.shape) for _ in range(2))
    >>> one[3] = 9
    >>> one[3], other[3], fresh(one)[3]
    (np.uint8(9), np.uint8(3), np.uint8(3))
    """
    whole = Map(file.fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    whole.file = file
    return np.ndarray(tuple(shape), dtype, buffer=whole)


def held(given: np.ndarray) -> Map | None:
    """The mapping that an array is the whole of; None of any other array."""
    base: Any = _owner(given).base
    return base if isinstance(base, Map) and given.nbytes == len(base) and given.flags.c_contiguous else None


def fresh(given: np.ndarray) -> np.ndarray:
    """A copy of an array as it came: of a mapped one another mapping, and of others the values."""
    return given.copy() if (there := held(given)) is None else array(there.file, given.dtype, given.shape)


def _owner(given: np.ndarray) -> np.ndarray:
    """The array whose memory this is a view of."""
    while isinstance(given.base, np.ndarray):
        given = given.base
    return given


def own(given: Any) -> Any:
    """What a fit may write into, of an array or of sparse features; a noun makes copies of its own."""
    if isinstance(given, Noun):
        return given
    if is_sparse(given):
        parts = tuple(map(fresh, (given.data, given.indices, given.indptr)))
        return type(given)(parts, shape=given.shape)
    return fresh(given)
