"""Figures that are no results: one prediction for all rows, a neighbour graph that does not reach the target."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import kneighbors_graph

import zoo
from zoo import records
from zoo.kinds.samples import Pair
from zoo.ops.graphs import knn_graph
from zoo.ops.joint import cosine_laplacian
from zoo.ops.links import crossing
from zoo.report import compare, table
from zoo.tasks import problem

sys.path.insert(0, str(Path(__file__).parent))
from page_runs import record, write

PAIRS = ("a:b", "b:a")


def built(folder, change):
    """The table of source_only and two methods, of which the first is better; `change` says more of its records."""
    made = []
    for pair in PAIRS:
        for seed in (0, 1):
            made.append(record("source_only", pair, seed, 0.5, family="baseline", setting="none"))
            made.append(record("coral", pair, seed, 0.9) | change(pair, seed))
            made.append(record("tca", pair, seed, 0.7))
            made.append(record("sa", pair, seed, 0.6))
    write(folder, made)
    run = records.read(folder)
    made = table.build(run)
    rows = {row.label: row for _, group in made.groups for row in group}
    return run, rows, made.notes


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"constant": True}, "one prediction for all test rows, such as the prior"),
        ({"certificate": {"cross_edges": 0.0}}, "no edge of the neighbour graph leads from the source to the target"),
    ],
)
def test_what_says_nothing_of_a_row_is_noted_and_not_ranked(tmp_path, more, says):
    run, rows, notes = built(tmp_path / "one", lambda pair, seed: more if pair == "a:b" else {})
    assert [c.mark for c in rows["coral"].cells[:3]] == ["", "best", ""]  # the average is over what is no result, too
    assert [c.mark for c in rows["tca"].cells[:3]] == ["best", "second", "best"]
    assert f"{says}, hence not ranked where all seeds are such: coral (logistic) on a→b" in notes
    assert [line.label for line in compare.ranked(run)[0]] == ["source_only", "sa", "tca"]
    assert rows["coral"].cells[0].text == "90.0"
    _, rows, notes = built(tmp_path / "few", lambda pair, seed: more if (pair, seed) == ("b:a", 1) else {})
    assert rows["coral"].cells[1].mark == "best"
    assert f"{says}, hence not ranked where all seeds are such: coral (logistic) on b→a (seed 1)" in notes
    _, rows, notes = built(tmp_path / "none", lambda pair, seed: {"certificate": {"cross_edges": 3.0}})
    assert rows["coral"].cells[0].mark == "best"
    assert not any(says in note for note in notes)


def test_a_pair_knows_a_prediction_that_is_one_for_all():
    def pair(y, task="classification", scale=(0.0, 1.0)):
        return Pair({}, {}, None, np.array(y), None, {}, None, None, solved=problem(task), scale=scale)

    y = [0, 1, 1, 0]
    prior, sure = np.tile([0.4, 0.6], (4, 1)), np.array([[0.4, 0.6], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
    assert pair(y).constant(prior)
    assert pair(y).constant(prior + np.array([[1e-9], [0], [0], [0]]))
    assert not pair(y).constant(sure)  # of one class, but in an order
    assert not pair(y).constant(np.array([[0.5 + e, 0.5 - e] for e in (1e-9, -1e-9, -1e-9, 1e-9)]))  # told apart
    assert not pair([1, 1, 1, 1]).constant(prior)  # right, as far as can be known
    assert pair([1.0, 2.0, 3.0, 4.0], "regression", (0.0, 100.0)).constant(np.full((4, 1), 2.5))
    assert not pair([1.0, 2.0, 3.0, 4.0], "regression", (0.0, 1e-6)).constant(np.arange(4)[:, None] * 1e-6)


@pytest.mark.parametrize("gap", [0.0, 50.0])
def test_edges_between_domains_are_scikit_learns(gap):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(20, 3)), rng.normal(size=(15, 3)) + gap])
    theirs = kneighbors_graph(X, 4).toarray()
    expected = int(np.maximum(theirs, theirs.T)[:20, 20:].sum())
    assert crossing(knn_graph(torch.from_numpy(X), 4), 20) == expected
    assert (expected == 0) == bool(gap)
    unit = torch.from_numpy(X / np.linalg.norm(X, axis=1, keepdims=True))
    cosines = kneighbors_graph(unit.numpy(), 4).toarray()
    both = np.maximum(cosines, cosines.T) * ((unit @ unit.T).numpy() > 0)
    assert crossing(cosine_laplacian(unit, 4), 20) == int(both[:20, 20:].sum())


def test_a_run_says_which_of_its_figures_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name, far in (("a", 0.0), ("b", 100.0)):
        y = rng.permutation(np.arange(40) % 2)
        np.savez(f"{name}.npz", X=rng.normal(size=(40, 3)) + y[:, None] + far, y=y)
    own = {"format": "npz", "domains": {"a": "a.npz", "b": "b.npz"}}
    keys = {"name": "mine", "seeds": 1, "protocol": "transductive"}
    said = zoo.run({"data": own, **keys, "methods": ["label_propagation", "source_only"]}, executor="local", out="far")
    cells = said.frame().set_index(["method", "target"])
    lost = cells.loc["label_propagation"]
    assert lost["certificate.cross_edges"].tolist() == [0.0, 0.0]
    assert lost.accuracy.tolist() == [0.5, 0.5]  # the prior, and there are as many of either class
    assert lost.constant.tolist() == [True, True]
    assert "one prediction for all test rows, such as the prior, hence not ranked where all seeds are such: " in (
        text := said.table()
    )
    assert "label_propagation (logistic) on all pairs" in text
    for name in "ab":
        with np.load(f"{name}.npz") as held:
            y = held["y"]
            np.savez(f"{name}.npz", X=1e30 * (rng.normal(size=(40, 6)) + 5 * y[:, None]), y=y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = zoo.run({"data": own, **keys, "methods": ["source_only"]}, executor="local", out="huge").table()
    assert "the base classifier did not converge" in text
    assert "source_only (logistic) on all pairs" in text
    lines = [line for f in Path("far/records").glob("*.jsonl") for line in f.read_text().splitlines()]
    assert {json.loads(line).get("constant") for line in lines} <= {True, None}


def test_a_solver_that_stops_early_warns_where_no_table_can_say_so():
    y = np.arange(400) % 2
    X = (np.random.default_rng(0).normal(size=(400, 30)) + 0.3 * y[:, None]) * np.logspace(0, 4, 30)
    with pytest.warns(match="did not converge"):
        zoo.estimator("source_only", base="logistic(C=1e8)").fit(X, y, X)
