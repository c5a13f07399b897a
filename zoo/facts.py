"""The nouns of statistical-relational suites: facts over typed constants, and databases of folds. numpy only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from zoo.secret import Secret


@dataclass(frozen=True)
class Facts:
    """What is known beside the queries: one fold's evidence, or a whole source database's.

    Attributes
    ----------
    target : str
        The predicate whose atoms are asked for; never among the relations, nor is its inverse.
    relations : dict of int32 arrays [n, arity]
        The true atoms of each predicate, as distinct rows of constant ids. All predicates of the schema are there, with
        no rows where the fold has none.
    types : dict of tuples
        The type of each argument of each predicate, the target's too.
    constants : tuple of str
        Names of the constants by id; ids are shared by all folds of a database.
    """

    target: str
    relations: dict[str, np.ndarray]
    types: dict[str, tuple[str, ...]]
    constants: tuple[str, ...]

    @cached_property
    def digest(self) -> str:
        """sha256 of the content."""
        found = hashlib.sha256(repr((self.target, sorted(self.types.items()), self.constants)).encode())
        for name in sorted(self.relations):
            found.update(repr((name, self.relations[name].shape)).encode())
            found.update(np.ascontiguousarray(self.relations[name], np.int32).data)
        return found.hexdigest()


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
