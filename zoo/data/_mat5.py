"""The grammar of MATLAB's files of version 5, checked before scipy reads them: its C code believes what they say.

A number of a type that there is none of, or a matrix where numbers should stand, ends the whole process there.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.data._room import Bad

NUMBERS = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18})  # types of an element's values, text among them
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, OBJECT, CHAR, SPARSE, FUNCTION, OPAQUE = 1, 2, 3, 4, 5, 16, 17  # classes of a matrix; 6 to 15 are numbers
HEAD = 128
DEEP = 50  # cells in cells


@contextmanager
def _strictly() -> Iterator[None]:
    """What scipy only warns of is an error: "returned data may be corrupt", a name that is there twice."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def headers(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape and class of each variable, as scipy reads them."""
    from scipy.io import whosmat

    with _strictly():
        return list(whosmat(path))


def load(path: Path, names: Collection[str], bad: Bad) -> dict[str, Any]:
    """The named variables of those that a file has, once they have been checked."""
    from scipy.io import loadmat

    check(path, names, bad)
    with _strictly():
        return dict(loadmat(path, variable_names=names))


def check(path: Path, names: Collection[str], bad: Bad) -> None:
    """Refuse a file in which one of the named variables is malformed; versions that have another grammar are passed.

    Raises
    ------
    BadInput
        An element is not what has to stand there, or the file ends too early.
    """
    content = path.read_bytes()
    if len(content) < HEAD or 0 in content[:4]:  # version 4, or nothing at all: scipy says which
        return
    file = _Elements(content, "<" if content[126:128] == b"IM" else ">", HEAD)
    name = ""
    try:
        while file.at < len(content):
            kind, start, size = file.element()
            data = content[start : start + size]
            one = _Elements(content, file.order, start)
            if kind == COMPRESSED:
                one = _Elements(zlib.decompressobj().decompress(data), file.order)
                kind, one.at, _ = one.element()
            if kind == MATRIX:
                name = one.matrix(names)
    except (struct.error, zlib.error, ZeroDivisionError, _Malformed) as error:
        raise bad(f"is a damaged MATLAB file{f', after {name}' if name else ''}: {error or 'ends too early'}") from None


class _Malformed(Exception):
    """What stands there is not what has to."""


class _Elements:
    """A place in the elements that a file, or a variable that was compressed in it, is made of."""

    def __init__(self, data: bytes, order: str, at: int = 0) -> None:
        self.data, self.order, self.at = data, order, at

    def element(self) -> tuple[int, int, int]:
        """Type, place and size of the next element's data, which is passed over."""
        kind, size = struct.unpack_from(f"{self.order}II", self.data, self.at)
        if kind >> 16:  # up to four bytes that stand in the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, self.at + 4
            self.at += 8
        else:
            start = self.at + 8
            self.at = start + size + (-size % 8 if kind != COMPRESSED else 0)
        return kind, start, size

    def values(self, n: int = 1) -> tuple[int, int]:
        """Pass over `n` elements that hold numbers or text; place and size of the last."""
        start = size = 0
        for _ in range(n):
            at = self.at
            kind, start, size = self.element()
            if kind not in NUMBERS or start + size > len(self.data):
                raise _Malformed(f"byte {at} is no element of numbers")
        return start, size

    def matrix(self, names: Collection[str] | None = None, depth: int = 0) -> str:
        """Pass over a matrix behind its tag, the body only where it has one of the names (or any); its name."""
        if depth > DEEP:
            raise _Malformed(f"cells are nested deeper than {DEEP}")
        flags = struct.unpack_from(f"{self.order}I", self.data, self.at + 8)[0]
        self.at += 16
        kind, parts = flags & 0xFF, 2 if flags & 0x800 else 1  # real, and imaginary
        n, name = 1, ""
        if kind != OPAQUE:
            start, size = self.values()
            n = math.prod(struct.unpack_from(f"{self.order}{size // 4}i", self.data, start))
            start, size = self.values()
            name = self.data[start : start + size].decode("latin-1")
        if names is not None and name not in names:
            return name
        if kind == CELL:
            self.matrices(n, depth)
        elif kind in (STRUCT, OBJECT):
            self.values(1 if kind == OBJECT else 0)  # the class's name
            start, _ = self.values()
            _, size = self.values()
            width = struct.unpack_from(f"{self.order}i", self.data, start)[0]
            self.matrices(n * (size // width), depth)
        elif kind in (FUNCTION, OPAQUE):
            self.values(3 if kind == OPAQUE else 0)
            self.matrices(1, depth)
        elif SPARSE <= kind < FUNCTION or kind == CHAR:
            self.values(parts + 2 if kind == SPARSE else parts)
        else:
            raise _Malformed(f"{name} is of class {kind}, which there is none of")
        return name

    def matrices(self, n: int, depth: int) -> None:
        for _ in range(n):
            at = self.at
            kind, start, size = self.element()
            if kind != MATRIX:
                raise _Malformed(f"byte {at} is no matrix")
            self.at = start
            if size:
                self.matrix(None, depth + 1)
