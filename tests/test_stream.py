"""Streams: the order in which samples come, one batch at a time, whose scores are final; and what is said of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo import discover, nets, records
from zoo.bench.executors import local
from zoo.bench.known import beside
from zoo.bench.run import Benchmark
from zoo.errors import BadInput
from zoo.kinds import _arrivals
from zoo.kinds.base import Domain
from zoo.records.store import unpacked
from zoo.report.plots import render
from zoo.train import Budget
from zoo.vault.session import Session
from zoo.vault.shared import parts

ATTACKS = Path(__file__).parent / "attacks"
BUDGET = {"steps": 60, "batch_size": 16, "learning_rate": 0.005}
SIZES = {"a": 120, "b": 70, "c": 61}

BY_COMPANY = """
from zoo.adapters.base import Adapter


class ByCompany(Adapter):
    needs = {"Xs", "ys"}
    family = "feature"
    learner = "base"

    def fit(self, task):
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        return self

    def predict(self, X, A=None):
        return self.model_.predict(X - X.mean(0))
"""


@pytest.fixture
def suite(tmp_path):
    """Three domains of one's own, of four classes, and a suite over them."""
    rng = np.random.default_rng(0)
    for i, (name, n) in enumerate(SIZES.items()):
        y = np.arange(n) % 4
        X = (2.5 * np.eye(4, 6)[y] + rng.normal(size=(n, 6)) + 0.8 * i).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", X=X, y=np.array(list("pqrs"))[y])
    domains = {name: str(tmp_path / f"{name}.npz") for name in SIZES}
    return {
        "data": {"format": "npz", "domains": domains},
        "name": "mine",
        "protocol": "stream",
        "pairs": ["a:b", "a:b+c"],
        "stream_batch": 16,
        "seeds": 2,
        "methods": ["source_only", "tent", "lame", "rotta"],
        **BUDGET,
    }


def ran(suite, out, **options):
    return Benchmark(suite, out=out, **({"executor": "local"} | options)).run().folder


def cells(folder):
    return {
        (r["method"], r["learner"], f"{r['source']}:{r['target']}", r["seed"]): r for r in records.read(folder).records
    }


def written(folder, name, **changes):
    """An attack as a plugin: one file, one public class."""
    text = re.sub(r"\bNearest\b", "_Nearest", (ATTACKS / "_knn.py").read_text() + (ATTACKS / f"{name}.py").read_text())
    for a, b in changes.items():
        text = text.replace(f"{a} = False", f"{a} = {b}")
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


# The order ------------------------------------------------------------------------------------------------------------


def domain(n=90, classes=5):
    rng = np.random.default_rng(1)
    built = Domain.build("d", rng.normal(size=(n, 3)), np.arange(n) % classes, list("vwxyz")[:classes])
    return built


def test_every_sample_comes_once_in_the_order_that_is_asked_for():
    one = domain()
    joined = _arrivals.joined("d+e", [one, domain(40)])
    for d in (one, joined):
        for order in ("shuffled", "by_class"):
            rows = [_arrivals.arrival(order, d, seed) for seed in (0, 1, 0)]
            assert all(sorted(r) == [*range(len(d.y))] for r in rows)
            assert (rows[0] == rows[2]).all()
            assert (rows[0] != rows[1]).any()
    y = one.y[_arrivals.arrival("by_class", one, 0)]
    assert (np.diff(y) != 0).sum() == 4
    assert len({tuple(dict.fromkeys(one.y[_arrivals.arrival("by_class", one, s)])) for s in range(20)}) > 5
    assert (np.diff(one.y[_arrivals.arrival("shuffled", one, 0)]) != 0).sum() > 40
    came = joined.parts[_arrivals.arrival("by_domain", joined, 3)]
    assert came.tolist() == [0] * 90 + [1] * 40
    assert not (_arrivals.arrival("by_domain", joined, 3)[:90] == np.arange(90)).all()
    assert len(np.unique(joined.rows)) == 130
    assert joined.content != _arrivals.joined("d+e", [domain(40), one]).content


def test_no_batch_has_a_single_sample():
    for n in range(2, 70):
        for size in (2, 3, 16, 64):
            found = _arrivals.batches(n, size)
            assert np.concatenate(found).tolist() == [*range(n)]
            assert min(map(len, found)) >= 2
            assert max(map(len, found)) <= size + 1


# A run ----------------------------------------------------------------------------------------------------------------


