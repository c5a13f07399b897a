"""Grounding against enumeration, trees against scikit-learn, and mappings of schemas that were made to be mapped."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit, log_expit
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.tree import DecisionTreeRegressor

from zoo.adapters.relational.predicate_mapping import PredicateMapping
from zoo.adapters.relational.rdn_boost import RdnBoost
from zoo.data.relational import Relational
from zoo.facts import Facts
from zoo.kinds.facts import merged
from zoo.learners import Learner
from zoo.ops.logic.clauses import EQUALS, Grounder, Literal, paths, refinements, text, types_of, values_of
from zoo.ops.logic.mapping import revised
from zoo.ops.logic.trees import Node, Pool, Shape, boost, grow, outputs, split_gains
from zoo.task import Task
from zoo.train import Budget

RNG = np.random.default_rng(0)  # draws nothing where a split chooses from all tests


def task(needs, **fields):
    return Task(fields, needs=needs, learner=Learner(base="logistic", net="mlp", budget=Budget(), seed=0), n_classes=2)


# Grounding ------------------------------------------------------------------------------------------------------------


def small(seed):
    """Five constants of two types that share one, relations of arity 1 to 3, and all queries."""
    rng = np.random.default_rng(seed)
    kinds = {"s": range(3), "t": range(2, 5)}
    types = {"p": ("s",), "q": ("s", "t"), "r": ("t", "s", "s"), "u": ("s", "s")}
    types["goal"] = (("s", "s"), ("s", "t"), ("t", "s"))[seed % 3]
    relations = {}
    for name, of in types.items():
        if name != "goal":
            rows = [[int(rng.choice(kinds[k])) for k in of] for _ in range(6)]
            relations[name] = np.unique(np.array(rows, np.int32), axis=0)
    relations["u"] = relations["u"][: seed % 4]  # also a relation without a row
    X = np.array(list(product(*(kinds[k] for k in types["goal"]))))
    return Facts("goal", relations, types, tuple("abcde")), X


def enumerated(facts, x, test):
    """Whether some value of the other variables makes all literals true, tried one by one."""
    own = facts.types[facts.target]
    rows = {p: set(map(tuple, R.tolist())) for p, R in facts.relations.items()}
    other = types_of(test, facts)[len(own) :]

    def true(literal, bound):
        values = tuple(bound[t] if t >= 0 else ~t for t in literal.args)
        return values[0] == values[1] if literal.predicate == EQUALS else values in rows[literal.predicate]

    for values in product(range(len(facts.constants)), repeat=len(other)):
        again = any(v == c and k == o for v, k in zip(values, other, strict=True) for c, o in zip(x, own, strict=True))
        if not again and all(true(literal, [*x, *values]) for literal in test):
            return True
    return False


@pytest.mark.parametrize("seed", range(12))
def test_grounding_equals_enumeration(seed):
    facts, X = small(seed)
    rng = np.random.default_rng(seed)
    values = {"t": [2, 3]}
    found = refinements(facts, values, 2)
    base = next(test for test in found[rng.integers(len(found) // 2) :] if len(types_of(test, facts)) > 2)
    found += [t for t in paths(facts, 3) if len(types_of(t, facts)) <= 5]
    found += [t for t in refinements(facts, values, 1, base) if len(types_of(t, facts)) <= 5]
    some = [found[i] for i in rng.permutation(len(found))[:60]]
    some += [(Literal("u", (0, 2)), Literal("u", (2, 2)))] if facts.types["goal"][0] == "s" else []
    expected = np.array([[enumerated(facts, x, t) for t in some] for x in X.tolist()])
    assert 0.02 < expected.mean() < 0.98
    for cap in (1, 7, 1 << 20):
        assert (Grounder(facts, cap=cap).satisfied(X, some) == expected).all()


def test_no_path_returns_through_the_query():
    """b follows a, and nobody else does: what follows a is b itself, or the query's own a."""
    facts = Facts("goal", {"u": np.array([[1, 0]], np.int32)}, {"u": ("s", "s"), "goal": ("s", "s")}, ("a", "b", "c"))
    back = (Literal("u", (2, 0)),)
    assert Grounder(facts).satisfied(np.array([[0, 1], [0, 2]]), [back])[:, 0].tolist() == [False, True]


