"""What methods that see the same arrays compute once in a worker, kept by what it was computed from.

Nothing is shared between workers, hence nothing between targets, or between grants of a target's labels.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from zoo.noun import Noun

LIMIT = 1 << 30  # bytes of tensors that are kept; the least recently used go first


class _Result:
    """What is kept, and how it was: numpy arrays in it are read-only from then on, all else is compared."""

    def __init__(self, value: Any, wall: float) -> None:
        self.value, self.wall = value, wall
        found = list(parts(value))
        self.tensors = [t for t in found if isinstance(t, Tensor)]
        self.versions = [t._version for t in self.tensors]
        self.attributes = [(o, dict(vars(o))) for o in found if hasattr(o, "__dict__") and not isinstance(o, Tensor)]
        for array in found:
            if isinstance(array, np.ndarray):
                array.flags.writeable = False

    @property
    def intact(self) -> bool:
        """Whether nobody has written into its tensors or exchanged an attribute; what it adds itself is its own."""
        same = all(vars(o).get(k) is v for o, attributes in self.attributes for k, v in attributes.items())
        return same and [t._version for t in self.tensors] == self.versions


class Shared:
    """Calls functions of known tensors, each once; `wall` is what a cell's share of them cost when it was computed.

    Attributes
    ----------
    wall : seconds that computing what this cell used took, whoever computed it
    spent, spent_cpu : seconds that this cell itself spent on it
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.results: dict[Any, _Result] = {}  # in the order of their last use
        self.begin()

    def begin(self, again: bool = False) -> None:
        """A new fit: none of its tensors is known yet. Nothing is charged to a new cell, and nothing twice to one."""
        self.known: dict[int, tuple[Tensor, int, str]] = {}
        self.charged: set[Any] = self.charged if again else set()
        self.wall = self.spent = self.spent_cpu = 0.0

    def know(self, tensor: Tensor, name: str) -> Tensor:
        """Remember what a tensor holds, as long as nobody writes into it; `name` is a digest."""
        self.known[id(tensor)] = (tensor, tensor._version, name)
        return tensor

    def __call__(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """``function(*arguments, **options)``; computed anew where an argument is a tensor of the cell's own."""
        named = [self._name(a) for a in arguments]
        if None in named:
            return function(*arguments, **options)
        return self.keep((function, *named, *sorted(options.items())), lambda: function(*arguments, **options))

    def keep(self, key: Any, compute: Callable[[], Any]) -> Any:
        """The result kept under a key, or computed and kept."""
        found = self.results.pop(key, None)
        if found is None or not found.intact:
            wall, cpu = time.perf_counter(), time.process_time()
            value = compute()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found = _Result(value, wall)
            self.spent += wall
            self.spent_cpu += cpu
        self.results[key] = found
        if key not in self.charged:
            self.charged.add(key)
            self.wall += found.wall
        self._forget()
        return found.value

    def _name(self, argument: Any) -> str | None:
        if isinstance(argument, Noun):
            return argument.digest
        if not isinstance(argument, Tensor):
            return repr(argument)
        tensor, version, name = self.known.get(id(argument), (None, 0, ""))
        return name if tensor is argument and argument._version == version else None

    def _forget(self) -> None:
        sizes = {key: sum(t.nbytes for t in r.tensors) for key, r in self.results.items()}
        excess = sum(sizes.values()) - self.limit
        for key, size in sizes.items():
            if excess <= 0:
                break
            del self.results[key]
            excess -= size


def parts(value: Any) -> Iterator[Any]:
    """A value and all that it is made of, each object once: tensors, arrays, and whatever holds them.

    >>> [type(p).__name__ for p in parts({"a": (np.zeros(2), 1)})]
    ['dict', 'tuple', 'int', 'ndarray']
    """
    seen: dict[int, Any] = {}
    todo = [value]
    while todo:
        part = todo.pop()
        if id(part) in seen or isinstance(part, type | ModuleType | FunctionType | BuiltinFunctionType):
            continue
        seen[id(part)] = part
        yield part
        if isinstance(part, dict):
            todo += part.values()
        elif isinstance(part, list | tuple | set | frozenset):
            todo += part
        elif not isinstance(part, Tensor):
            todo += getattr(part, "__dict__", {}).values()


def digest(*arrays: np.ndarray) -> str:
    """A digest of what arrays hold.

    >>> digest(np.zeros(2)) == digest(np.zeros(2)) != digest(np.zeros((1, 2)))
    True
    """
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(repr((array.shape, array.dtype.str)).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