def test_records_hold_the_stream_in_its_order(suite, tmp_path):
    folder = ran({**suite, "order": "by_class"}, tmp_path / "run")
    run = records.read(folder)
    look = beside(folder, run)
    found = cells(folder)
    assert {r["status"] for r in found.values()} == {"ok"}
    for (_, _, pair, _), r in found.items():
        n = SIZES["b"] + (SIZES["c"] if "+" in pair else 0)
        arrays, y = look.predictions(r), look.truth(r).test
        assert r["n_test"] == n == len(y)
        assert (np.diff(y) != 0).sum() == 3
        right = arrays["test_predicted"] == y
        assert r["metrics"]["accuracy"] == pytest.approx(right.mean())
        assert r["metrics"]["accuracy_last"] == pytest.approx(right[-round(n / 10) :].mean())
        assert (unpacked(arrays["test_log_scores"]).argmax(1) == arrays["test_predicted"]).mean() > 0.95
        assert {k for k in arrays if k.endswith("rows")} == {"test_rows"}
    assert {r["setting"] for r in found.values()} == {"none", "source-free unsupervised"}
    assert render(run, "running", ".png", look)[:4] == b"\x89PNG"
    other = {**run.meta, "suite": {**run.meta["suite"], "protocol": "holdout"}}
    with pytest.raises(BadInput, match="of no stream"):
        render(replace(run, meta=other), "running", ".png", look)


def test_processes_give_what_one_process_gives(suite, tmp_path):
    one, other = (cells(ran(suite, tmp_path / e, executor=e)) for e in ("local", "processes"))
    assert one.keys() == other.keys()
    for key, r in one.items():
        assert r["metrics"] == other[key]["metrics"]
        assert r["predictions_sha256"] == other[key]["predictions_sha256"]


def test_the_source_model_is_that_of_holdout(suite, tmp_path):
    """And so its scores of a target's rows are those that it has there, whichever come first."""
    said = {}
    for protocol in ("stream", "holdout"):
        given = {k: v for k, v in suite.items() if k != "stream_batch" or protocol == "stream"}
        folder = ran({**given, "protocol": protocol, "pairs": ["a:b"], "methods": ["source_only"]}, tmp_path / protocol)
        run = records.read(folder)
        (r,) = [r for r in run.records if r["learner"] == "logistic" and r["seed"] == 0] or [
            r for r in run.records if r["seed"] == 0
        ]
        arrays = beside(folder, run).predictions(r)
        said[protocol] = dict(zip(arrays["test_rows"].tolist(), arrays["test_predicted"].tolist(), strict=True))
    assert said["holdout"].items() <= said["stream"].items()
    assert len(said["stream"]) == SIZES["b"]


def test_a_table_says_what_a_stream_is(suite, tmp_path, zoo):
    folder = ran({**suite, "order": "by_domain", "pairs": ["a:b+c"]}, tmp_path / "run")
    out = zoo("table", folder).out
    assert "one domain after another, 16 at a time; none is there before" in out
    assert "Scores of before its step: rotta, tent; of after it: lame" in out
    assert "last tenth" in out
    assert "batch (s)" in out
    assert "batch (s)" not in zoo("table", folder, "--no-cost").out
    assert "are scored as they do" in zoo("cite", folder).out


def test_what_needs_the_target_beforehand_is_unsupported(suite, tmp_path, zoo):
    folder = ran({**suite, "methods": ["coral", "target_only", "lame"], "pairs": ["a:b"], "seeds": 1}, tmp_path / "run")
    notes = zoo("table", folder).out
    assert "coral (logistic): needs Xt: target samples before the first is predicted (protocol: stream)" in notes
    assert "needs Xt, yt: target samples before" in notes
    given = {k: v for k, v in suite.items() if k != "stream_batch"}
    other = ran({**given, "protocol": "holdout", "pairs": ["a:b"], "methods": ["lame", "tent"]}, tmp_path / "other")
    assert (
        "lame (mlp): adapts to batches as they arrive, and to nothing else (protocol: stream)"
        in zoo("table", other).out
    )
    assert {m for m, *_ in cells(other)} == {"source_only", "tent"}


# Nobody looks ahead or back -------------------------------------------------------------------------------------------