def test_tables_are_projected_only_on_what_is_asked_later():
    """Long tables, whose rows are merged: chains over a dense relation against products of matrices."""
    rng = np.random.default_rng(0)
    M = rng.random((60, 60)) < 0.15
    facts = Facts("goal", {"u": np.argwhere(M).astype(np.int32)}, {"u": ("s", "s"), "goal": ("s",)}, tuple("n" * 60))
    chain = (Literal("u", (0, 1)), Literal("u", (1, 2)), Literal("u", (2, 3)), Literal("u", (3, ~5)))
    expected = []
    for a in range(60):
        N = M.copy()
        N[:, a] = False
        reached = N[a] @ N @ N
        expected.append(bool((reached @ M)[5]))
    got = Grounder(facts, cap=500).satisfied(np.arange(60)[:, None], [chain, chain[:2]])
    assert got[:, 0].tolist() == expected


# Trees and boosting ---------------------------------------------------------------------------------------------------


def propositional(seed, n=80, d=12):
    """Queries about one constant each, and unary relations: a satisfaction matrix and nothing else."""
    S = np.random.default_rng(seed).random((n, d)) < 0.4
    names = [f"p{j:02d}" for j in range(d)]
    relations = {p: np.flatnonzero(S[:, j])[:, None].astype(np.int32) for j, p in enumerate(names)}
    facts = Facts("goal", relations, {**dict.fromkeys(names, ("s",)), "goal": ("s",)}, tuple(map(str, range(n))))
    return facts, np.arange(n)[:, None], S


@pytest.mark.reference(
    method="rdn_boost",
    source="Natarajan et al. 2012; scikit-learn's DecisionTreeRegressor",
    compared="a tree's values and tests on unary relations",
    differs="ridge, discount and sampled tests are ours",
)
@pytest.mark.parametrize(("seed", "leaves", "depth", "least"), [(0, 8, 3, 1), (1, 5, 4, 3), (2, 16, 10, 2)])
def test_tree_equals_scikit_learn(seed, leaves, depth, least):
    facts, X, S = propositional(seed)
    g = np.random.default_rng(seed).normal(size=len(X)) + 2 * S[:, 3] * S[:, 1] - S[:, 7]
    ours = grow(Pool(facts, X, 1), g, Shape(leaves, depth, least, 0.0, 0.0), RNG)
    theirs = DecisionTreeRegressor(max_leaf_nodes=leaves, max_depth=depth, min_samples_leaf=least, random_state=0)
    theirs.fit(S, g)
    np.testing.assert_allclose(outputs([ours], Grounder(facts), X)[:, 0], theirs.predict(S), atol=1e-12)
    asked = sorted(node.test[0].predicate for node in ours.nodes() if node.test)
    assert asked == sorted(f"p{j:02d}" for j in theirs.tree_.feature if j >= 0)


def test_split_gain_is_the_fall_of_the_squared_error():
    rng = np.random.default_rng(0)
    S, g = rng.random((30, 7)) < 0.5, rng.normal(size=30)
    error = ((g - g.mean()) ** 2).sum()
    expected = [error - sum(((g[s] - g[s].mean()) ** 2).sum() for s in (c, ~c)) for c in S.T]
    np.testing.assert_allclose(split_gains(S.astype(float), g), expected)


