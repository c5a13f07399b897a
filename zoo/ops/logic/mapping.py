"""Boosted trees of one schema read in another: predicates mapped under consistent types, and trees revised after.

A mapping gives each source predicate a target predicate, where each of its arguments goes, and a sign: of a test whose
predicates' signs multiply to -1 the branches are swapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations, product
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from zoo.facts import Facts
from zoo.ops.logic.clauses import Grounder, Literal, Test, types_of
from zoo.ops.logic.trees import Node

SWAP, REUSE, UNLIKE = 2.0, 1.0, 0.5  # what a mapping must gain in log-likelihood: prior beliefs, in nats


class Image(NamedTuple):
    """What a source predicate becomes: each argument's place in the target predicate (None: dropped), and the sign."""

    predicate: str
    places: tuple[int | None, ...]
    sign: int = 1


Mapping = dict[str, Image]


def inverted(image: Image) -> bool:
    """Whether arguments change their order."""
    places = [place for place in image.places if place is not None]
    return places != sorted(places)


def carried(test: Test, mapping: Mapping, order: Sequence[int], source: Facts, target: Facts) -> Test | None:
    """A source test in the target's predicates; None if a predicate has no image or a lost argument ties literals.

    Parameters
    ----------
    order : sequence of int
        Which argument of the target's query each argument of the source's becomes.
    """
    name = dict(enumerate(order))
    width = len(order)
    said: list[Literal] = []
    for predicate, args in test:
        if predicate not in mapping:
            return None
        image = mapping[predicate]
        places: list[int | None] = [None] * len(target.types[image.predicate])
        for t, place in zip(args, image.places, strict=True):
            if place is None:
                if t < len(order) or sum(t in other for _, other in test) > 1:
                    return None
            else:
                places[place] = t
        terms = []
        for place in places:
            if place is not None and place in name:
                terms.append(name[place])
            else:
                terms.append(width)
                if place is not None:
                    name[place] = width
                width += 1
        said.append(Literal(image.predicate, tuple(terms)))
    found = tuple(dict.fromkeys(said))
    types = types_of(found, target)
    fits = all(types[t] == k for p, args in found for t, k in zip(args, target.types[p], strict=True))
    return found if fits else None


def features(facts: Facts, predicate: str, i: int) -> np.ndarray:
    """Of an argument of a predicate: the log of how often a value stands there, and the share of its type that does."""
    R = facts.relations[predicate]
    kind = facts.types[predicate][i]
    of_kind = [Q[:, j] for q, Q in facts.relations.items() for j, k in enumerate(facts.types[q]) if k == kind]
    n = max(1, len(np.unique(R[:, i])))
    return np.array([np.log1p(len(R) / n), n / max(1, len(np.unique(np.concatenate(of_kind))))])


