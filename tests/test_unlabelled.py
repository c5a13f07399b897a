"""A target without labels: adapted to, predicted, stored, and scored by nobody."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import zoo as package
from zoo import records
from zoo.bench import plan
from zoo.bench.suite import load
from zoo.errors import BadInput
from zoo.report.choice import Choice, chosen
from zoo.report.lines import lines

RESULTS = Path(__file__).parents[1] / "results"

METHODS = ["source_only", "coral", "target_only", "joint"]


def table(seed, n=30, shift=0.0):
    y = np.arange(n) % 3
    X = np.random.default_rng(seed).normal(size=(n, 3)) + 2 * np.eye(3)[y] + shift
    return pd.DataFrame(X, columns=["f0", "f1", "f2"]).round(3).assign(y=np.array(["cat", "dog", "eel"])[y])


def written(folder, labels=lambda y: "", more=""):
    """A suite of a labelled source and a target with some of its labels, or none."""
    table(0).to_csv(folder / "a.csv", index=False)
    other = table(1, shift=0.5)
    other.assign(y=labels(other.y)).to_csv(folder / "b.csv", index=False)
    (folder / "mine.yaml").write_text("data: {format: csv, domains: {a: a.csv, b: b.csv}}\nseeds: 2\n" + more)
    return folder / "mine.yaml"


def planned(path, **keys):
    suite = load(path, keys)
    pairs = plan.parse_pairs(suite)
    return suite, pairs, suite.kind.load(suite, pairs, None)


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """Runs of a target without any label, by protocol."""
    folder = tmp_path_factory.mktemp("blind")
    for protocol in ("holdout", "transductive"):
        how = {"protocol": protocol, "executor": "local", "quiet": True, "out": folder / protocol}
        package.run(written(folder), methods=METHODS, validators=["entropy"], **how)
    return folder


@pytest.mark.parametrize("protocol", ["holdout", "transductive"])
def test_a_target_without_any_label_runs_and_no_cell_of_it_is_scored(blind, protocol):
    run = records.read(blind / protocol)
    assert {r["method"] for r in run.records} == {"source_only", "coral"}
    for r in run.records:
        assert (r["status"], r["n_test"], set(r["metrics"].values())) == ("ok", 0, {None})
        with np.load(blind / protocol / "predictions" / f"{r['cell']}.npz") as kept:
            assert sorted(kept["adapt_rows"]) == list(range(30))
            assert kept["adapt_log_scores"].shape == (30, 3)
            assert len(kept["test_rows"]) == 0
    lacking = {u["label"]: u["reason"] for u in run.meta["unsupported"] if u["learner"] == "logistic"}
    assert lacking == dict.fromkeys(("target_only", "joint"), "domain b has no label")
    assert [u["pair"] for u in run.meta["unsupported"] if u["label"] == "every method"] == ["b:a"]
    assert {k[1] for k, v in run.values.items() if v.status == "ok"} == {"entropy"}  # which needs no label


@pytest.mark.parametrize("protocol", ["holdout", "transductive"])
def test_whatever_is_made_of_such_a_run_says_so(zoo, blind, protocol):
    run = blind / protocol
    text = " ".join(zoo("table", run).out.split())
    assert "| coral | logistic | feature | – | – | – | – |" in text
    assert "bold" not in text
    assert "identical" not in text
    assert text.count("no sample has a label: as a target it is adapted to and not scored") == 1
    assert "nothing is compared" in zoo("compare", run).out
    assert zoo("compare", run, "--validators").code in (0, 2)
    assert zoo("verify", run, "--cells", "0").out.startswith("records' ids and digests: ")
    assert zoo("report", run, "--out", "x.html").code == 0
    for command in (
        ["plot", run, "--kind", kind, "--out", "x.png"] for kind in ("bars", "gains", "time", "cd", "confusion")
    ):
        done = zoo(*command)
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert done.err.startswith("zoo: nothing to draw")


def test_a_target_without_labels_does_not_say_which_rows_are_the_best(zoo, blind):
    """Over the pairs that are scored, the best is the best; where none is, that is said."""
    done = zoo("table", blind / "holdout", "--top", 1)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("zoo: --top: no row has a mean accuracy over all pairs")
    run = records.read(RESULTS / "office_caltech")
    pair = run.meta["pairs"][0]
    whole = replace(run, meta=run.meta | {"pairs": [p for p in run.meta["pairs"] if p != pair]})
    lacking = [r for r in run.records if f"{r['source']}:{r['target']}" == pair]
    unscored = [r | {"metrics": dict.fromkeys(r["metrics"])} if r in lacking else r for r in run.records]
    by = Choice(top=3, sort="accuracy")
    of = {x.label for x in lines(run)[0] if x.learner == "1nn" and x.setting == "unsupervised"}
    found, best = (chosen(replace(one, records=r), by) for one, r in ((run, unscored), (whole, run.records)))
    keys = [x for x in found.shown if x[2] in of]
    assert keys == [x for x in best.shown if x[2] in of]
    assert len(keys) > 1


def test_a_source_without_labels_is_refused_with_its_file(tmp_path):
    path = written(tmp_path)
    with pytest.raises(BadInput, match=r"b: .*b.csv: y: no sample of b has a label, .* \(pair b:a\)$"):
        planned(path, pairs=["b:a"])


def test_labels_that_a_target_does_not_have_are_granted_to_nobody(tmp_path):
    _, _, data = planned(written(tmp_path), labels=2)
    assert data.blind == {"b": "domain b has no label"}
    assert not data.few  # of a, which has enough
    assert data.withheld(frozenset({"Xl", "yl"}), "b")
    assert not data.withheld(frozenset({"Xs", "Xt"}), "b")


def test_values_that_are_all_missing(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        frame = table(seed)
        frame.assign(y=frame.f0 if name == "a" else "").to_csv(tmp_path / f"{name}.csv", index=False)
    text = "data: {format: csv, domains: {a: a.csv, b: b.csv}}\ntask: regression\nseeds: 1\nmethods: [source_only]\n"
    (tmp_path / "mine.yaml").write_text(text)
    package.run(tmp_path / "mine.yaml", executor="local", quiet=True, out=tmp_path / "run")
    (record,) = records.read(tmp_path / "run").records
    assert record["metrics"] == {"mae": None, "rmse": None, "r2": None}


def test_in_transductive_rows_without_a_label_are_predicted_beside_those_that_are_scored(tmp_path):
    path = written(tmp_path, lambda y: y.where(y.index % 2 == 0, ""))
    how = {"protocol": "transductive", "executor": "local", "quiet": True, "out": tmp_path / "run"}
    package.run(path, methods=["coral"], pairs=["a:b"], **how)
    for record in records.read(tmp_path / "run").records:
        with np.load(tmp_path / "run" / "predictions" / f"{record['cell']}.npz") as kept:
            assert sorted(kept["test_rows"]) == list(range(0, 30, 2))
            whole = dict(zip(kept["adapt_rows"].tolist(), kept["adapt_log_scores"].tolist(), strict=True))
            assert sorted(whole) == list(range(30))
            scored = zip(kept["test_rows"].tolist(), kept["test_log_scores"].tolist(), strict=True)
            assert all(whole[row] == scores for row, scores in scored)
        assert record["n_test"] == 15


def test_a_file_without_a_label_column_is_said_to_have_none(tmp_path):
    table(0).to_csv(tmp_path / "a.csv", index=False)
    table(1).drop(columns="y").to_csv(tmp_path / "b.csv", index=False)
    path = tmp_path / "mine.yaml"
    path.write_text("data: {format: csv, domains: {a: a.csv, b: b.csv}}\n")
    with pytest.raises(BadInput, match=r"b.csv: y: missing; say which holds the labels: f0, f1, f2; .* y: none$"):
        planned(path)
    path.write_text("data: {format: csv, domains: {a: a.csv, b: b.csv}, y: {a: y, b: none}}\n")
    _, _, data = planned(path)
    assert data.blind == {"b": "domain b has no label"}
    assert data.domains["b"].X.shape == data.domains["a"].X.shape == (30, 3)