@pytest.mark.reference(
    method="rdn_boost",
    source="Natarajan et al. 2012; finite differences",
    compared="leaves against the derivative of the log-likelihood",
    differs="as above",
)
def test_trees_fit_the_gradient():
    """The leaves of the first tree are means of the derivative of the log-likelihood, by finite differences."""
    facts, X, S = propositional(0)
    y = (S[:, 2] ^ (np.random.default_rng(1).random(len(X)) < 0.2)).astype(int)
    prior, trees = boost(Pool(facts, X, 1), y, 2, Shape(4, 2, 1, 0.0, 0.0))
    psi = np.full(len(y), prior)
    for tree in trees:
        h = 1e-5
        up, down = (log_expit(np.where(y == 1, psi + e, -psi - e)) for e in (h, -h))
        gradient = (up - down) / (2 * h)
        value = outputs([tree], Grounder(facts), X)[:, 0]
        for v in np.unique(value):
            np.testing.assert_allclose(v, gradient[value == v].mean(), atol=1e-9)
        assert len(np.unique(value)) > 1
        psi = psi + value


def test_ridge_counts_examples_of_gradient_zero():
    facts, X, S = propositional(3)
    tree = grow(Pool(facts, X, 1), S[:, 4].astype(float), Shape(2, 1, 1, 5.0), RNG)
    n = S[:, 4].sum()
    assert tree.test == (Literal("p04", (0,)),)
    assert tree.yes == Node(pytest.approx(n / (n + 5)), n)


# A database to learn from ---------------------------------------------------------------------------------------------


def family(seed, n=40, names=("parent", "rich", "pet"), swap=False, negate=False):
    """Grandparents, if the child in question is rich; pets tell nothing."""
    rng = np.random.default_rng(seed)
    parent = np.unique(rng.integers(0, n, (2 * n, 2)), axis=0)
    parent = parent[parent[:, 0] != parent[:, 1]]
    rich = rng.random(n) < 0.5
    pet = np.unique(np.stack([rng.integers(0, n, n), rng.integers(n, n + 5, n)], 1), axis=0)
    P = np.zeros((n, n), bool)
    P[tuple(parent.T)] = True
    X = np.argwhere(~np.eye(n, dtype=bool))
    truth = (P.astype(int) @ P > 0) & rich[None]
    y = truth[tuple(X.T)].astype(int)
    some = np.concatenate([np.flatnonzero(y), rng.permutation(np.flatnonzero(y == 0))[: 2 * y.sum()]])
    some = rng.permutation(some)
    a, b, c = names
    relations = {
        a: parent[:, ::-1] if swap else parent,
        b: np.flatnonzero(~rich if negate else rich)[:, None],
        c: pet,
    }
    types = {a: ("s", "s"), b: ("s",), c: ("s", "animal"), "goal": ("s", "s")}
    relations = {p: R.astype(np.int32) for p, R in relations.items()}
    return (
        Facts("goal", relations, types, tuple(f"c{i}" for i in range(n + 5))),
        torch.tensor(X[some]),
        torch.tensor(y[some]),
    )


def test_rdn_boost_finds_the_planted_rule():
    facts, X, y = family(0)
    method = RdnBoost().fit(task(RdnBoost.needs, Ft=facts, Xl=X, yl=y))
    told = str(method.explanation_["trees"][0])
    assert "parent(A, C), parent(C, B)" in told
    assert "rich(B)" in told
    other, X, y = family(1)
    scores = method.predict(X, other)
    assert scores.dtype == torch.float64
    torch.testing.assert_close(scores.sum(1), torch.ones(len(X), dtype=torch.float64))
    assert roc_auc_score(y, scores[:, 1]) > 0.98
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))[:31]
    torch.testing.assert_close(method.predict(X[order], other), scores[order])


