"""Trees carried to another schema by the vectors of its predicates, against a renamed copy of it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tests.test_fidelity_facts import TYPES, few, task
from zoo.adapters.relational.predicate_embedding import PredicateEmbedding, carried, translated
from zoo.facts import Facts
from zoo.ops.logic.clauses import Grounder, Literal
from zoo.ops.logic.predicates import Match, match, statistics
from zoo.ops.logic.trees import Node, Pool, Shape, boost, outputs

RENAMED = {
    "knows": ("saw", (1, 0)),
    "wrote": ("made", (1, 0)),
    "taught": ("gave", (2, 0, 1)),
    "old": ("slow", (0,)),
    "red": ("wet", (0,)),
}


def renamed(facts: Facts) -> Facts:
    """The same facts under other names, arguments in another order: argument k becomes argument ``order[k]``."""
    relations, types = {}, {"likes": facts.types["likes"]}
    for p, (q, order) in RENAMED.items():
        back = np.argsort(order)
        relations[q] = facts.relations[p][:, back]
        types[q] = tuple(facts.types[p][k] for k in back)
    return Facts("likes", relations, types, facts.constants)


def wide(seed: int, n: int = 20) -> tuple[Facts, np.ndarray, np.ndarray]:
    """A database whose predicates differ, and a target that depends on several."""
    rng = np.random.default_rng(seed)
    people, books, terms = np.arange(n), np.arange(n, 2 * n), np.arange(2 * n, 2 * n + 3)
    rows = {
        "knows": np.stack([people[rng.integers(0, n, 50)], people[rng.integers(0, n // 2, 50)]], 1),
        "wrote": np.stack([people[rng.integers(0, n // 2, 30)], books[rng.integers(0, n, 30)]], 1),
        "taught": np.stack([rng.choice(books, 60), rng.choice(people[:15], 60), rng.choice(terms, 60)], 1),
        "old": rng.choice(people, 6)[:, None],
        "red": rng.choice(books, 12)[:, None],
    }
    facts = Facts("likes", {p: np.unique(r, axis=0).astype(np.int32) for p, r in rows.items()}, TYPES,
                  tuple(f"c{i}" for i in range(2 * n + 3)))  # fmt: skip
    X = np.array([(a, b) for a, b in product(range(n), range(n)) if a != b])
    knows, wrote = (np.zeros((2 * n + 3,) * 2, bool) for _ in range(2))
    knows[tuple(facts.relations["knows"].T)] = True
    wrote[tuple(facts.relations["wrote"].T)] = True
    old = np.isin(X[:, 0], facts.relations["old"])
    return facts, X, (knows[X[:, 1], X[:, 0]] | ((wrote @ wrote.T)[X[:, 0], X[:, 1]] & ~old)).astype(int)


@pytest.mark.reference(
    method="predicate_embedding",
    source="a database renamed, arguments in another order",
    compared="the mapping of five predicates, and its scores",
    differs="not against the authors': statistics and n-grams of names stand for word vectors",
)
def test_a_renamed_database_is_mapped_back():
    source, X, y = wide(0)
    target = renamed(source)
    found = match(source, target, statistics(source, X, y), statistics(target, X, y), 0.0)
    assert {m.source: (m.target, m.order) for m in found} == RENAMED
    assert all(m.score == pytest.approx(1) for m in found)


@pytest.mark.reference(
    method="predicate_embedding",
    source="a database renamed, arguments in another order",
    compared="what carried trees say of all queries",
    differs="as above",
)
def test_carried_trees_say_in_a_renamed_database_what_they_said():
    source, X, y = wide(1)
    target = renamed(source)
    _, trees = boost(Pool(source, X), y, 5, Shape(max_leaves=6))
    matches = {p: Match(p, q, order, 1.0) for p, (q, order) in RENAMED.items()}
    moved = [carried(tree, matches, 2) for tree in trees]
    said = outputs(trees, Grounder(source), X)
    assert len(np.unique(said.round(6), axis=0)) >= 4
    np.testing.assert_allclose(outputs(moved, Grounder(target), X), said)


def test_what_has_no_image_gives_way_to_the_branch_that_goes_on():
    tests = [(Literal("old", (0,)),), (Literal("knows", (1, 2)), Literal("wrote", (2, 3)))]
    leaves = [Node(value, 4) for value in (1.0, 2.0, 3.0)]
    tree = Node(0.5, 12, tests[0], Node(0.7, 8, tests[1], *leaves[:2]), leaves[2])
    knows = {"knows": Match("knows", "saw", (1, 0), 1.0)}
    assert carried(tree, knows, 2) == Node(0.7, 8, (Literal("saw", (2, 1)),), *leaves[:2])
    assert carried(tree, {}, 2) == Node(0.5, 12)
    # A literal whose way to the query is lost goes, too.
    assert translated(tests[1], {"wrote": Match("wrote", "made", (0, 1), 1.0)}, 2) == ()


@pytest.mark.parametrize("flipped", [False, True])
def test_few_examples_tell_the_sign_of_what_is_carried(flipped):
    source, X, y = wide(2)
    target = renamed(source)
    truth = 1 - y if flipped else y
    k = few(X, truth, 8)
    method = PredicateEmbedding(revision=0).fit(task(target, X[k], truth[k], (source, X, y)))
    assert (method.slope_ < 0) == flipped
    rest = np.setdiff1d(np.arange(len(X)), k)
    assert roc_auc_score(truth[rest], method.predict(torch.as_tensor(X[rest]), target)[:, 1]) > 0.85
    told = {m["source"]: m for m in method.explanation_["mapping"]}
    assert told["knows"]["target"] == "saw"
    assert told["knows"]["inverted"]
    assert told["knows"]["sign"] == (-1 if flipped else 1)