@dataclass
class Search:
    """The mapping under which the source's trees say most about the target's examples.

    The score is the log-likelihood of the examples, the leaves having the source's values, less prior beliefs: that
    signs agree, that no two predicates become one, and that a predicate resembles its image in how often and how widely
    constants stand in it. The first adds up over examples and the others do not, so that they decide where few are.
    """

    source: Facts
    target: Facts
    trees: Sequence[Node]
    X: np.ndarray
    y: np.ndarray
    order: tuple[int, ...]
    prior: float
    truth: dict[Test, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.grounder = Grounder(self.target)
        self.tests = list(dict.fromkeys(n.test for tree in self.trees for n in tree.nodes() if n.test))
        self.predicates = list(dict.fromkeys(p for test in self.tests for p, _ in test))
        tests = [[n.test for n in tree.nodes() if n.test] for tree in self.trees]
        self._spoken = [tuple(dict.fromkeys(p for test in some for p, _ in test)) for some in tests]
        self._unlike: dict[tuple[str, str, tuple[int | None, ...]], float] = {}
        self._carried: dict[tuple[Test, tuple[Image | None, ...]], Test | None] = {}
        self._values: dict[tuple[int, tuple[Image | None, ...]], np.ndarray | float] = {}

    def kinds(self, mapping: Mapping) -> dict[str, str] | None:
        """Which target type each source type is; None if they contradict."""
        own, theirs = self.source.types[self.source.target], self.target.types[self.target.target]
        pairs = [(own[a], theirs[b]) for a, b in enumerate(self.order)]
        for p, image in mapping.items():
            for kind, place in zip(self.source.types[p], image.places, strict=True):
                if place is not None:
                    pairs.append((kind, self.target.types[image.predicate][place]))
        found = dict(pairs)
        return found if all(found[a] == b for a, b in pairs) else None

    def images(self, predicate: str, mapping: Mapping) -> Iterator[Image]:
        """What a predicate may become, the rest being mapped so."""
        rest = {p: image for p, image in mapping.items() if p != predicate}
        arity = len(self.source.types[predicate])
        for q, R in self.target.relations.items():
            room = len(self.target.types[q])
            n = min(arity, room)
            for kept in combinations(range(arity), n) if len(R) else ():
                for spots in permutations(range(room), n):
                    at = dict(zip(kept, spots, strict=True))
                    image = Image(q, tuple(at.get(i) for i in range(arity)))
                    if self.kinds({**rest, predicate: image}) is not None:
                        yield image

    def unlike(self, predicate: str, image: Image) -> float:
        key = predicate, image.predicate, image.places
        if key not in self._unlike:
            gaps = [
                features(self.source, predicate, i) - features(self.target, image.predicate, j)
                for i, j in enumerate(image.places)
                if j is not None
            ]
            lost = max(len(image.places), len(self.target.types[image.predicate])) - len(gaps)
            self._unlike[key] = float(np.abs(gaps).sum(1).mean()) + lost
        return self._unlike[key]

    def ground(self, tests: Sequence[Test | None]) -> None:
        new = list(dict.fromkeys(t for t in tests if t is not None and t not in self.truth))
        if new:
            S = self.grounder.satisfied(self.X, new)
            self.truth.update((t, S[:, i]) for i, t in enumerate(new))

    def carried(self, test: Test, mapping: Mapping) -> Test | None:
        """What a test becomes under a mapping, remembered."""
        key = test, tuple(mapping.get(p) for p, _ in test)
        if key not in self._carried:
            self._carried[key] = carried(test, mapping, self.order, self.source, self.target)
        return self._carried[key]

    def value(self, node: Node, mapping: Mapping) -> np.ndarray | float:
        """A source tree's value of each example; where a test has no image, the mean of its branches."""
        if node.test is None or node.yes is None or node.no is None:
            return node.value
        yes, no = self.value(node.yes, mapping), self.value(node.no, mapping)
        test = self.carried(node.test, mapping)
        if test is None:
            return (node.yes.n * yes + node.no.n * no) / node.n
        return np.where(self.truth[test] == (sign(node.test, mapping) > 0), yes, no)

    def score(self, mapping: Mapping) -> float:
        """The log-likelihood under a mapping, less the doubts in it."""
        self.ground([self.carried(test, mapping) for test in self.tests])
        psi = np.full(len(self.y), self.prior)
        for i, tree in enumerate(self.trees):
            key = i, tuple(mapping.get(p) for p in self._spoken[i])
            if key not in self._values:
                self._values[key] = self.value(tree, mapping)
            psi = psi + self._values[key]
        fit = float(log_expit(np.where(self.y == 1, psi, -psi)).sum())
        used = [(image.predicate, image.places) for image in mapping.values()]
        doubt = SWAP * sum(image.sign < 0 for image in mapping.values()) + REUSE * (len(used) - len(set(used)))
        return fit - doubt - UNLIKE * sum(self.unlike(p, image) for p, image in mapping.items())

    def best(self, sweeps: int = 3) -> tuple[float, Mapping]:
        """Predicates are mapped one or, where a test has two, two at a time, whichever gains most; then each anew."""
        mapping: Mapping = {}
        score = self.score(mapping)
        while True:
            moves = list(self._moves(mapping))
            self.ground([self.carried(t, m) for m in moves for t in self.tests])
            scores = [self.score(m) for m in moves]
            if not moves or max(scores) <= score + 1e-9:
                break
            score, mapping = max(scores), moves[int(np.argmax(scores))]
        for _ in range(sweeps):
            before = score
            for p in self.predicates:
                rest = {q: image for q, image in mapping.items() if q != p}
                images = [i._replace(sign=s) for i, s in product(self.images(p, mapping), (1, -1))]
                for m in (rest, *({**rest, p: image} for image in images)):
                    if (found := self.score(m)) > score + 1e-9:
                        score, mapping = found, m
            if score == before:
                break
        return score, mapping

    def _moves(self, mapping: Mapping) -> Iterator[Mapping]:
        free = [p for p in self.predicates if p not in mapping]
        for p in free:
            for image, s in product(self.images(p, mapping), (1, -1)):
                yield {**mapping, p: image._replace(sign=s)}
        together = {tuple(sorted({q for q, _ in test} - set(mapping))) for test in self.tests}
        for pair in sorted(t for t in together if len(t) == 2):
            for image in self.images(pair[0], mapping):
                first = {**mapping, pair[0]: image}
                for other in self.images(pair[1], first):
                    yield {**first, pair[1]: other}


def sign(test: Test, mapping: Mapping) -> int:
    """1, or -1 where the branches of a test are swapped."""
    return int(np.prod([mapping[p].sign for p in dict.fromkeys(p for p, _ in test)]))


def translated(node: Node, search: Search, mapping: Mapping) -> Node:
    """A tree in the target's predicates; where a test has no image, the mean of its branches takes its place."""
    if node.test is None or node.yes is None or node.no is None:
        return node
    test = search.carried(node.test, mapping)
    yes, no = translated(node.yes, search, mapping), translated(node.no, search, mapping)
    if test is None:
        return mean(yes, no, node.yes.n / node.n)
    if sign(node.test, mapping) < 0:
        yes, no = no, yes
    return replace(node, test=test, yes=yes, no=no)


def mean(a: Node, b: Node, share: float) -> Node:
    """The tree that gives ``share * a + (1 - share) * b``: b's tests below a's."""
    if a.yes is not None and a.no is not None:
        return replace(a, yes=mean(a.yes, b, share), no=mean(a.no, b, share))
    if b.yes is not None and b.no is not None:
        return replace(b, yes=mean(a, b.yes, share), no=mean(a, b.no, share))
    return Node(share * a.value + (1 - share) * b.value, a.n)


def revised(node: Node, g: np.ndarray, truth: dict[Test, np.ndarray], weight: float) -> Node:
    """A tree on the target's gradient: leaves' values re-estimated, and branches that do worse than a leaf pruned.

    A test that stands above already, since two source predicates became one, gives way to the branch that it leads to.

    Parameters
    ----------
    weight : float
        Examples that a source leaf's value counts for.
    """

    def walk(node: Node, rows: np.ndarray, known: dict[Test, bool]) -> tuple[Node, float]:
        if node.test in known and node.yes is not None and node.no is not None:
            return walk(node.yes if known[node.test] else node.no, rows, known)
        value = float((weight * node.value + g[rows].sum()) / (weight + len(rows)))
        leaf, loss = Node(value, len(rows)), float(((g[rows] - value) ** 2).sum())
        if node.test is None or node.yes is None or node.no is None:
            return leaf, loss
        on = truth[node.test][rows]
        yes, a = walk(node.yes, rows[on], known | {node.test: True})
        no, b = walk(node.no, rows[~on], known | {node.test: False})
        if a + b > loss + 1e-12:
            return leaf, loss
        return Node(value, len(rows), node.test, yes, no), a + b

    return walk(node, np.arange(len(g)), {})[0]


def carry(search: Search, mapping: Mapping, weight: float) -> tuple[list[Node], np.ndarray]:
    """The source's trees in the target, each revised on the gradient that the ones before leave; their potential."""
    grown: list[Node] = []
    psi = np.full(len(search.y), search.prior)
    for tree in search.trees:
        moved = translated(tree, search, mapping)
        search.ground([n.test for n in moved.nodes()])
        grown.append(revised(moved, search.y - expit(psi), search.truth, weight))

        def value(node: Node) -> np.ndarray | float:
            if node.test is None or node.yes is None or node.no is None:
                return node.value
            return np.where(search.truth[node.test], value(node.yes), value(node.no))

        psi = psi + value(grown[-1])
    return grown, psi