@pytest.mark.reference(
    method="predicate_mapping",
    source="a database renamed, arguments swapped, a predicate negated",
    compared="the mapping found, and the AUROC of what is carried",
    differs="not TreeBoostler: search, grafting and revision differ, as `zoo info` says; not its figures",
)
@pytest.mark.parametrize(("swap", "negate"), [(False, False), (True, False), (False, True), (True, True)])
def test_mapping_recovers_a_renaming(swap, negate):
    Fs, Xs, ys = family(0, n=50)
    Ft, Xl, yl = family(1, names=("elder", "wealthy", "zoo"), swap=swap, negate=negate)
    fields = {"Fs": Fs, "Xs": Xs, "ys": ys, "Ft": Ft, "Xl": Xl, "yl": yl}
    method = PredicateMapping(more=0).fit(task(PredicateMapping.needs, **fields))
    found = {m["source"]: (m["target"], m["inverted"], m["sign"]) for m in method.explanation_["mapping"]}
    assert found["parent"] == ("elder", swap, 1)
    assert found["rich"] == ("wealthy", False, -1 if negate else 1)
    other, X, y = family(2, names=("elder", "wealthy", "zoo"), swap=swap, negate=negate)
    assert roc_auc_score(y, method.predict(X, other)[:, 1]) > 0.95


def test_a_schema_mapped_to_itself_is_the_identity():
    Fs, Xs, ys = family(0)
    fields = {"Fs": Fs, "Xs": Xs, "ys": ys, "Ft": Fs, "Xl": Xs, "yl": ys}
    method = PredicateMapping().fit(task(PredicateMapping.needs, **fields))
    assert all(m["source"] == m["target"] and not m["inverted"] and m["sign"] == 1 for m in _used(method))


def _used(method):
    return [m for m in method.explanation_["mapping"] if m["score"] > 1]


def test_few_examples_suffice_where_the_source_knows():
    """Two true pairs and four false ones: not enough to find the rule, enough to recognise it."""
    Fs, Xs, ys = family(0, n=50)
    gains = []
    for seed in range(10):
        Ft, X, y = family(10 + seed, names=("elder", "wealthy", "zoo"))
        few = torch.cat([torch.nonzero(y)[:2, 0], torch.nonzero(y == 0)[:4, 0]])
        fields = {"Fs": Fs, "Xs": Xs, "ys": ys, "Ft": Ft, "Xl": X[few], "yl": y[few]}
        moved = PredicateMapping().fit(task(PredicateMapping.needs, **fields))
        alone = RdnBoost().fit(task(RdnBoost.needs, **{k: fields[k] for k in RdnBoost.needs}))
        gains.append([roc_auc_score(y, m.predict(X, Ft)[:, 1]) for m in (moved, alone)])
    moved, alone = np.mean(gains, 0)
    assert moved > alone + 0.05


def test_a_carried_test_stands_once_on_a_branch():
    """Where two source predicates become one, a tree may ask the same twice; what it says stays the same."""
    facts, X, y = family(0)
    same = (Literal("rich", (1,)),)
    inner = Node(0.1, 6, same, Node(0.3, 5), Node(-0.9, 1))
    twice = Node(0.0, 10, same, inner, Node(-0.2, 4))
    truth = {same: Grounder(facts).satisfied(X.numpy(), [same])[:, 0]}
    g = y.numpy() - 0.5
    once = revised(twice, g, truth, 10.0)
    assert len(list(once.nodes())) <= 3
    expected = [
        (3 + g[truth[same]].sum()) / (10 + truth[same].sum()),
        (-2 + g[~truth[same]].sum()) / (10 + (~truth[same]).sum()),
    ]
    assert [once.yes.value, once.no.value] == pytest.approx(expected)


def test_constants_are_of_types_that_describe():
    facts, X, _ = family(0)
    assert list(values_of(facts, X.numpy(), 10)) == ["animal"]
    assert values_of(facts, X.numpy(), 4) == {}
    assert text((Literal("pet", (1, ~40)),), facts) == "pet(B, c40)"


