"""Conjunctive tests over facts: which queries satisfy them, by joins on indexed relations, and what tests there are.

A term is a whole number: a variable v >= 0, of which the first are the query's own arguments, or a constant c as ~c.
A test is a tuple of literals, true for a query if some value of its other variables makes all literals true. The other
variables are numbered as they appear.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from string import ascii_uppercase
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from zoo.facts import Facts

EQUALS = "="


class Literal(NamedTuple):
    """A predicate with terms; ``=`` compares an argument of the query with a constant."""

    predicate: str
    args: tuple[int, ...]


Test = tuple[Literal, ...]
Trie = dict[Literal, Any]  # literal: the columns of the tests that end with it, and the literals that follow


def types_of(test: Test, facts: Facts) -> tuple[str, ...]:
    """Types of a test's variables, the query's arguments first."""
    types = list(facts.types[facts.target])
    for literal in test:
        if literal.predicate != EQUALS:
            for v, kind in sorted(zip(literal.args, facts.types[literal.predicate], strict=True)):
                if v == len(types):
                    types.append(kind)
    return tuple(types)


def text(test: Test, facts: Facts) -> str:
    """A test as one reads it, such as ``movie(C, A), movie(C, B)``: the query is ``target(A, B)``.

    >>> F = Facts("p", {"q": np.zeros((0, 2), np.int32)}, {"p": ("t",), "q": ("t", "t")}, ("a", "b"))
    >>> text((Literal("q", (0, 1)), Literal("q", (1, ~1))), F)
    'q(A, B), q(B, b)'
    """

    def term(t: int) -> str:
        if t < 0:
            return facts.constants[~t]
        return ascii_uppercase[t] if t < len(ascii_uppercase) else f"V{t}"

    said = []
    for predicate, args in test:
        terms = [term(t) for t in args]
        said.append(" = ".join(terms) if predicate == EQUALS else f"{predicate}({', '.join(terms)})")
    return ", ".join(said)


# Which queries satisfy which tests ------------------------------------------------------------------------------------


class Grounder:
    """Tells which queries satisfy which tests, given the facts.

    Object identity: a variable that is not the query's takes no value that an argument of the query of the same type
    has, so that no path returns through the query's own entities.

    Parameters
    ----------
    facts : Facts
    cap : int
        Rows of bindings held for one literal. Tables that would be longer are worked through in blocks, so that the
        answer does not depend on it; one row's own bindings are never split.
    """

    def __init__(self, facts: Facts, cap: int = 1 << 20) -> None:
        self.facts, self.cap = facts, cap
        self._indexes: dict[tuple[object, ...], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def satisfied(self, X: np.ndarray, tests: Sequence[Test]) -> np.ndarray:
        """Truth of tests: bool [queries, tests]. Prefixes that tests share are joined once.

        A test that concerns some arguments of the query only is worked out once for each of their values.
        """
        out = np.zeros((len(X), len(tests)), bool)
        groups: dict[tuple[int, ...], list[int]] = {}
        for t, test in enumerate(tests):
            groups.setdefault(self._concerned(test), []).append(t)
        for on, members in groups.items():
            rows, inverse = _distinct(X[:, on])
            table = np.zeros((len(rows), 1 + X.shape[1]), np.int32)
            table[:, 0] = np.arange(len(rows))
            table[:, [1 + a for a in on]] = rows
            part = np.zeros((len(rows), len(members)), bool)
            trie: Trie = {}
            for column, t in enumerate(members):
                node = trie
                ends: list[int] = []
                for literal in tests[t]:
                    ends, node = node.setdefault(literal, ([], {}))
                ends.append(column)
            self._walk(table, trie, part, on)
            out[:, members] = part[inverse]
        return out

    def _concerned(self, test: Test) -> tuple[int, ...]:
        """Arguments of the query that a test names, or whose values its other variables must not take."""
        types, own = types_of(test, self.facts), self.facts.types[self.facts.target]
        named = {t for _, args in test for t in args}
        return tuple(a for a, kind in enumerate(own) if a in named or kind in types[len(own) :])

    def _walk(self, table: np.ndarray, trie: Trie, out: np.ndarray, on: tuple[int, ...]) -> None:
        width = table.shape[1] - 1
        about: dict[int, list[Literal]] = {}  # literals that end tests and say something of one variable alone
        for literal, (ends, children) in trie.items():
            known = [t for t in literal.args if 0 <= t < width]
            if not children and len(known) == 1 and not self._rivals(literal, width, on):
                about.setdefault(known[0], []).append(literal)
                continue
            for block in self._join(table, literal, on, bool(children)):
                out[np.ix_(np.unique(block[:, 0]), ends)] = True
                if children and len(block):
                    self._walk(self._projected(block, children, on), children, out, on)
        for v, said in about.items():
            true_of = np.stack([self._true_of(literal, width) for literal in said], 1)
            where = (np.ones(len(table), np.float32), (table[:, 0], table[:, 1 + v]))
            truth = csr_array(where, shape=(len(out), len(true_of))) @ true_of > 0
            for column, literal in zip(truth.T, said, strict=True):
                out[:, trie[literal][0]] |= column[:, None]

    def _true_of(self, literal: Literal, width: int) -> np.ndarray:
        """Of which constants a literal about one variable is true."""
        true = np.zeros(len(self.facts.constants), np.float32)
        if literal.predicate == EQUALS:
            true[[~t for t in literal.args if t < 0]] = 1
        else:
            true[self._index(literal, width)[0]] = 1
        return true

    def _projected(self, table: np.ndarray, trie: Trie, on: tuple[int, ...]) -> np.ndarray:
        """Distinct rows of the variables that are named further on; what the others are bound to is forgotten."""
        width, base = table.shape[1] - 1, len(self.facts.constants)
        named = _named(trie) - {*range(len(self.facts.types[self.facts.target]))}
        kept = [1 + v for v in range(width) if v in named]
        if len(table) < 1000 or base ** len(kept) * (int(table[:, 0].max()) + 1) >= 2**62:
            return table
        key = table[:, 0].astype(np.int64)
        for column in kept:
            key = key * base + table[:, column]
        return table[np.unique(key, return_index=True)[1]]

    def _join(self, table: np.ndarray, literal: Literal, on: tuple[int, ...], bind: bool) -> Iterator[np.ndarray]:
        """Rows of bindings extended by a literal's new variables, in blocks; only which rows match, unless `bind`."""
        predicate, args = literal
        if predicate == EQUALS:
            a, b = (~t if t < 0 else table[:, 1 + t] for t in args)
            yield table[a == b]
            return
        width = table.shape[1] - 1
        keys, starts, new = self._index(literal, width)
        bound = np.zeros(len(table), np.int64)
        for t in args:
            if 0 <= t < width:
                bound = bound * len(self.facts.constants) + table[:, 1 + t]
        at = np.searchsorted(keys, bound)
        at[at == len(keys)] = 0
        counts = np.where(keys[at] == bound, starts[at + 1] - starts[at], 0) if len(keys) else np.zeros(len(table), int)
        rivals = self._rivals(literal, width, on)
        if not (new.shape[1] and (bind or rivals)):
            yield table[counts > 0]
            return
        table, at, counts = table[counts > 0], at[counts > 0], counts[counts > 0]
        total = np.cumsum(counts)
        begin = 0
        while begin < len(table):
            before = total[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(total, before + self.cap, "right")))
            n = counts[begin:end]
            rows = np.repeat(np.arange(begin, end), n)
            place = np.arange(len(rows)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(starts[at[begin:end]], n)
            block = np.hstack([table[rows], new[place]])
            keep = np.ones(len(block), bool)
            for j, own in rivals:
                keep &= block[:, 1 + width + j] != block[:, own]
            yield block[keep]
            begin = end

    def _rivals(self, literal: Literal, width: int, on: tuple[int, ...]) -> list[tuple[int, int]]:
        """Which new variable must not equal which column of the table."""
        if literal.predicate == EQUALS:
            return []
        own = self.facts.types[self.facts.target]
        kinds = {t: k for t, k in zip(literal.args, self.facts.types[literal.predicate], strict=True) if t >= width}
        return [(j, 1 + a) for j, t in enumerate(sorted(kinds)) for a in on if own[a] == kinds[t]]

    def _index(self, literal: Literal, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A relation by its bound arguments: sorted distinct keys, where each starts, and values of new variables."""
        predicate, args = literal
        pattern = tuple(t if t < 0 else (0 if t < width else 1 + t - width) for t in args)
        if (predicate, pattern) not in self._indexes:
            R = self.facts.relations[predicate]
            first = {t: i for i, t in reversed(list(enumerate(args))) if t >= width}
            keep = np.ones(len(R), bool)
            for i, t in enumerate(args):
                if t < 0:
                    keep &= R[:, i] == ~t
                elif t >= width:
                    keep &= R[:, i] == R[:, first[t]]
            R = R[keep]
            key = np.zeros(len(R), np.int64)
            for i, t in enumerate(args):
                if 0 <= t < width:
                    key = key * len(self.facts.constants) + R[:, i]
            order = np.argsort(key, kind="stable")
            keys, starts = np.unique(key[order], return_index=True)
            new = R[order][:, [first[t] for t in sorted(first)]].astype(np.int32)
            self._indexes[predicate, pattern] = keys, np.append(starts, len(R)), new
        return self._indexes[predicate, pattern]


def _named(trie: Trie) -> set[int]:
    """Variables that the literals of a trie name."""
    return {t for (_, args), (_, children) in trie.items() for t in {*args, *_named(children)} if t >= 0}


def _distinct(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows, and which of them each row is."""
    if not X.shape[1]:
        return X[:1], np.zeros(len(X), np.int64)
    rows, inverse = np.unique(X, axis=0, return_inverse=True)
    return rows, inverse.reshape(-1)


# What tests there are -------------------------------------------------------------------------------------------------


def values_of(facts: Facts, X: np.ndarray, max_values: int) -> dict[str, list[int]]:
    """Constants that may stand in tests, by type: of types with at most `max_values` of them, that describe.

    A type describes if one argument of one predicate is all that it is for, such as the level of a course; a type that
    several relations speak of is one of entities, which other folds do not have. So is that of the target's arguments,
    unless no relation speaks of it, such as the classes of ``class(protein, c)``: then the queries tell its values.
    """
    columns: dict[str, list[np.ndarray]] = {}
    for predicate, R in facts.relations.items():
        for i, kind in enumerate(facts.types[predicate]):
            columns.setdefault(kind, []).append(R[:, i])
    own = facts.types[facts.target]
    values = {kind: np.unique(c[0]) for kind, c in columns.items() if kind not in own and len(c) == 1}
    for kind in set(own) - set(columns):
        values[kind] = np.unique(X[:, [i for i, k in enumerate(own) if k == kind]])
    return {kind: found.tolist() for kind, found in values.items() if len(found) <= max_values}


def literals(facts: Facts, types: Sequence[str], link: Sequence[int], values: dict[str, list[int]]) -> list[Literal]:
    """Literals that name a variable of `link`; other arguments are variables of `types`, new ones, or constants."""
    found = []
    for predicate, R in facts.relations.items():
        choices = [
            [*(v for v, k in enumerate(types) if k == kind), len(types), *(~c for c in values.get(kind, ()))]
            for kind in facts.types[predicate]
        ]
        for terms in product(*choices) if len(R) else ():
            if set(terms) & set(link):
                args, fresh = list(terms), len(types)
                for i, t in enumerate(args):
                    if t == len(types):  # every new variable is one of its own
                        args[i], fresh = fresh, fresh + 1
                found.append(Literal(predicate, tuple(args)))
    return found


def refinements(facts: Facts, values: dict[str, list[int]], lookahead: int, base: Test = ()) -> list[Test]:
    """All tests with up to `lookahead` literals more than `base`; each literal names a variable that the last one made.

    The first literal names an argument of the query, or, where there is a base, one of its other variables.
    """
    arity = len(facts.types[facts.target])
    types = types_of(base, facts)
    found: list[Test] = []
    if not base:
        found += [(Literal(EQUALS, (a, ~c)),) for a, kind in enumerate(types) for c in values.get(kind, ())]
    frontier: list[tuple[Test, Sequence[int]]] = [(base, range(arity, len(types)) if base else range(arity))]
    for _ in range(lookahead):
        after: list[tuple[Test, Sequence[int]]] = []
        for test, link in frontier:
            types = types_of(test, facts)
            for literal in literals(facts, types, link, values):
                if literal not in test:
                    found.append((*test, literal))
                    if made := range(len(types), len(types_of(found[-1], facts))):
                        after.append((found[-1], made))
        frontier = after
    return found


def paths(facts: Facts, longest: int) -> list[Test]:
    """Chains of literals from one argument of the query to a later one (relational pathfinding).

    Each literal goes on from the variable that the last one made, by two of its arguments; the others are variables
    that nothing else names.
    """
    own = facts.types[facts.target]
    hops: dict[str, list[tuple[str, int, int]]] = {}  # from a type: predicates, where they are entered and left
    for predicate, R in facts.relations.items():
        kinds = facts.types[predicate]
        for i, j in product(range(len(kinds)), repeat=2):
            if i != j and len(R):
                hops.setdefault(kinds[i], []).append((predicate, i, j))
    found: list[Test] = []
    frontier: list[tuple[Test, int, int]] = [((), a, a) for a in range(len(own) - 1)]
    for _ in range(longest):
        after: list[tuple[Test, int, int]] = []
        for test, start, at in frontier:
            types = types_of(test, facts)
            for predicate, i, j in hops.get(types[at], ()):
                kinds = facts.types[predicate]
                for end in (*(b for b in range(start + 1, len(own)) if kinds[j] == own[b]), len(types)):
                    args = [at if k == i else end for k in range(len(kinds))]
                    fresh = max(end + 1, len(types))
                    for k in set(range(len(kinds))) - {i, j}:
                        args[k], fresh = fresh, fresh + 1
                    literal = Literal(predicate, tuple(args))
                    if end < len(own):
                        found.append((*test, literal))
                    else:
                        after.append(((*test, literal), start, end))
        frontier = after
    return found
