"""The driver's side of a place on a Ray cluster, of the line to its worker, and of what is in the store."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.bench.executors._place import PIECE
from zoo.bench.executors.processes import HEARD
from zoo.vault import wire
from zoo.vault.shared import digest

CALL = 64  # pieces in a call: 6 MiB
STORED = ("Xs", "Xt", "Xl")  # samples, whose rows are shuffled; labels are never put into the store
LARGE = 1 << 16  # bytes of an array that is worth a place in it
LOST_NODE, LOST_WORKER = 1 / 8, 1 / 2  # what each counts against its cell, which fails at 1


Lost = Callable[["Spot", Exception], tuple[str, float]]  # why a place was lost, and what that counts


@dataclass(eq=False)
class Spot:
    """The driver's side of a `Place`; ``folders`` of the driver that have plugins are ``folder/0``, ... there."""

    actor: Any
    folders: list[Path]
    folder: str = ""
    node: str = ""
    address: str = ""
    landlock: int = 0
    line: Line | None = None

    @property
    def busy(self) -> bool:
        """Whether its actor may be waiting for a worker, so that it answers nothing else."""
        return not self.node or (self.line is not None and self.line.pending is not None)

    def there(self, path: Path) -> Path:
        """Where a plugin's file is on the node."""
        if (folder := path.resolve().parent) not in self.folders:
            return path
        return Path(self.folder, str(self.folders.index(folder)), path.name)

    def here(self, text: str) -> str:
        """What a worker says, with the driver's names of its folders."""
        for i, folder in enumerate(self.folders):
            text = text.replace(f"{self.folder}/{i}/", f"{folder}/")
        return text


class Line:
    """The driver's end of a worker's line: calls of its place. It never blocks, whatever the worker does."""

    server_died = False  # each has one of its own, which it may have killed itself

    def __init__(self, ray: Any, shelf: Shelf, lost: Lost, place: Spot, number: int, stranger: bool) -> None:
        self.ray, self.shelf, self.lost = ray, shelf, lost
        self.place, self.number, self.stranger = place, number, stranger
        self.reader = wire.Reader(wire.Limits(HEARD) if stranger else None)
        self.pending: Any = None  # the bytes that come next
        self.given = 0
        self.wrong: Exception | None = None  # why nothing more can be read
        self.reason, self.blame = "", LOST_WORKER
        place.actor.open.remote(number, stranger)

    @property
    def ready(self) -> bool:
        """Whether `receive` has something to give or to raise."""
        return bool(self.reader.whole) or self.wrong is not None

    def expect(self, arrays: int) -> None:
        self.reader.limits = wire.Limits(self.reader.limits.header, arrays)

    def send(self, message: dict[str, Any]) -> None:
        if getattr(message.get("info"), "plugin", False):
            message = message | {"info": replace(message["info"], path=self.place.there(message["info"].path))}
        if "shown" in message:  # a plugin's network
            message = message | self._there(message)
        stored = {} if self.stranger else self.shelf.stored(message.get("arrays", {}))
        parts = [part for view in wire.encode(message) for part in _parts(view, stored)]
        *first, last = (parts[i : i + CALL] for i in range(0, len(parts), CALL))
        for some in first:
            self.place.actor.give.remote(*some)
        self.given += len(first)
        self.pending = self.place.actor.take.remote(self.number, self.given, *last)

    def _there(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message's network as the node has it."""
        *who, path = message["learner"]["net"].split(":", 3)
        net = ":".join([*who, str(self.place.there(Path(path)))])
        shown = [self.place.there(p) for p in message["shown"]]
        return {"learner": message["learner"] | {"net": net}, "shown": shown}

    def awaited(self) -> Any:
        """What will be there once the worker has said something, or has ended."""
        if self.pending is None:
            self.pending = self.place.actor.take.remote(self.number, self.given)
        return self.pending

    def hear(self) -> None:
        """Take what has come."""
        pending, self.pending = self.pending, None
        try:
            said, over = self.ray.get(pending)
        except self.ray.exceptions.RayError as error:
            self.wrong = EOFError()
            self.reason, self.blame = self.lost(self.place, error)
            return
        if over:
            self.wrong, self.reason = EOFError(), over
            return
        left = memoryview(said)

        def read(view: memoryview) -> int:
            nonlocal left
            n = min(len(view), len(left))
            view[:n], left = left[:n], left[n:]
            return n

        try:
            while left:
                self.reader.fill(read)
        except wire.Malformed as error:
            self.wrong = error

    def receive(self) -> dict[str, Any]:
        if not self.reader.whole:
            raise self.wrong or EOFError()
        answer = self.reader.whole.popleft()
        if self.stranger and isinstance(said := answer.get("reason"), str):
            answer["reason"] = self.place.here(said)
        if self.stranger and isinstance(opened := answer.get("opened"), list):
            answer["opened"] = [self.place.here(p) if isinstance(p, str) else p for p in opened]
        return answer

    def close(self) -> None:
        if self.place.line is self:
            self.place.line = None
            self.place.actor.end.options(concurrency_group="end").remote(self.number)

    def obituary(self) -> str:
        return self.reason


class Shelf:
    """Arrays in Ray's object store, each once, whichever cells need it; those used long ago are let go.

    Parameters
    ----------
    limit : bytes that are kept there
    """

    def __init__(self, ray: Any, limit: int) -> None:
        self.ray, self.limit = ray, limit
        self.names: dict[int, tuple[weakref.ref[np.ndarray], str]] = {}
        self.refs: dict[str, tuple[Any, int]] = {}  # in the order of their last use

    def stored(self, arrays: Mapping[str, Any]) -> dict[tuple[int, int], Any]:
        """References to those arrays of a message that are put into the store, by where they are and their lengths."""
        found = {}
        for name in STORED:
            array = arrays.get(name)
            if isinstance(array, np.ndarray) and array.nbytes >= LARGE and array.flags.c_contiguous:
                found[array.ctypes.data, array.nbytes] = self._ref(array)
        return found

    def _ref(self, array: np.ndarray) -> Any:
        known, name = self.names.get(id(array), (None, ""))
        if known is None or known() is not array:
            name = digest(array)
            self.names[id(array)] = weakref.ref(array), name
        ref, size = self.refs.pop(name, (None, array.nbytes))
        self.refs[name] = ref or self.ray.put(array.reshape(-1).view(np.uint8)), size
        excess = sum(n for _, n in self.refs.values()) - self.limit
        for old, (_, n) in list(self.refs.items())[:-1]:
            if excess <= 0:
                break
            del self.refs[old]
            excess -= n
        return self.refs[name][0]


def _parts(view: memoryview, stored: Mapping[tuple[int, int], Any]) -> Iterable[Any]:
    """A buffer of a message as what is in the store, or in pieces that never get there."""
    place = np.frombuffer(view, np.uint8).ctypes.data, view.nbytes
    return [stored[place]] if place in stored else [bytes(view[i : i + PIECE]) for i in range(0, view.nbytes, PIECE)]
