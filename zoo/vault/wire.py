"""Messages between the driver and its workers: JSON and raw arrays, checked before anything is allocated.

A message is a mark, the length of a header, the header, and the bytes of its arrays one after another. The header is
JSON: the message, in which ``{"$array": i}`` stands for the i-th array, and the type and shape of each array. To the
zoo's own workers a large array may come as a file instead (see `zoo.vault.mapped`), whose number stands beside them.
Nothing is ever unpickled: a worker runs strangers' code, and the driver holds the labels.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from zoo import infos
from zoo.graph import is_sparse
from zoo.infos import FileInfo, MethodInfo
from zoo.noun import Noun
from zoo.select import ValidatorInfo
from zoo.vault import mapped

MARK = b"zoo2"
HEAD = struct.Struct(">4sQ")
HEADER_LIMIT = 1 << 26  # bytes of JSON: curves, explanations, names of constants
DEPTH_LIMIT = 64
ARRAYS_LIMIT = 10_000
NUMBERS = ("|b1", "|u1", "|i1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
TYPES = {name: np.dtype(name) for name in NUMBERS}


class Malformed(Exception):
    """What came is no message, or not one that was to come."""


@dataclass(frozen=True)
class Limits:
    """What a message may be before it is refused.

    Attributes
    ----------
    header : bytes of JSON
    arrays : bytes of all arrays together
    trusted : whether it may hold what only the driver says (nouns, methods, tuples), and not arrays alone
    """

    header: int = HEADER_LIMIT
    arrays: int = 1 << 50
    trusted: bool = False


# Writing --------------------------------------------------------------------------------------------------------------


def encode(
    message: dict[str, Any], file_of: Callable[[np.ndarray], int | None] = lambda array: None
) -> list[memoryview]:
    """A message as buffers to be written one after another; arrays are not copied.

    Parameters
    ----------
    file_of : the number of the file that comes with the message in place of an array's bytes, if one does

    Raises
    ------
    TypeError
        The message holds something that is neither JSON, nor an array, nor a noun of a kind of data.
    """
    arrays: list[np.ndarray] = []
    body = _plain(message, arrays)
    files = [file_of(a) for a in arrays]
    kinds = [[a.dtype.str, list(a.shape), *([] if i is None else [i])] for a, i in zip(arrays, files, strict=True)]
    header = json.dumps({"message": body, "arrays": kinds}).encode()
    head = [memoryview(HEAD.pack(MARK, len(header)) + header)]
    return head + [_bytes(a) for a, i in zip(arrays, files, strict=True) if i is None and a.nbytes]


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """A value as JSON; its arrays are put into `arrays`."""
    match value:
        case None | bool() | str():
            return value
        case np.bool_():
            return bool(value)
        case int() | np.integer():
            return int(value)
        case float() | np.floating():
            return float(value)
        case Mapping():
            if odd := [k for k in value if not isinstance(k, str) or k.startswith("$")]:
                raise TypeError(f"a key of a message is a text, not {type(odd[0]).__name__} {odd[0]!r}")
            return {k: _plain(v, arrays) for k, v in value.items()}
        case list():
            return [_plain(v, arrays) for v in value]
        case np.ndarray():
            array = np.ascontiguousarray(value).reshape(value.shape)
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            if array.dtype.str not in TYPES:
                raise TypeError(f"an array of a message holds numbers, not {array.dtype}")
            arrays.append(array)
            return {"$array": len(arrays) - 1}
        case tuple():
            return {"$tuple": [_plain(v, arrays) for v in value]}
        case Path():
            return {"$path": str(value)}
        case frozenset():
            return {"$set": sorted(value)}
        case Noun():
            return {"$noun": [type(value).__module__, type(value).__name__, _plain(value.pack(), arrays)]}
        case MethodInfo():
            return {"$method": {f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}}
        case ValidatorInfo():
            return {"$validator": {f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}}
        case FileInfo():
            said = {f.name: _plain(getattr(value, f.name), arrays) for f in fields(value)}
            return {"$file": [type(value).__name__, said]}
        case _ if is_sparse(value):
            parts = {k: _plain(getattr(value, k), arrays) for k in ("data", "indices", "indptr")}
            return {"$sparse": {**parts, "shape": list(value.shape)}}
    raise TypeError(f"a message holds JSON and arrays, not {type(value).__name__}")


# Reading --------------------------------------------------------------------------------------------------------------


class Reader:
    """Takes bytes as they come and gives whole messages; a length that lies allocates nothing.

    Parameters
    ----------
    limits : what the next message may be; may be set anew between messages

    Attributes
    ----------
    files : those that have come with the message that is being read
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.files: list[mapped.File] = []
        self.stages = self._message()
        self.wanted = next(self.stages)  # the buffer to be filled next
        self.filled = 0
        self.whole: deque[dict[str, Any]] = deque()

    def fill(self, read: Callable[[memoryview], int]) -> bool:
        """Call ``read(view)`` once for what is missing; True when that ended a message (see `whole`).

        Raises
        ------
        EOFError
            `read` gave no byte.
        Malformed
            What came cannot be a message.
        """
        got = read(self.wanted[self.filled :])
        if not got:
            raise EOFError
        self.filled += got
        if self.filled < len(self.wanted):
            return False
        before = len(self.whole)
        self.wanted, self.filled = next(self.stages), 0
        return len(self.whole) > before

    def _message(self) -> Iterator[memoryview]:
        while True:
            head = bytearray(HEAD.size)
            yield memoryview(head)
            mark, length = HEAD.unpack(head)
            if mark != MARK or not 0 < length <= self.limits.header:
                raise Malformed("what came over the pipe is no message")
            parts = []
            while length > 0:  # in pieces: a length that lies allocates no more than what comes
                piece = bytearray(min(length, 1 << 20))
                yield memoryview(piece)
                parts.append(bytes(piece))
                length -= len(piece)
            body, kinds = _header(b"".join(parts), self.limits)
            arrays = []
            for dtype, shape, number in kinds:
                if number is not None:
                    arrays.append(mapped.array(self.files[number], dtype, shape))
                    continue
                array = np.empty(shape, dtype)
                if array.nbytes:
                    yield _bytes(array)
                arrays.append(array)
            self.files = []
            self.whole.append(_restored(body, arrays, self.limits.trusted))


