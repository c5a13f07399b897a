"""The nouns of statistical-relational suites: facts over typed constants, and databases of folds. numpy only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo.noun import Noun

if TYPE_CHECKING:
    from zoo.secret import Secret


@dataclass(frozen=True)
class Facts(Noun):
    """What is known beside the queries: one fold's evidence, or a whole source database's.

    All methods that see the same facts are given this one object, so nothing in it can be written into.

    Attributes
    ----------
    target : str
        The predicate whose atoms are asked for; never among the relations, nor is its inverse.
    relations : mapping of int32 arrays [n, arity]
        The true atoms of each predicate, as distinct rows of constant ids. All predicates of the schema are there, with
        no rows where the fold has none.
    types : dict of tuples
        The type of each argument of each predicate, the target's too.
    constants : tuple of str
        Names of the constants by id; ids are shared by all folds of a database.
    """

    sent: ClassVar[tuple[str, ...]] = ("target", "relations", "types", "constants")

    target: str
    relations: Mapping[str, np.ndarray]
    types: Mapping[str, tuple[str, ...]]
    constants: tuple[str, ...]

    def __post_init__(self) -> None:
        relations = {name: locked(rows) for name, rows in self.relations.items()}
        object.__setattr__(self, "relations", MappingProxyType(relations))
        object.__setattr__(self, "types", MappingProxyType(dict(self.types)))

    def __reduce__(self) -> Any:
        """What pickles and copies; a proxy does neither by itself."""
        return Facts, (self.target, dict(self.relations), dict(self.types), self.constants)

    @cached_property
    def digest(self) -> str:
        """sha256 of the content."""
        found = hashlib.sha256(repr((self.target, sorted(self.types.items()), self.constants)).encode())
        for name in sorted(self.relations):
            found.update(repr((name, self.relations[name].shape)).encode())
            found.update(np.ascontiguousarray(self.relations[name], np.int32).data)
        return found.hexdigest()

    def to(self, device: Any) -> Facts:
        """Itself: methods of all devices read the same facts."""
        return self


def locked(array: np.ndarray) -> np.ndarray:
    """The same array, through which nobody can write.

    >>> locked(np.zeros(2))[0] = 1
    Traceback (most recent call last):
    ValueError: assignment destination is read-only
    """
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Fold:
    """One fold of a database: evidence, and labelled query atoms in an order that tells nothing."""

    name: str
    facts: Facts
    X: np.ndarray  # int64 [n, arity of the target]: constant ids
    y: np.ndarray  # int64 [n]: 1 true, 0 false


@dataclass(frozen=True)
class Database:
    """A relational domain.

    Attributes
    ----------
    secret : Secret
        Of all that is in it, labels included: it seeds the order of the query atoms and the draws of examples. Never
        leaves the driver; what is written and hashed is ``content``, a one-way hash of it.
    notes : tuple of str
        What was left out or assumed at loading (inverses found, other targets, types inferred), a line each.
    """

    name: str
    folds: tuple[Fold, ...]
    secret: Secret
    notes: tuple[str, ...] = field(default=())

    @property
    def content(self) -> str:
        """A hash of the facts and labels that tells nothing of them."""
        return self.secret.content

    def described(self) -> dict[str, Any]:
        """What run.json and captions say of it, beside its content."""
        labels = [fold.y for fold in self.folds]
        return {
            "n": sum(map(len, labels)),
            "positives": sum(int(y.sum()) for y in labels),
            "folds": len(labels),
            "target": self.folds[0].facts.target,
            "notes": list(self.notes),
        }
