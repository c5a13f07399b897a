"""Second-order templates: clauses whose predicates are variables, and their instances in a schema.

A template such as "both lead to the same thing by R" says nothing of films or papers, so that what is learnt of it in
one database can be used in another that shares no predicate with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from zoo.facts import Facts
from zoo.ops.logic.paths import Counter, Path, end, holds, paths, unary, values

LETTERS = "ABC"
OTHERS = "XYZ"


class Instance(NamedTuple):
    """A template with predicates in the place of its variables.

    Attributes
    ----------
    template : tuple
        Its name and the arguments of the query that it speaks of: ``is, has, has a, direct, inverse, transitive, chain,
        shared, shared at two, value, value with``.
    path : Path
        The relation or relations on the way.
    predicate : str
        Unary, of the argument or of what the path leads to.
    value, end : int
        Constants that the argument is, and that the path leads to.
    """

    template: tuple[str, int] | tuple[str, int, int]
    path: Path = ()
    predicate: str = ""
    value: int = -1
    end: int = -1


def instances(facts: Facts, X: np.ndarray, y: np.ndarray) -> list[Instance]:
    """All type-consistent instances in a schema; values as the examples have them.

    A value comes with each thing that one step leads to from the other argument in a true example, such as the class
    of a protein with its location.
    """
    types, found = facts.types[facts.target], list[Instance]()
    for i, kind in enumerate(types):
        found += [Instance(("is", i), predicate=p) for p in unary(facts, kind)]
        for path in paths(facts, kind, 1):
            found.append(Instance(("has", i), path))
            found += [Instance(("has a", i), path, p) for p in unary(facts, end(facts, path))]
    for i in values(facts):
        found += [Instance(("value", i), value=int(v)) for v in np.unique(X[:, i])]
        for j in (j for j in range(len(types)) if j != i):
            for path, reached in Counter(facts).ends(X[y == 1, j], paths(facts, types[j], 1)):
                row, there = reached.nonzero()
                seen = np.unique(np.stack([X[y == 1, i][row], there], 1), axis=0).tolist()
                found += [Instance(("value with", i, j), path, value=v, end=e) for v, e in seen]
    for i, j in combinations(range(len(types)), 2):
        found += [Instance((_name(path), i, j), path) for path in paths(facts, types[i], 2, to=types[j])]
        if types[i] == types[j]:
            twice = [path for path in paths(facts, types[i], 2) if len(path) == 2]
            found += [Instance(("shared at two", i, j), path) for path in twice]
    return found


def links(instance: Instance) -> bool:
    """Whether it says how two arguments are related; what one argument is means something else in another schema."""
    return len(instance.template) == 3 and instance.value < 0


def _name(path: Path) -> str:
    first, last = path[0], path[-1]
    if len(path) == 1:
        return "direct" if first.start < first.end else "inverse"
    return "shared" if last == first.back else "transitive" if last == first else "chain"


def amounts(X: np.ndarray, facts: Facts, asked: Sequence[Instance]) -> np.ndarray:
    """How often each instance is true of each query [n, instances], as log(1 + count)."""
    counter, out = Counter(facts), np.zeros((len(X), len(asked)))
    for i in range(X.shape[1]):
        own, row = np.unique(X[:, i], return_inverse=True)
        alone = [(k, a) for k, a in enumerate(asked) if a.template[1:] == (i,)]
        ways = dict(counter.ends(own, list({a.path for _, a in alone if a.path})))
        for k, a in alone:
            there = holds(facts, a.predicate) if a.predicate else np.ones(len(facts.constants))
            out[:, k] = (
                (ways[a.path] @ there)[row] if a.path else X[:, i] == a.value if a.value >= 0 else there[X[:, i]]
            )
    for i, j in permutations(range(X.shape[1]), 2):
        both = [(k, a) for k, a in enumerate(asked) if a.template[1:] == (i, j)]
        for count, members in (
            (counter.common, [(k, a) for k, a in both if a.template[0] == "shared at two"]),
            (counter.between, [(k, a) for k, a in both if a.template[0] != "shared at two" and a.value < 0]),
        ):
            if members:
                out[:, [k for k, _ in members]] = count(X[:, [i, j]], [a.path for _, a in members])
        own, row = np.unique(X[:, j], return_inverse=True)
        described = [(k, a) for k, a in both if a.value >= 0]
        for path, reached in counter.ends(own, list({a.path for _, a in described})):
            members = [(k, a) for k, a in described if a.path == path]
            there = reached[:, [a.end for _, a in members]].toarray()[row]
            out[:, [k for k, _ in members]] = there * (X[:, [i]] == [a.value for _, a in members])
    return np.log1p(out)


def rule(instance: Instance, facts: Facts) -> str:
    """An instance as a rule for the target, such as ``likes(A,B) <- knows(A,X), knows(X,B)``."""
    name, i, *rest = instance.template
    arity = len(facts.types[facts.target])
    head = f"{facts.target}({','.join(LETTERS[:arity])})"
    body, at = [], LETTERS[i]
    if instance.value >= 0:
        body.append(f"{at} = {facts.constants[instance.value]}")
        at = LETTERS[rest[0]] if rest else at
    path = instance.path
    if name == "shared at two":
        path = (*path, path[1].back, path[0].back)
    for n, step in enumerate(path):
        last = n == len(path) - 1
        there = facts.constants[instance.end] if instance.end >= 0 else LETTERS[rest[0]] if rest and last else OTHERS[n]
        arguments = ["_"] * len(facts.types[step.predicate])
        arguments[step.start], arguments[step.end] = at, there
        body.append(f"{step.predicate}({','.join(arguments)})")
        at = there
    if instance.predicate:
        body.append(f"{instance.predicate}({at})")
    return f"{head} <- {', '.join(body)}"
