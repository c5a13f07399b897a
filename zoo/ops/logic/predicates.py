"""Predicates as vectors of relational statistics, and the mapping of one schema to another by their similarity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from zoo.facts import Facts
from zoo.ops.logic.paths import Counter, Path, Step, end, paths

FAR = 3  # steps from the target's types, at most


@dataclass(frozen=True)
class Match:
    """A predicate of the source and what it becomes: argument k there is argument ``order[k]`` here."""

    source: str
    target: str
    order: tuple[int, ...]
    score: float


def statistics(facts: Facts, X: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """A vector [arity, 8] for each predicate, by argument.

    How far it is from a key (1 less distinct constants by rows); which share of the constants of its type are there;
    how many steps its type is from that of the query's first argument, and of its last, of `FAR`; which share of rows
    have the constant in another argument, too. And, true examples less false ones, how often the query's first argument
    is there, its last, and both with the same thing beside them.
    """
    present: dict[str, list[np.ndarray]] = {}
    for p, rows in facts.relations.items():
        for i, kind in enumerate(facts.types[p]):
            present.setdefault(kind, []).append(rows[:, i])
    sizes = {kind: len(np.unique(np.concatenate(parts))) for kind, parts in present.items()}
    own, counter = facts.types[facts.target], Counter(facts)
    steps, ends = [_distances(facts, kind) for kind in (own[0], own[-1])], X[:, [0, -1]]

    def lift(truth: np.ndarray) -> float:
        return float(truth[y == 1].mean() - truth[y == 0].mean())

    found = {}
    for p, rows in facts.relations.items():
        vector = np.zeros((len(facts.types[p]), 8))
        for i, kind in enumerate(facts.types[p]):
            distinct = np.unique(rows[:, i])
            again = (np.delete(rows, i, axis=1) == rows[:, [i]]).any(axis=1)
            vector[i, 0] = 1 - len(distinct) / max(len(rows), 1)
            vector[i, 1] = len(distinct) / max(sizes[kind], 1)
            vector[i, 2:4] = [d.get(kind, FAR) / FAR for d in steps]
            vector[i, 4] = again.mean() if len(rows) else 0
            vector[i, 5:7] = [lift(np.isin(x, distinct)) if k == kind else 0 for x, k in zip(ends.T, own, strict=True)]
            beside: list[Path] = [(Step(p, i, j),) for j in range(len(facts.types[p])) if j != i]
            if beside and own[0] == own[-1] == kind:
                vector[i, 7] = lift(np.asarray(counter.common(ends, beside).any(axis=1)))
        found[p] = vector
    return found


def _distances(facts: Facts, start: str) -> dict[str, int]:
    """Steps from a type to the others, up to `FAR`."""
    found = {start: 0}
    for path in paths(facts, start, FAR - 1):
        found.setdefault(end(facts, path), len(path))
    return found


def grams(name: str, n: int = 3) -> set[str]:
    """The character n-grams of a name.

    >>> sorted(grams("word"))
    ['#wo', 'ord', 'rd#', 'wor']
    """
    framed = f"#{name.lower()}#"
    return {framed[i : i + n] for i in range(len(framed) - n + 1)}


def similarity(a: np.ndarray, b: np.ndarray, names: tuple[str, str], weight: float) -> float:
    """How alike two predicates are, between 0 and 1, arguments in the order given."""
    one, two = (grams(name) for name in names)
    return float((1 - weight) * np.exp(-np.abs(a - b).mean()) + weight * len(one & two) / len(one | two))


def match(
    source: Facts, target: Facts, there: dict[str, np.ndarray], here: dict[str, np.ndarray], weight: float
) -> list[Match]:
    """The most similar pairs of predicates, the surest first, so that types stay consistent.

    The query's arguments correspond. A source type becomes one target type; a predicate becomes at most one, and no two
    become the same. `there` and `here` are the statistics of both.
    """
    pairs = []
    for p, a in there.items():
        for q, b in here.items():
            if len(a) == len(b) and len(source.relations[p]) and len(target.relations[q]):
                for order in permutations(range(len(a))):
                    pairs.append(Match(p, q, order, similarity(a, b[list(order)], (p, q), weight)))
    types = dict(zip(source.types[source.target], target.types[target.target], strict=False))
    found: list[Match] = []
    for m in sorted(pairs, key=lambda m: (-m.score, m.source, m.target, m.order)):
        if any(m.source == o.source or m.target == o.target for o in found):
            continue
        asked = [(a, target.types[m.target][k]) for a, k in zip(source.types[m.source], m.order, strict=True)]
        if all(types.get(a, b) == b for a, b in asked) and len(set(asked)) == len({a for a, _ in asked}):
            types |= dict(asked)
            found.append(m)
    return found