def test_a_batch_is_sent_once_the_scores_of_the_last_are_there(suite, tmp_path, monkeypatch):
    log = []
    send, receive = local._Here.send, local._Here.receive

    def sent(self, message):
        log.append((message["op"], message))
        send(self, message)

    def received(self):
        log.append(("answer", None))
        return receive(self)

    monkeypatch.setattr(local._Here, "send", sent)
    monkeypatch.setattr(local._Here, "receive", received)
    ran({**suite, "methods": ["tent"], "pairs": ["a:b"], "seeds": 1}, tmp_path / "run")
    ops = [op for op, _ in log]
    assert all(now != "observe" or before == "answer" for before, now in pairwise(ops))
    batches = [m["arrays"]["test"] for op, m in log if op == "observe" and m["adapts"]]
    assert [len(b) for b in batches] == [16, 16, 16, 16, 6]
    assert len(np.unique(np.concatenate(batches), axis=0)) == SIZES["b"]
    (fit,) = [m for op, m in log if op == "fit" and m["info"].name == "tent"]
    assert fit["arrays"] == {}
    assert fit["needs"] == ["model"]


def test_who_keeps_batches_gains_nothing(suite, tmp_path):
    """What it says later of earlier samples is no answer; without saying it, it is as if it kept none."""
    base = {**suite, "pairs": ["a:b"], "seeds": 1, "base": "1nn"}
    for again, status in (("False", "ok"), ("True", "failed")):
        plugin = written(tmp_path, "keeps_batches", again=again)
        given = {**base, "methods": ["source_only", "keeps_batches", "kmm"]}
        found = cells(ran(given, tmp_path / again, plugins=[plugin], executor="processes"))
        mine = [r for (m, *_), r in found.items() if m == "keeps_batches"]
        (plain,) = [r for (m, learner, *_), r in found.items() if m == "source_only" and learner == "1nn"]
        assert {r["status"] for r in mine} == {status}, mine
        if status == "ok":
            assert {r["predictions_sha256"] for r in mine} == {plain["predictions_sha256"]}
        else:
            assert "scores of shape" in mine[0]["reason"]


def test_who_reads_ahead_finds_nothing(suite, tmp_path):
    plugin = written(tmp_path, "reads_ahead")
    given = {**suite, "pairs": ["a:b"], "seeds": 1, "methods": ["reads_ahead"], "base": "1nn"}
    folder = ran(given, tmp_path / "run", plugins=[plugin], executor="processes")
    (r,) = [r for r in records.read(folder).records if r["method"] == "reads_ahead"]
    assert r["status"] == "ok", r["reason"]
    said = beside(folder, records.read(folder)).predictions(r)["test_predicted"]
    assert set(said.tolist()) == {1}
    # It would have found them: the same look where the rows lie about.
    scope: dict = {}
    exec(compile(plugin.read_text(), "x", "exec"), scope)
    method, X = scope["ReadsAhead"](), torch.randn(4, 6)
    there = torch.randn(9, 6)
    task = SimpleNamespace(n_classes=4, Xs=torch.zeros(2, 6))
    assert method.fit(task).observe(X).argmax(1).tolist() == [0] * 4
    assert len(there) == 9


def test_what_looks_at_other_rows_is_found_out_in_a_stream_too(suite, tmp_path):
    """A plugin that is no stream method has to score a row alike in any company."""
    path = tmp_path / "by_company.py"
    path.write_text(BY_COMPANY)
    given = {**suite, "pairs": ["a:b"], "seeds": 1, "methods": ["by_company"]}
    found = cells(ran(given, tmp_path / "run", plugins=[path], executor="processes"))
    (r,) = [r for (m, *_), r in found.items() if m == "by_company"]
    assert r["reason"].startswith("not row-wise"), r


def held(thing):
    """Numbers in all tensors and arrays that hang on something."""
    sizes = (
        p.numel() if isinstance(p, torch.Tensor) else p.size
        for p in parts(thing)
        if isinstance(p, torch.Tensor | np.ndarray)
    )
    return sum(sizes)


