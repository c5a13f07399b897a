"""What a file says that it holds, against what it can hold: believed only then is memory asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from zoo.errors import BadInput

DEFLATE = 1032  # the most that zlib makes of a byte

Bad = Callable[[str], BadInput]


@cache
def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**40


def check(name: str, shape: Sequence[int], itemsize: int, bad: Bad, there: float = math.inf) -> None:
    """Refuse an array that would be larger than this machine's memory, or than what is `there` in the file.

    Raises
    ------
    BadInput
        The shape is none, or too large.
    """
    if any(n < 0 for n in shape):
        raise bad(f"{name}: a shape of {_times(shape)} is none")
    size = math.prod(shape) * itemsize
    if size > there:
        raise bad(f"{name}: is said to be {_times(shape)}, {size:.3g} bytes, which the file is too short for")
    if size > memory():
        raise bad(f"{name}: {_times(shape)} would take {size:.3g} bytes, more than the memory of this machine")


def sparse(name: str, matrix: Any, bad: Bad) -> Any:
    """A matrix of scipy whose indices are known to lie in it: with others its C code reads and writes elsewhere.

    Raises
    ------
    BadInput
        They do not.
    """
    try:
        if hasattr(matrix, "indptr"):
            matrix.check_format(full_check=True)
    except ValueError as error:
        raise bad(f"{name}: is no sparse matrix: {error}") from None
    return matrix


def dense(name: str, matrix: Any, bad: Bad) -> Any:
    """`sparse`, filled up; an array as it is.

    Raises
    ------
    BadInput
        As for `sparse`; it would take more memory than this machine has.
    """
    if not hasattr(matrix, "toarray"):
        return matrix
    sparse(name, matrix, bad)
    check(name, matrix.shape, matrix.dtype.itemsize, bad)
    return matrix.toarray()


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "one value"
