"""Relational regression trees, and their boosting: an ensemble whose tests are conjunctions over facts.

A node's test holds if the whole conjunction does, so that a tree reads from any node. Below the yes-branch of a test
its variables may be used again: further tests extend it (Blockeel & De Raedt 1998).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, logit
from torch import Tensor

from zoo.facts import Facts
from zoo.ops.logic.clauses import Grounder, Test, paths, refinements, text, types_of, values_of


@dataclass(frozen=True)
class Node:
    """A leaf with a value, or a test with two branches.

    Attributes
    ----------
    n : int
        Training examples that came here.
    """

    value: float
    n: int
    test: Test | None = None
    yes: Node | None = None
    no: Node | None = None

    def nodes(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for branch in (self.yes, self.no):
            if branch is not None:
                yield from branch.nodes()


@dataclass(frozen=True)
class Shape:
    """How far a tree is grown: its leaves, depth, fewest examples of a leaf, and how a test is chosen.

    Attributes
    ----------
    ridge : float
        So many examples of gradient 0 are added to each leaf; 0 is plain least squares.
    discount : float
        Share of a test's gain that is taken off for each literal and each constant after its first literal: of many
        long tests some fit few examples by chance.
    tests : float
        Share of the tests that one split chooses from, drawn anew for each.
    """

    max_leaves: int = 8
    max_depth: int = 3
    min_leaf: int = 2
    ridge: float = 2.0
    discount: float = 0.5
    tests: float = 1.0


@dataclass
class Pool:
    """Candidate tests with their truth for the training queries: those of the query, and on demand those of a branch.

    Attributes
    ----------
    lookahead, reach, chain : int
        Most literals that a test adds, that it has with those of its branch, and of a chain between two arguments.
    max_values : int
        Most constants of a type that stand in tests.
    tests : list of Test
        Shorter ones first; of those that no training query tells apart, only the first.
    S : float array [queries, tests]
    """

    facts: Facts
    X: np.ndarray
    lookahead: int = 2
    max_values: int = 0
    reach: int = 3
    chain: int = 4
    tests: list[Test] = field(init=False)
    S: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.grounder = Grounder(self.facts)
        self.values = values_of(self.facts, self.X, self.max_values)
        self._cache: dict[Test, tuple[list[Test], np.ndarray, np.ndarray]] = {}
        self.tests, self.S, _ = self.extending(())

    def extending(self, base: Test) -> tuple[list[Test], np.ndarray, np.ndarray]:
        """Tests that go on from a base, their truth, and how many literals and constants each has after the first."""
        if base not in self._cache:
            ahead = min(self.lookahead, self.reach - len(base))
            found = refinements(self.facts, self.values, ahead, base) if ahead > 0 else []
            if not base:
                found = list(dict.fromkeys([*found, *paths(self.facts, self.chain)]))
            found.sort(key=cost)
            S = self.grounder.satisfied(self.X, found)
            keep = told_apart(S)
            more = np.array([sum(cost(found[i])) - 1 for i in keep], float)
            self._cache[base] = [found[i] for i in keep], S[:, keep].astype(np.float64), more
        return self._cache[base]


def learnt(
    facts: Facts, X: Tensor, y: Tensor, *, trees: int, atoms: int, negatives: float, lookahead: int, shape: Shape
) -> list[Node]:
    """Boosted trees of a source: of at most `atoms` of its true queries, and `negatives` false ones for each."""
    rows, labels = X.numpy(force=True), y.numpy(force=True)
    true = spaced(np.flatnonzero(labels), atoms)
    few = np.concatenate([true, spaced(np.flatnonzero(labels == 0), int(negatives * len(true)))])
    return boost(Pool(facts, rows[few], lookahead), labels[few], trees, shape)[1]


def spaced(rows: np.ndarray, n: int) -> np.ndarray:
    """At most n of some rows, evenly from all of them: they stand fold by fold, in an order that tells nothing."""
    return rows if len(rows) <= n else rows[np.arange(n) * len(rows) // n]


def cost(test: Test) -> tuple[int, int]:
    """What a test is worth avoiding for: constants, then literals."""
    return sum(t < 0 for _, args in test for t in args), len(test)


def told_apart(S: np.ndarray) -> np.ndarray:
    """Columns that are not constant, the first of each set of equal ones; a column equals its complement."""
    if not S.size:
        return np.zeros(0, np.int64)
    _, first = np.unique(np.packbits(S ^ S[:1], axis=0), axis=1, return_index=True)
    varied = np.any(S, axis=0) & ~np.all(S, axis=0)
    return np.sort(first[varied[first]])


def split_gains(S: np.ndarray, g: np.ndarray, min_leaf: int = 1, ridge: float = 0.0) -> np.ndarray:
    """By how much each test lowers the sum of squared deviations of `g`; -inf where a side has under `min_leaf`."""
    n1, s1 = S.sum(0), g @ S
    n0, s0 = len(g) - n1, g.sum() - s1
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = s1**2 / (n1 + ridge) + s0**2 / (n0 + ridge) - g.sum() ** 2 / (len(g) + ridge)
    return np.where((n1 >= min_leaf) & (n0 >= min_leaf), gains, -np.inf)


def grow(pool: Pool, g: np.ndarray, shape: Shape, rng: np.random.Generator) -> Node:
    """A regression tree of `g`, best split first; of equal splits the first test, so the shortest."""

    def best(rows: np.ndarray, path: Sequence[Test]) -> tuple[float, Test, np.ndarray] | None:
        found = None
        arity = len(pool.facts.types[pool.facts.target])
        for base in ((), *path):
            if base and len(types_of(base, pool.facts)) == arity:
                continue  # it made no variable that one could go on from
            candidates, S, more = pool.extending(base)
            if candidates:
                gains = split_gains(S[rows], g[rows], shape.min_leaf, shape.ridge) * (1 - shape.discount) ** more
                if shape.tests < 1:
                    gains[rng.random(len(gains)) >= shape.tests] = -np.inf
                i = int(np.argmax(gains >= gains.max() - 1e-10))
                if gains[i] > 1e-10 and (found is None or gains[i] > found[0] + 1e-10):
                    found = float(gains[i]), candidates[i], S[:, i] > 0
        return found

    leaves: list[dict[str, Any]] = [{"rows": np.arange(len(g)), "path": (), "depth": 0}]
    root = leaves[0]
    for leaf in leaves:
        leaf["split"] = best(leaf["rows"], ()) if shape.max_depth else None
    while len(leaves) < shape.max_leaves:
        i = max(range(len(leaves)), key=lambda i: leaves[i]["split"][0] if leaves[i]["split"] else 0)
        if not leaves[i]["split"]:
            break
        leaf = leaves.pop(i)
        _, test, truth = leaf["split"]
        for branch, on in (("yes", truth), ("no", ~truth)):
            rows = leaf["rows"][on[leaf["rows"]]]
            path = (*leaf["path"], test) if branch == "yes" else leaf["path"]
            new = {"rows": rows, "path": path, "depth": leaf["depth"] + 1}
            new["split"] = best(rows, path) if new["depth"] < shape.max_depth else None
            leaf[branch] = new
            leaves.append(new)

    def build(one: dict[str, Any]) -> Node:
        value = float(g[one["rows"]].sum() / (len(one["rows"]) + shape.ridge))
        if "yes" not in one:
            return Node(value, len(one["rows"]))
        return Node(value, len(one["rows"]), one["split"][1], build(one["yes"]), build(one["no"]))

    return build(root)


def outputs(trees: Sequence[Node], grounder: Grounder, X: np.ndarray) -> np.ndarray:
    """Values of trees at queries: [queries, trees]."""
    asked = list(dict.fromkeys(node.test for tree in trees for node in tree.nodes() if node.test))
    S = grounder.satisfied(X, asked)
    column = {test: i for i, test in enumerate(asked)}
    out = np.zeros((len(X), len(trees)))

    def send(node: Node, rows: np.ndarray, t: int) -> None:
        if node.test is None or node.yes is None or node.no is None:
            out[rows, t] = node.value
        else:
            on = S[rows, column[node.test]]
            send(node.yes, rows[on], t)
            send(node.no, rows[~on], t)

    for t, tree in enumerate(trees):
        send(tree, np.arange(len(X)), t)
    return out


def boost(
    pool: Pool,
    y: np.ndarray,
    trees: int,
    shape: Shape = Shape(),
    start: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[float, list[Node]]:
    """Functional gradient ascent of the log-likelihood: each tree fits ``y - P``, and is added to the potential.

    Parameters
    ----------
    start : array [queries], optional
        A potential to go on from; else the log-odds of the examples, which are returned.
    seed : int
        Of the draws of tests.
    """
    rng = np.random.default_rng(seed)
    prior = 0.0 if start is not None else float(logit((y.sum() + 0.5) / (len(y) + 1)))
    psi = np.full(len(y), prior) if start is None else start
    grown: list[Node] = []
    for _ in range(trees):
        tree = grow(pool, y - expit(psi), shape, rng)
        grown.append(tree)
        psi = psi + outputs([tree], pool.grounder, pool.X)[:, 0]
    return prior, grown


def told(tree: Node, facts: Facts) -> dict[str, Any]:
    """A tree as plain data: ``{"test", "yes", "no"}`` and leaves ``{"value", "n"}``."""
    if tree.test is None or tree.yes is None or tree.no is None:
        return {"value": tree.value, "n": tree.n}
    return {"test": text(tree.test, facts), "yes": told(tree.yes, facts), "no": told(tree.no, facts)}
