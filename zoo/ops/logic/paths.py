"""Relational paths: sequences of steps through facts, and how many there are from or between constants.

A step goes from one argument of a predicate to another, so that a binary predicate gives two and a ternary one six. A
path takes only steps whose types fit. All counts are products of sparse matrices over the constants.

Object identity: a path does not come back to a constant that it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from zoo.facts import Facts

CHUNK = 4096  # queries whose paths are counted at a time


class Step(NamedTuple):
    """From argument `start` of a predicate to argument `end`."""

    predicate: str
    start: int
    end: int

    @property
    def back(self) -> Step:
        """The same step the other way."""
        return Step(self.predicate, self.end, self.start)


Path = tuple[Step, ...]


def steps(facts: Facts) -> dict[str, list[Step]]:
    """The steps of the evidence by the type from which they start.

    >>> F = Facts("t", {"wrote": np.zeros((0, 2), np.int32)}, {"wrote": ("person", "book"), "t": ("person",)}, ())
    >>> steps(F)["book"]
    [Step(predicate='wrote', start=1, end=0)]
    """
    found: dict[str, list[Step]] = {}
    for p in sorted(facts.relations):
        for i, j in permutations(range(len(facts.types[p])), 2):
            found.setdefault(facts.types[p][i], []).append(Step(p, i, j))
    return found


def end(facts: Facts, path: Path) -> str:
    """The type in which a path ends."""
    return facts.types[path[-1].predicate][path[-1].end]


def paths(facts: Facts, start: str, length: int, to: str = "") -> list[Path]:
    """All type-consistent paths of 1 to `length` steps from a type, perhaps those only that end in type `to`."""
    onward, found = steps(facts), list[Path]()

    def walk(path: Path, kind: str) -> None:
        for step in onward.get(kind, ()):
            longer = (*path, step)
            found.append(longer)
            if len(longer) < length:
                walk(longer, end(facts, longer))

    walk((), start)
    return [p for p in sorted(found, key=lambda p: (len(p), p)) if not to or end(facts, p) == to]


def relation(facts: Facts, step: Step) -> csr_array:
    """The constants that a step leads to from each constant, as a 0/1 matrix [constants, constants]."""
    n = len(facts.constants)
    pairs = np.unique(facts.relations[step.predicate][:, [step.start, step.end]], axis=0)
    return csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))


def holds(facts: Facts, predicate: str) -> np.ndarray:
    """Which constants a unary predicate is true of [constants]."""
    mask = np.zeros(len(facts.constants))
    mask[facts.relations[predicate][:, 0]] = 1
    return mask


def unary(facts: Facts, kind: str) -> list[str]:
    """The unary predicates of a type."""
    return [p for p in sorted(facts.relations) if facts.types[p] == (kind,)]


def values(facts: Facts) -> list[int]:
    """Arguments of the target that are mere values: no relation speaks of their type, as of the class of a protein."""
    spoken_of = {kind for p in facts.relations for kind in facts.types[p]}
    return [i for i, kind in enumerate(facts.types[facts.target]) if kind not in spoken_of]


class Counter:
    """Counts paths in one set of facts; matrices of steps are made once.

    Examples
    --------
    >>> movie = np.array([[2, 0], [2, 1]], np.int32)
    >>> F = Facts("t", {"movie": movie}, {"movie": ("m", "p"), "t": ("p", "p")}, ("a", "b", "film"))
    >>> path = (Step("movie", 1, 0), Step("movie", 0, 1))
    >>> Counter(F).between(np.array([[0, 1], [1, 0]]), [path])
    array([[1.], [1.]])
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._matrices: dict[Step, csr_array] = {}

    def matrix(self, step: Step) -> csr_array:
        """The relation of a step."""
        if step not in self._matrices:
            self._matrices[step] = relation(self.facts, step)
        return self._matrices[step]

    def ends(self, starts: np.ndarray, paths: list[Path]) -> Iterator[tuple[Path, csr_array]]:
        """How often each path leads from each start to each constant, but never back to that start."""
        yield from self._ends(starts[:, None], paths, [0])

    def _ends(self, X: np.ndarray, paths: list[Path], avoid: list[int]) -> Iterator[tuple[Path, csr_array]]:
        """The same for queries [n, arity], from their first argument; `avoid` are arguments not to pass through."""
        n, wanted = len(self.facts.constants), set(paths)
        prefixes = {p[:k] for p in paths for k in range(1, len(p) + 1)}
        children: dict[Path, list[Path]] = {}
        for p in sorted(prefixes):
            children.setdefault(p[:-1], []).append(p)

        def walk(path: Path, reached: csr_array) -> Iterator[tuple[Path, csr_array]]:
            for longer in children.get(path, ()):
                there = csr_array(reached @ self.matrix(longer[-1]))
                row = np.repeat(np.arange(len(X)), np.diff(there.indptr))
                for a in avoid:
                    there.data[there.indices == X[row, a]] = 0
                if longer in wanted:
                    yield longer, there
                yield from walk(longer, there)

        start = csr_array((np.ones(len(X)), (np.arange(len(X)), X[:, 0])), shape=(len(X), n))
        yield from walk((), start)

    def between(self, X: np.ndarray, paths: list[Path]) -> np.ndarray:
        """How many ways each path leads from the first to the second of each pair [n, paths], through neither."""
        out = np.zeros((len(X), len(paths)))
        column = {p: k for k, p in enumerate(paths)}
        inner: dict[Path, list[Path]] = {}
        for p in paths:
            inner.setdefault(p[:-1], []).append(p)
        for first in range(0, len(X), CHUNK):
            block = X[first : first + CHUNK]
            start = csr_array(
                (np.ones(len(block)), (np.arange(len(block)), block[:, 0])), (len(block), len(self.facts.constants))
            )
            before = [((), start)] if () in inner else []
            for middle, reached in (*before, *self._ends(block, [m for m in inner if m], [0, 1])):
                for p in inner[middle]:
                    last = self.matrix(p[-1].back)[block[:, 1]]
                    out[first : first + CHUNK, column[p]] = reached.multiply(last).sum(axis=1)
        return out

    def common(self, X: np.ndarray, paths: list[Path]) -> np.ndarray:
        """How many constants each path leads to from both of a pair [n, paths], other than the pair itself."""
        out = np.zeros((len(X), len(paths)))
        column = {p: k for k, p in enumerate(paths)}
        own, row = np.unique(X, return_inverse=True)
        row = row.reshape(X.shape)
        for path, reached in self.ends(own, paths):
            there = csr_array(reached > 0, dtype=float)
            for first in range(0, len(X), CHUNK):
                a, b = there[row[first : first + CHUNK, 0]], there[row[first : first + CHUNK, 1]]
                out[first : first + CHUNK, column[path]] = a.multiply(b).sum(axis=1)
        return out