Described = tuple[np.dtype, tuple[int, ...], int | None]  # type, shape, and the number of its file


def _header(text: bytes, limits: Limits) -> tuple[dict[str, Any], list[Described]]:
    """The message without its arrays, and what these are."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("the header of a message is not JSON") from None
    if not isinstance(header, dict) or not isinstance(header.get("message"), dict):
        raise Malformed("a message is a mapping")
    said = header.get("arrays")
    if not isinstance(said, list) or len(said) > ARRAYS_LIMIT:
        raise Malformed("the arrays of a message are a list of types and shapes")
    kinds = [_kind(entry, limits.trusted) for entry in said]
    if (total := sum(dtype.itemsize * math.prod(shape) for dtype, shape, _ in kinds)) > limits.arrays:
        raise Malformed(f"a message with {total} bytes of arrays, more than can be due")
    return header["message"], kinds


def _kind(entry: Any, trusted: bool) -> Described:
    match entry:
        case [str(name), list(shape), *file] if name in TYPES and len(shape) <= 16 and len(file) <= trusted:
            # Empty ones, too: numpy makes no array of many other lengths beside a 0.
            if all(type(n) is int and n >= 0 for n in shape) and math.prod(max(n, 1) for n in shape) < 1 << 48:
                return TYPES[name], tuple(shape), file[0] if file else None
    raise Malformed("an array of a message has no type and shape")


def _restored(value: Any, arrays: list[np.ndarray], trusted: bool, depth: int = 0) -> Any:
    if depth > DEPTH_LIMIT:
        raise Malformed(f"a message is nested more than {DEPTH_LIMIT} deep")
    if isinstance(value, list):
        return [_restored(v, arrays, trusted, depth + 1) for v in value]
    if not isinstance(value, dict):
        return value
    for key in value:
        if key.startswith("$"):
            return _noun(key, value, arrays, trusted, depth)
    return {k: _restored(v, arrays, trusted, depth + 1) for k, v in value.items()}


def _noun(key: str, value: dict[str, Any], arrays: list[np.ndarray], trusted: bool, depth: int) -> Any:
    inner = value[key]
    if key == "$array" and type(inner) is int and 0 <= inner < len(arrays):
        return arrays[inner]
    if not trusted:
        raise Malformed("a worker sends numbers, texts and arrays only")
    inner = _restored(inner, arrays, trusted, depth + 1)
    match key:
        case "$tuple":
            return tuple(inner)
        case "$path":
            return Path(inner)
        case "$set":
            return frozenset(inner)
        case "$noun":
            module, name, parts = inner
            return _known(module, name).unpack(parts)
        case "$method":
            return MethodInfo(**inner)
        case "$validator":
            return ValidatorInfo(**inner)
        case "$file":
            name, said = inner
            info: FileInfo = getattr(infos, name)(**said)
            return info
        case "$sparse":
            from scipy.sparse import csr_matrix

            return csr_matrix((inner["data"], inner["indices"], inner["indptr"]), shape=inner["shape"])
    raise Malformed(f"a message holds {key}")


def _known(module: str, name: str) -> type[Noun]:
    """The class of a noun, by the file of the zoo that has it: nothing else can be made of a message."""
    found = getattr(importlib.import_module(module), name, None) if module.startswith("zoo.") else None
    if isinstance(found, type) and issubclass(found, Noun):
        return found
    raise Malformed(f"a message holds a {name}, which is no noun")


# A line that waits ----------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """The worker's end of its pipe: reads and writes wait. It trusts the driver."""

    fd: int
    reader: Reader = field(default_factory=lambda: Reader(Limits(trusted=True)))

    def __post_init__(self) -> None:
        self.socket = socket.socket(fileno=os.dup(self.fd))

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; BrokenPipeError or ConnectionResetError where the other end has gone."""
        for view in encode(message):
            while view.nbytes:
                view = view[os.write(self.fd, view) :]

    def receive(self) -> dict[str, Any]:
        """The next message; EOFError or ConnectionResetError where the other end has gone."""
        while not self.reader.fill(self._read):
            pass
        return self.reader.whole.popleft()

    def _read(self, view: memoryview) -> int:
        """Read once, and take the files that have come."""
        got, beside, *_ = self.socket.recvmsg_into([view], socket.CMSG_SPACE(4 * mapped.MOST), socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.reader.files += map(mapped.File, memoryview(data).cast("i"))
        return got
