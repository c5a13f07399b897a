from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import Unsupported
from zoo.ops.logic.clauses import EQUALS, Grounder, Literal, Test
from zoo.ops.logic.predicates import Match, match, statistics
from zoo.ops.logic.trees import Node, Pool, Shape, boost, learnt, outputs, told
from zoo.ops.logistic import logistic
from zoo.seeds import derive

if TYPE_CHECKING:
    from zoo.task import Task


class PredicateEmbedding(Adapter):
    """Boosted trees of the source, carried over where a predicate's vector of statistics is nearest, then revised.

    A predicate is embedded by relational statistics (fan-out, coverage, place in the graph of types) and the n-grams of
    its name, since no word vectors are at hand; the most similar pairs are mapped first, types kept consistent. The
    target examples tell how far the carried trees are to be believed, and with which sign; further trees are boosted
    from there.

    Parameters
    ----------
    trees : int
        Trees learnt in the source.
    revision : int
        Trees added on the target's examples.
    names : float
        Weight of the names' similarity against that of the statistics.
    atoms : int
        Most true atoms of the source that its trees are learnt from, evenly spaced ones, with two false ones for each.
    tests : float
        Share of the tests that a split chooses from, drawn anew for each.
    """

    needs = {"Fs", "Xs", "ys", "Ft", "Xl", "yl"}
    deterministic = False
    cite = "luca2021mapping"
    space = {"revision": ("int", 5, 40), "names": ("uniform", 0, 1)}

    def __init__(
        self, trees: int = 20, revision: int = 20, names: float = 0.2, atoms: int = 300, tests: float = 0.15
    ) -> None:
        self.trees, self.revision, self.names, self.atoms, self.tests = trees, revision, names, atoms, tests

    def fit(self, task: Task) -> PredicateEmbedding:
        Xs, ys, X, y = (a.cpu().numpy() for a in (task.Xs, task.ys, task.Xl, task.yl))
        if Xs.shape[1] != X.shape[1]:
            raise Unsupported(f"{task.Fs.target} and {task.Ft.target} differ in arity")
        shape = Shape(tests=self.tests)
        size = {"trees": self.trees, "atoms": self.atoms, "negatives": 2.0, "lookahead": 1}
        source = task.shared(learnt, "Fs", "Xs", "ys", **size, shape=shape)
        vectors = statistics(task.Fs, Xs, ys), statistics(task.Ft, X, y)
        matches = {m.source: m for m in match(task.Fs, task.Ft, *vectors, self.names)}
        self.carried_ = [carried(tree, matches, len(Xs[0])) for tree in source]
        pool = Pool(task.Ft, X, lookahead=1, max_values=100)
        score = outputs(self.carried_, pool.grounder, X).sum(1)
        # The source's potential is expected to count as it stands; a negative slope turns its branches around.
        slope, bias, _ = logistic(score[:, None], y, np.ones(1), np.ones(1))
        self.slope_, self.bias_ = float(slope[0]), bias
        _, self.added_ = boost(pool, y, self.revision, shape, bias + self.slope_ * score, derive("method", task.seed))
        self.explanation_ = {
            "mapping": [told_match(m, source, self.slope_) for m in matches.values()],
            "trees": [told(tree, task.Ft) for tree in (*self.carried_, *self.added_)],
        }
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        rows, grounder = X.cpu().numpy(), Grounder(A)
        z = self.slope_ * outputs(self.carried_, grounder, rows).sum(1) + self.bias_
        z = z + outputs(self.added_, grounder, rows).sum(1)
        p = torch.as_tensor(expit(z), dtype=torch.float64, device=X.device)
        return torch.stack([1 - p, p], 1)


def carried(node: Node, matches: dict[str, Match], arity: int) -> Node:
    """A tree in the target's predicates; a test of which nothing is left gives way to the branch that goes on."""
    if node.test is None or node.yes is None or node.no is None:
        return node
    yes, no = (carried(branch, matches, arity) for branch in (node.yes, node.no))
    test = translated(node.test, matches, arity)
    if test:
        return Node(node.value, node.n, test, yes, no)
    deeper = [branch for branch in (yes, no) if branch.test]
    return max(deeper, key=lambda branch: branch.n) if deeper else Node(node.value, node.n)


def translated(test: Test, matches: dict[str, Match], arity: int) -> Test:
    """A test in the target's predicates, less what was not mapped or does not hang together with the query."""
    number = {a: a for a in range(arity)}
    found: list[Literal] = []
    for literal in test:
        m = matches.get(literal.predicate)
        if literal.predicate == EQUALS or m is None or min(literal.args) < 0:
            continue
        if not any(t in number for t in literal.args):
            continue
        arguments = [0] * len(literal.args)
        for t, k in zip(literal.args, m.order, strict=True):
            arguments[k] = t
        found.append(Literal(m.target, tuple(number.setdefault(t, len(number)) for t in arguments)))
    return tuple(found)


def told_match(m: Match, trees: list[Node], slope: float) -> dict[str, Any]:
    """A mapped pair with the sign of its effect: what its tests add where they hold, over all trees."""
    nodes = [n for tree in trees for n in tree.nodes() if n.test and n.yes and n.no]
    asked = [n for n in nodes if any(literal.predicate == m.source for literal in n.test or ())]
    effect = sum(n.n * (n.yes.value - n.no.value) for n in asked if n.yes and n.no)
    inverted = m.order != tuple(range(len(m.order)))
    return {
        "source": m.source,
        "target": m.target,
        "inverted": inverted,
        "sign": int(np.sign(slope * effect)),
        "score": m.score,
    }
