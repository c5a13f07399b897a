"""Validators in a run: behind the vault, from what is stored, without a target label."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from zoo import records
from zoo.bench import evidence, search
from zoo.bench.run import Benchmark
from zoo.discover import methods
from zoo.kinds.samples import Protocol
from zoo.task import Task
from zoo.vault import confine

HERE = Path(__file__).parent
SUITE = """\
dataset: office_caltech
pairs: ['amazon:webcam', 'amazon+dslr:webcam']
base: logistic
steps: 5
batch_size: 16
seeds: 1
methods: [source_only, coral, {tca: {k: 3}}, dan]
"""


@pytest.fixture
def go(server, surf, tmp_path, monkeypatch):
    """A run on the small data root; `suite` are lines in the place of those of SUITE."""
    monkeypatch.chdir(tmp_path)

    def call(out="run", *, suite="", **options):
        lines = dict(line.split(": ", 1) for line in (SUITE + suite).splitlines())
        path = tmp_path / "tiny.yaml"
        path.write_text("".join(f"{k}: {v}\n" for k, v in lines.items()))
        options = {"data_root": surf, "out": tmp_path / out, "workers": 2, **options}
        benchmark = Benchmark(str(path), **options)
        benchmark.run()
        return benchmark, records.read(tmp_path / out)

    return call


def said(run, validator, method="coral", source="amazon", trial=0):
    cells = [
        r for r in run.records if (r["method"], r["source"]) == (method, source) and run.tried(r) == {method: trial}
    ]
    (cell,) = (r["cell"] for r in cells)
    return run.values[cell, validator]


def test_values_are_there_and_predictions_are_what_they_were(go):
    _, plain = go("plain")
    benchmark, run = go("judged", validators=["all"])
    shas = [{r["cell"]: r["predictions_sha256"] for r in x.records} for x in (plain, run)]
    assert shas[0] == shas[1]
    judges = {i.name for i in benchmark.judges} - {"oracle"}
    assert {name for _, name in run.values} == judges
    assert {v.status for v in run.values.values()} == {"ok"}
    assert len(run.values) == len(run.records) * len(judges)
    assert list((benchmark.store.folder / "features").iterdir()) == []  # seen, and gone
    assert run.meta["validators"].keys() == judges | {"oracle"}

    # later, on the old run: scores are stored, features are not
    before = (benchmark.store.folder / "validators").stat().st_mtime_ns
    _, again = go("judged", validators=["all"])
    assert again.values == run.values
    assert (benchmark.store.folder / "validators").stat().st_mtime_ns == before
    _, later = go("plain", validators=["entropy", "source_accuracy", "iwcv"])
    assert said(later, "entropy").value == said(run, "entropy").value
    assert said(later, "source_accuracy").value == said(run, "source_accuracy").value
    iwcv = said(later, "iwcv")
    assert (iwcv.status, iwcv.value) == ("n/a", None)
    assert "--keep features" in iwcv.reason


def test_source_labels_are_those_of_the_rows(go):
    """On domains that are easy to tell, labels in another order would be right one time in ten."""
    _, run = go(validators=["source_accuracy"], suite="methods: [source_only, coral]\n")
    for source in ("amazon", "amazon+dslr"):
        assert said(run, "source_accuracy", "source_only", source).value > 0.85


def test_features_stay_where_they_are_kept(go):
    benchmark, run = go(keep=["features"], suite="methods: [source_only, coral, dan]\npairs: ['amazon:webcam']\n")
    for record in run.records:
        kept = benchmark.store.seen(record["cell"])
        assert {"train_features", "validation_features", "adapt_features", "mixed_scores"} <= kept.keys()
        assert len(kept["adapt_features"]) == len(kept["adapt_log_scores"])
    _, judged = go(validators=["rankme"], suite="methods: [source_only, coral, dan]\npairs: ['amazon:webcam']\n")
    assert {v.status for v in judged.values.values()} == {"ok"}
    # of a mapping the features are the mapped samples, of a base classifier its vectors, of a network its own
    by = {(r["method"], r["learner"]): benchmark.store.seen(r["cell"]) for r in run.records}
    raw, mapped = by["source_only", "logistic"], by["coral", "logistic"]
    assert np.array_equal(raw["adapt_features"], mapped["adapt_features"])  # coral maps the source alone
    assert not np.allclose(raw["train_features"], mapped["train_features"])
    assert by["dan", "mlp"]["adapt_features"].shape[1] != raw["adapt_features"].shape[1]


def test_transductive_has_no_source_validation(go):
    _, run = go(validators=["all"], suite="protocol: transductive\nmethods: [source_only, coral]\n")
    status = {name: said(run, name).status for _, name in run.values}
    assert {name for name, s in status.items() if s == "n/a"} == {"source_accuracy", "source_nll", "iwcv", "dev"}
    assert set(status.values()) == {"n/a", "ok"}


def test_oracle_rows_are_not_judged(go):
    _, run = go(validators=["entropy"], suite="methods: [source_only, target_only]\n")
    judged = {cell for cell, _ in run.values}
    assert {r["method"] for r in run.records if r["cell"] in judged} == {"source_only"}


# -- reverse


def test_reverse_is_the_method_fitted_back(go, surf):
    benchmark, run = go(validators=["reverse"], trials=2, suite="methods: [source_only, coral]\n")
    pair = Protocol(benchmark.suite, benchmark.data).pair("amazon", "webcam", 0, True)
    now = pair.round(0, False)
    for trial in (0, 1):
        info = methods()["coral"]
        parameters = search.trials(info, info.parameters, (), 2)[trial]
        value = said(run, "reverse", trial=trial)
        cell = next(c for c, n in run.values if run.values[c, n] is value)
        predicted = benchmark.store.seen(cell)["adapt_predicted"].astype(np.int64)
        from zoo.adapters.feature.coral import Coral

        back = Coral(**parameters).fit(Task.from_arrays(now.fields["Xt"], predicted, now.fields["Xs"]))
        told = back.predict(torch.tensor(now.sets["validation"])).argmax(1).numpy()
        held = evidence.source_labels(benchmark.data, "amazon", pair)["yv"]
        assert value.value == pytest.approx((told == held).mean(), abs=1e-12)


def test_reverse_does_not_see_mistakes_that_undo_one_another(go, tmp_path):
    """Planted: a method that is all wrong on the target, twice over right on the source."""
    shutil.copy(HERE / "plugins" / "swaps.py", tmp_path)
    options = {"plugins": [tmp_path / "swaps.py"], "validators": ["reverse"], "trials": 2, "methods": ["swaps"]}
    _, run = go(suite="pairs: ['amazon:webcam']\n", **options)
    accuracy = {r["parameters"]["by"]: r["metrics"]["accuracy"] for r in run.records if r["method"] == "swaps"}
    value = {
        r["parameters"]["by"]: run.values[r["cell"], "reverse"].value for r in run.records if r["method"] == "swaps"
    }
    assert accuracy[0] > 0.7
    assert accuracy[1] < 0.2
    assert value[1] > 0.7


def test_reverse_needs_a_method_that_can_go_back(go):
    options = {"methods": ["ada_bn"], "validators": ["reverse"]}
    _, run = go(suite="pairs: ['amazon:webcam']\nlabels: 2\n", **options | {"methods": ["fine_tune"]})
    told = {v.reason for v in run.values.values() if v.status == "n/a"}
    assert told == {"a method that needs Xl, model, yl cannot go back from the target"}


# -- strangers


def thief(tmp_path, surf, run):
    for path in (HERE / "judges").glob("*.py"):
        text = path.read_text().replace('("data", "run")', repr((str(surf), str(run))))
        (tmp_path / path.name).write_text(text)
    return [tmp_path / f"{n}.py" for n in ("label_thief", "crashes", "not_a_number", "remembers_trials")]


@pytest.mark.skipif(not confine.abi(), reason="this kernel has no Landlock")
def test_no_validator_finds_a_target_label(go, tmp_path, surf, zoo):
    plugins = thief(tmp_path, surf, tmp_path / "run")
    names = [p.stem for p in plugins]
    options = {"plugins": plugins, "validators": [*names, "entropy"], "trials": 2}
    _, run = go(suite="methods: [source_only, coral]\npairs: ['amazon:webcam']\n", **options)
    values = {name: [v for (_, n), v in run.values.items() if n == name] for name in names}
    assert [v.value for v in values["label_thief"]] == [0.0] * 3
    assert [v.value for v in values["remembers_trials"]] == [1.0] * 3  # a process a call
    assert {(v.status, v.reason) for v in values["not_a_number"]} == {("failed", "no finite value")}
    assert {v.status for v in values["crashes"]} == {"failed"}
    assert "exit code 3" in values["crashes"][0].reason
    assert {v.status for (_, n), v in run.values.items() if n == "entropy"} == {"ok"}
    assert not list((tmp_path / "run" / "validators").glob("mine*"))
    kept = [p.name for p in (tmp_path / "run" / "plugins").rglob("*.py")]
    assert sorted(kept) == sorted(p.name for p in plugins)

    # what failed is visible, and is never the first grid point
    done = zoo("table", tmp_path / "run", "--select", "not_a_number", "--format", "json")
    assert done.code == 0
    assert "no selection: coral [not_a_number] (logistic) on amazon→webcam (seed 0)" in done.out


def test_the_thief_finds_much_where_nothing_is_in_its_way(go, tmp_path, surf):
    """The control: in one process, without a vault, it reads the data and the run."""
    plugins = thief(tmp_path, surf, tmp_path / "run")
    options = {"plugins": plugins[:1], "validators": ["label_thief"], "executor": "local", "workers": 1}
    _, run = go(suite="methods: [source_only]\npairs: ['amazon:webcam']\n", **options)
    (value,) = run.values.values()
    assert int(value.value) & 0b11100 == 0b11100


def test_nothing_that_is_sent_holds_a_target_label(go, monkeypatch):
    """Every array of every message to a validator: source labels are the only whole numbers, but for mixed pairs."""
    from zoo.bench import judge

    sent = []
    send = judge.Judges._send

    def spy(self, slot, task):
        sent.append(task.messages[0][0])
        send(self, slot, task)

    monkeypatch.setattr(judge.Judges, "_send", spy)
    benchmark, _ = go(validators=["all"], suite="methods: [source_only, coral]\npairs: ['amazon:webcam']\n")
    pair = Protocol(benchmark.suite, benchmark.data).pair("amazon", "webcam", 0, True)
    n_adapt = len(pair.fields["Xt"])
    assert {m["op"] for m in sent} == {"validate"}
    for message in sent:
        assert message["arrays"].keys() == message["info"].needs
        for name, array in message["arrays"].items():
            assert array.dtype.kind == "f" or name in ("ys", "yv", "im")
            if name in ("pt", "zt"):
                assert len(array) == n_adapt  # of the test rows nothing


def test_of_the_test_rows_nothing_is_seen():
    rng = np.random.default_rng(0)
    stored = {f"{s}_log_scores": rng.normal(size=(n, 3)).astype(np.float16) for s, n in [("test", 4), ("adapt", 6)]}
    before = evidence.fields(stored, {}, False)
    after = evidence.fields({**stored, "test_log_scores": stored["test_log_scores"][::-1]}, {}, False)
    assert before.keys() == {"pt"}
    assert np.array_equal(before["pt"], after["pt"])
    assert len(before["pt"]) == 6


# -- lines


def test_a_line_that_was_altered_is_refused(go, tmp_path):
    go(validators=["entropy"], suite="methods: [source_only]\npairs: ['amazon:webcam']\n")
    (file,) = (tmp_path / "run" / "validators").glob("*.jsonl")
    line = json.loads(file.read_text())
    file.write_text(json.dumps(line | {"value": 0.0}) + "\n")
    again = records.read(tmp_path / "run")
    assert again.values == {}
    assert "of validators: altered after it was written" in "".join(again.remarks())


def test_values_of_other_predictions_do_not_stand(go, tmp_path):
    from zoo.records import values

    _, run = go(validators=["entropy"], suite="methods: [source_only]\npairs: ['amazon:webcam']\n")
    (record,) = run.records
    other = {**record, "predictions_sha256": "0" * 64}
    assert values.read(tmp_path / "run", [other], {})[0] == {}
    assert values.read(tmp_path / "run", [record], {"entropy": "another code"})[0] == {}
    assert values.read(tmp_path / "run", [record], {})[0] == run.values


def test_rows_that_are_sparse_have_a_number():
    """Of words of a graph's nodes: scipy's sparse arrays have no len."""
    from scipy.sparse import csr_matrix

    from zoo.bench import messages
    from zoo.kinds.base import Round

    now = Round({}, {"test": csr_matrix(np.eye(5))}, fitted="test")
    cell = SimpleNamespace(stranger=False, row=SimpleNamespace(info=methods()["source_only"]))
    (part,) = messages.parts(now, cell, np.random.default_rng(0))
    assert part["test"].tolist() == [0, 1, 2, 3, 4]
    scores, apart = messages.gathered(now, 2, [(part, {"test": np.full((5, 2), 0.5)})])
    assert scores["test"].shape == (5, 2)
    assert apart == 0