@pytest.mark.parametrize("name", ["tent", "t3a", "ada_bn", "lame", "sar", "eata", "cotta", "rotta", "source_only"])
def test_memory_does_not_grow_with_the_stream(name):
    """Neither the session's nor the method's, beyond the samples that it says it keeps."""
    keeps = {"t3a": 20 * 4 * (256 + 4), "rotta": 64 * 6}.get(name, 0)
    info = discover.methods()[name]
    torch.manual_seed(0)
    net = nets.build("mlp", (6,), 4)
    budget = vars(Budget(batch_size=16, precision="fp32"))
    learner = {
        "task": "classification",
        "base": "logistic",
        "net": "mlp",
        "backbone": {},
        "use": "net",
        "budget": budget,
        "seed": 0,
    }
    rng = np.random.default_rng(0)
    y = np.arange(64) % 4
    arrays = {"Xs": (3 * np.eye(4, 6)[y] + rng.normal(size=(64, 6))).astype(np.float32), "ys": y}
    needs = sorted(info.needs - {"Xt"})
    session = Session()
    message = {"op": "fit", "info": info, "parameters": info.parameters, "needs": needs, "nodes": "", "shape": [6]}
    message |= {"arrays": {k: v for k, v in arrays.items() if k in needs}, "learner": learner, "n_classes": 4}
    message |= {"columns": 4, "of_model": 4, "device": "cpu", "seed": 0, "featurise": False, "shaped": True}
    message |= {"checkpoint_s": 60.0, "state": None, "model": {k: v.numpy() for k, v in net.state_dict().items()}}
    assert session.handle(message)["status"] == "ok"
    sizes = []
    for i in range(120):
        X = (3 * np.eye(4, 6)[(np.arange(16) + i) % 4] + rng.normal(size=(16, 6))).astype(np.float32)
        ask = {"op": "observe", "arrays": {"test": X}, "adapts": info.stream, "last": False, "device": "cpu"}
        assert session.handle(ask)["status"] == "ok"
        sizes.append(held(session))
    assert sizes[-1] - sizes[9] <= keeps


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"protocol": "holdout", "pairs": ["a:b"]}, "stream_batch: 16 needs protocol: stream, not holdout"),
        ({"protocol": "holdout", "stream_batch": 0, "order": "by_class"}, "order: by_class needs protocol: stream"),
        ({"protocol": "holdout", "stream_batch": 0}, "several targets arrive one after another"),
        ({"order": "sideways"}, "order: input should be"),
        ({"stream_batch": 1}, "batches of a stream are of 2 samples and more"),
        ({"labels": 3}, "labels: 3: protocol: stream: no target sample is there before the stream"),
        ({"normalise": ["zscore"]}, "say normalise_by: source"),
        ({"label_sets": "open"}, "label_sets: open: protocol: stream is for sets that are closed or partial"),
        ({"order": "by_domain", "pairs": ["a:b"]}, "order: by_domain: target b is one domain"),
        ({"pairs": ["a:b+d"]}, "unknown domain in pair 'a:b+d'"),
        ({"pairs": ["a:b+a"]}, "the target is also a source"),
        ({"pairs": ["a:b+b"]}, "a target stands twice"),
    ],
)
def test_bad_input_is_one_line(suite, tmp_path, keys, says):
    with pytest.raises(BadInput) as error:
        Benchmark({**suite, **keys}, out=tmp_path / "run", executor="local")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "says"), [({"validators": ["entropy"]}, "--validators"), ({"keep": ["model"]}, "--keep")]
)
def test_nothing_beside_a_stream_is_judged_or_kept(suite, tmp_path, options, says):
    with pytest.raises(BadInput, match=f"{says}: protocol: stream: no target sample is there"):
        Benchmark(suite, out=tmp_path / "run", executor="local", **options)


def test_samples_without_a_label_are_refused(suite, tmp_path):
    arrays = dict(np.load(tmp_path / "b.npz"))
    arrays["y"][:5] = ""
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(BadInput, match="5 samples have no label, and every sample of a stream is scored"):
        Benchmark(suite, out=tmp_path / "run", executor="local")


def test_a_method_for_streams_says_when_it_predicts(tmp_path):
    path = tmp_path / "silent.py"
    path.write_text(
        (Path(__file__).parent / "plugins" / "hoards.py").read_text().replace('    predicts = "before"\n', "")
    )
    with pytest.raises(BadInput, match=r"silent\.py:4: a method with stream = True says predicts"):
        discover.methods([path])


def test_other_protocols_have_none_of_it(suite, tmp_path):
    given = {k: v for k, v in suite.items() if k != "stream_batch"} | {"protocol": "holdout", "pairs": ["a:b"]}
    folder = ran({**given, "methods": ["source_only"], "seeds": 1}, tmp_path / "run")
    (r, *_) = records.read(folder).records
    assert not {"order", "stream_batch"} & r["suite"].keys()
    assert "accuracy_last" not in r["metrics"]
    assert "predicts" not in json.dumps(json.loads((folder / "run.json").read_text())["rows"])