def test_probabilities_are_those_of_the_potential():
    facts, X, y = family(0)
    method = RdnBoost(trees=3).fit(task(RdnBoost.needs, Ft=facts, Xl=X, yl=y))
    psi = method.prior_ + outputs(method.trees_, Grounder(facts), X.numpy()).sum(1)
    np.testing.assert_allclose(method.predict(X, facts)[:, 1].numpy(), expit(psi))


# The five databases ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def databases():
    root = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (root / "relational").is_dir():
        pytest.skip("no relational databases: set ZOO_DATA")
    return lambda name: Relational().load(name, root).folds


def drawn(fold, seed, examples=None, ratio=2):
    rng = np.random.default_rng(seed)
    positive, negative = (rng.permutation(np.flatnonzero(fold.y == label)) for label in (1, 0))
    positive = positive[:examples]
    rows = np.concatenate([positive, negative[: ratio * len(positive)]])
    return {"Ft": fold.facts, "Xl": torch.as_tensor(fold.X[rows]), "yl": torch.as_tensor(fold.y[rows])}


def evaluated(method, folds, i):
    """AUROC and average precision on the other folds, averaged."""
    found = []
    for j, other in enumerate(folds):
        if j != i:
            p = method.predict(torch.as_tensor(other.X), other.facts)[:, 1].numpy()
            found.append([roc_auc_score(other.y, p), average_precision_score(other.y, p)])
    return np.mean(found, 0)


def golden(folds, examples=None, seeds=1, trained=None):
    """Means over the folds that are trained on, by default all."""
    return np.mean(
        [
            evaluated(RdnBoost().fit(task(RdnBoost.needs, **drawn(fold, 100 * seed + i, examples))), folds, i)
            for seed in range(seeds)
            for i, fold in enumerate(folds[:trained])
        ],
        axis=0,
    )


# AUROC and AUPRC of the issue's own learner on these files; what a draw of negatives moves is allowed for.
FULL = {
    "imdb": (0.99, 0.90),
    "uwcse": (0.95, 0.15),
    "cora": (0.78, 0.6),
    "twitter": (0.91, 0.80),
    "yeast": (0.75, 0.0),
}
FEW = {"imdb": 0.94, "uwcse": 0.86, "cora": 0.70, "twitter": 0.82, "yeast": 0.55}


@pytest.mark.slow
@pytest.mark.faults  # whole tables: a forest for every fold of five databases
@pytest.mark.parametrize("name", FULL)
def test_full_folds(databases, name):
    seeds = 6 if name == "imdb" else 1  # a draw of negatives there gives an AUPRC of .93 or of .82
    auroc, auprc = golden(
        databases(name), seeds=seeds, trained=2 if name == "cora" else None
    )  # of which a fold takes 6 s
    assert auroc > FULL[name][0] - 0.01
    assert auprc > FULL[name][1] - 0.01


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("name", FEW)
def test_five_examples(databases, name):
    assert golden(databases(name), examples=5, seeds=2)[0] > FEW[name] - 0.04


@pytest.mark.slow
@pytest.mark.faults
def test_transfer_at_five_examples(databases):
    """imdb to uwcse: at least four points of AUROC over the same draws from scratch (the issue's target)."""
    source, folds = databases("imdb"), databases("uwcse")
    facts = merged([fold.facts for fold in source])
    draws = [drawn(fold, i) for i, fold in enumerate(source)]
    known = {"Fs": facts, "Xs": torch.cat([d["Xl"] for d in draws]), "ys": torch.cat([d["yl"] for d in draws])}
    gains = []
    for seed, (i, fold) in product(range(2), enumerate(folds)):
        fields = drawn(fold, 100 * seed + i, 5)
        moved = PredicateMapping().fit(task(PredicateMapping.needs, **fields, **known))
        alone = RdnBoost().fit(task(RdnBoost.needs, **fields))
        gains.append(evaluated(moved, folds, i)[0] - evaluated(alone, folds, i)[0])
    assert np.mean(gains) > 0.04
