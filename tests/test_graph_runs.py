"""Runs on graphs: which methods can, what stands under the table, and what a worker is given."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from tests.test_graph_data import WRITE, block_model, write_npz, write_suite
from zoo.bench.run import Benchmark


@pytest.fixture
def graph_suite(tmp_path):
    return partial(write_suite, tmp_path)


def results(path, out, methods, **more):
    frame = Benchmark(str(path), methods=methods, out=out, **more).run().frame()
    assert (frame.status == "ok").all(), set(frame.reason)
    return frame


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["transductive", "holdout"])
def test_methods_run_on_graphs(graph_suite, tmp_path, protocol, server):
    """Networks, base learners, methods on graphs, source-free and labelled ones; the graph helps the network."""
    path = graph_suite(name=protocol, protocol=protocol, labels=2, seeds=1, steps=40)
    methods = ["source_only", "degree", "coral", "shot", "fine_tune", "target_only", "grade"]
    frame = results(path, tmp_path / "run", methods)
    assert set(frame[frame.method == "grade"].setting) == {"unsupervised", "semi-supervised"}
    accuracy = frame.groupby(["method", "learner"]).accuracy.mean()
    assert accuracy["source_only", "gcn"] > 0.6
    assert accuracy["target_only", "gcn"] > 0.6


def test_what_was_left_out_stands_under_the_table(tmp_path, server):
    for i, domain in enumerate(("one", "two")):
        edges, x, y = block_model(seed=i)
        write_npz(tmp_path / f"{domain}.npz", np.concatenate([edges, [[4, 4]]]), x, y)
    (tmp_path / "s.yaml").write_text(
        "data: {format: graph, domains: {one: one.npz, two: two.npz}}\nbase: logistic\nmethods: [degree, dummy]\n"
    )
    table = Benchmark(str(tmp_path / "s.yaml"), out=tmp_path / "run").run().table()
    assert "data of two: 1 edges from a node to itself are left out" in table


def test_a_shared_source_model_is_the_networks_source_only(graph_suite, tmp_path, server):
    """The network of source_only and that of source-free methods that need no other are one artefact."""
    frame = results(graph_suite(seeds=1, steps=30), tmp_path / "run", ["source_only", "rkd"])
    assert len(list((tmp_path / "run" / "cache").rglob("*.npz"))) == 2  # one for each source
    assert len(frame) == 4


def test_base_learners_on_features_of_the_network(graph_suite, tmp_path, server):
    frame = results(
        graph_suite(name="emb", seeds=1, features="source"), tmp_path / "run", ["source_only", "coral", "degree"]
    )
    assert {"logistic@gcn"} == set(frame[frame.method == "coral"].learner)


def test_the_net_without_the_graph(graph_suite, tmp_path, server):
    """``net: mlp`` is the nodes' features alone; methods that need a network on graphs say so."""
    run = Benchmark(str(graph_suite(name="flat", net="mlp", seeds=1)), methods=["dann", "adagcn"], out=tmp_path / "run")
    assert [u["reason"] for u in run.plan.unsupported] == ["needs a network on graphs (net: gcn)"]
    frame = run.run().frame()
    assert (frame.status == "ok").all()


def test_methods_on_graphs_elsewhere(zoo):
    done = zoo("run", "quickstart", "--methods", "degree,adagcn", "--dry-run")
    assert "unsupported: needs As, At, which digits8 does not have" in done.out


def test_dry_run_estimates(graph_suite, zoo):
    done = zoo("run", graph_suite(), "--methods", "source_only,dan,degree", "--dry-run")
    assert done.code == 0, done.err
    assert "degree" in done.out


@pytest.mark.slow
def test_local_and_processes_agree(graph_suite, tmp_path, server):
    path = graph_suite(name="agree", seeds=1, protocol="holdout")
    hashes = []
    for executor in ("local", "processes"):
        frame = results(path, tmp_path / executor, ["dan", "degree"], executor=executor)
        records = [json.loads(line) for f in (tmp_path / executor / "records").glob("*") for line in f.open()]
        assert len(records) == len(frame)
        hashes.append({r["cell"]: r["predictions_sha256"] for r in records})
    assert hashes[0] == hashes[1]


WALKER = '''
import gc
import numpy as np
from zoo.adapters.base import Adapter


class Walker(Adapter):
    """Looks for anything that could be the target's labels among all that its process holds, and says what it found."""

    family = "relational"
    needs = {"Xs", "ys", "Xt", "As", "At"}

    def fit(self, task):
        import torch

        n, self.n_classes = task.At.n, task.n_classes
        found = 0
        for thing in gc.get_objects():
            for v in gc.get_referents(thing):
                if isinstance(v, np.ndarray | torch.Tensor) and v.ndim == 1 and len(v) == n:
                    distinct = len(np.unique(np.asarray(v)))
                    found += 1 < distinct <= task.n_classes
        larger = [g for g in gc.get_objects() if type(g) is type(task.At) and len(g.x) > max(n, task.As.n)]
        self.certificate_ = {"suspects": found, "larger": len(larger)}
        return self

    def predict(self, X, A=None):
        import torch

        return torch.full((len(X), self.n_classes), 1 / self.n_classes)
'''


def test_no_labels_of_the_target_are_within_reach(tmp_path, server):
    """Nothing in the worker is as long as the target and has as many values as there are classes; and the search is
    real: under ``executor: local``, where driver and method share a process, it finds the labels."""
    for i, domain in enumerate(("one", "two")):
        WRITE["npz"](tmp_path / f"{domain}.npz", *block_model(n=57 + 6 * i, seed=i))
    (tmp_path / "walker.py").write_text(WALKER)
    (tmp_path / "s.yaml").write_text(
        "data: {format: graph, domains: {one: one.npz, two: two.npz}}\npairs: ['one:two']\n"
        "methods: [source_only]\nseeds: 1\nsteps: 5\n"
    )
    found = {}
    for executor in ("processes", "local"):
        out = tmp_path / executor
        results(tmp_path / "s.yaml", out, ["walker"], plugins=[tmp_path / "walker.py"], executor=executor)
        records = [json.loads(line) for f in (out / "records").glob("*") for line in f.open()]
        (found[executor],) = {r["certificate"]["suspects"] for r in records if r["method"] == "walker"}
    assert found["processes"] == 0
    assert found["local"] > 0


def test_a_fit_sees_no_test_nodes_of_an_earlier_cell(tmp_path, server):
    """In holdout the whole graph comes to a worker with the test; the next cell's fit in it finds it nowhere."""
    for i, domain in enumerate(("one", "two")):
        write_npz(tmp_path / f"{domain}.npz", *block_model(seed=i))
    (tmp_path / "walker.py").write_text(WALKER)
    (tmp_path / "s.yaml").write_text(
        "data: {format: graph, domains: {one: one.npz, two: two.npz}}\npairs: ['one:two']\n"
        "protocol: holdout\nmethods: [source_only]\nseeds: 3\nsteps: 5\n"
    )
    methods = ["degree", "dan", "walker"]
    results(tmp_path / "s.yaml", tmp_path / "run", methods, plugins=[tmp_path / "walker.py"], workers=1)
    records = [json.loads(line) for f in (tmp_path / "run" / "records").glob("*") for line in f.open()]
    assert {r["certificate"]["larger"] for r in records if r["method"] == "walker"} == {0}
