"""Regression: values in place of classes, in the harness, the plan, the tables and the contract tests."""

import json

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

import zoo
from zoo import discover
from zoo.adapters.feature.dare_gram import gram_gap
from zoo.adapters.instance.tradaboost_r2 import TradaboostR2, weighted_median
from zoo.bench import plan, suite
from zoo.errors import BadInput
from zoo.task import Task
from zoo.tasks.regression import Regression


def run(tmp_path, text, **how):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return zoo.run(str(path), executor="local", out=tmp_path / "run", **how)


def csv(path, X, y):
    np.savetxt(path, np.c_[X, y], delimiter=",", header="f0,f1,f2,y", comments="")


@pytest.fixture
def ages(tmp_path):
    """As case 25: a whole-numbered quantity from 20 to 79."""
    for i, name in enumerate("ab"):
        rng = np.random.default_rng(i)
        X = rng.normal(size=(300, 3))
        rank = X.sum(1).argsort().argsort()
        csv(tmp_path / f"{name}.csv", X, (20 + 60 * rank / 300).astype(int).clip(20, 79))
    return "data: {format: csv, domains: {a: a.csv, b: b.csv}}\nmethods: [source_only]\nseeds: 1\n"


def test_metrics_are_scikit_learns():
    rng = np.random.default_rng(0)
    y, found = rng.normal(size=50), rng.normal(size=(50, 1))
    got = Regression().metrics(found, y)
    assert got["mae"] == pytest.approx(mean_absolute_error(y, found))
    assert got["rmse"] == pytest.approx(root_mean_squared_error(y, found))
    assert got["r2"] == pytest.approx(r2_score(y, found))
    assert Regression().metrics(found, np.ones(50))["r2"] is None


def test_the_harness_gives_what_scikit_learn_gives_by_hand(tmp_path):
    """Ridge on z-scores of the source, on the harness's own rows, with the values of the file."""
    text = "dataset: diabetes\ntask: regression\nnormalise: [zscore]\nnormalise_by: source\nmethods: [source_only]\n"
    found = run(tmp_path, text, seeds=2, pairs=["low_bmi:high_bmi"])
    frame = found.frame().set_index(["method", "seed"])
    X, y = load_diabetes(return_X_y=True)
    low, high = X[:, 2] <= np.median(X[:, 2]), X[:, 2] > np.median(X[:, 2])
    for seed in (0, 1):
        cell = frame.loc["source_only", seed].cell
        kept = np.load(found.folder / "predictions" / f"{cell}.npz")
        train = np.setdiff1d(np.arange(low.sum()), kept["validation_rows"])
        Xs, ys = X[low][train], y[low][train]
        mean, std = Xs.mean(0), Xs.std(0)
        by_hand = Ridge(1.0).fit((Xs - mean) / std, ys).predict((X[high][kept["test_rows"]] - mean) / std)
        assert kept["test_predicted"] == pytest.approx(by_hand, rel=1e-4)
        assert frame.loc["source_only", seed].mae == pytest.approx(
            np.abs(by_hand - y[high][kept["test_rows"]]).mean(), rel=1e-4
        )
    table = found.table("md", cost=False)
    assert "mae, n = 2 seeds" in table
    assert "classes" not in table


def test_what_a_fit_saw_is_kept_of_values_too(tmp_path):
    """Features and what is said of the training part, which by hand is ridge's; mixtures are of classes."""
    for i, name in enumerate("ab"):
        X = np.random.default_rng(i).normal(size=(40, 3))
        csv(tmp_path / f"{name}.csv", X, X @ [100, 10, 1] + 0.1 * np.cos(np.arange(40)))
    text = "data: {format: csv, domains: {a: a.csv, b: b.csv}}\ntask: regression\nseeds: 1\npairs: ['a:b']\n"
    found = run(tmp_path, text + "methods: [source_only, kmm]\n", keep=["features"])
    assert found.frame().status.tolist() == ["ok", "ok"]
    cell = found.frame().set_index("method").cell["source_only"]
    kept = np.load(found.folder / "features" / f"{cell}.npz")
    assert not [k for k in kept if k.startswith("mixed")]
    X, said = kept["train_features"], kept["train_scores"][:, 0]
    assert np.corrcoef(X @ [100, 10, 1], said)[0, 1] > 0.99
    notes = json.loads(found.table("json"))["notes"]
    assert not [n for n in notes if "the label again" in n]  # each sample has a value of its own


def test_target_only_never_sees_labels_of_the_test(tmp_path):
    """Its scale is that of the adapt part's labels: with those of the test changed, it predicts the same."""
    s = suite.load("diabetes", {})
    data = s.kind.load(s, [("low_bmi", "high_bmi")], None)
    pair = s.kind.draws(s, data).pair(None, "high_bmi", 0)
    y = pair.oracle["yt"]
    assert (y.mean(), y.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    assert pair.scale[0] != pytest.approx(data.domains["high_bmi"].y.mean(), abs=1e-3)
    sourced = s.kind.draws(s, data).pair("low_bmi", "high_bmi", 0)
    assert sourced.fields["ys"].mean() == pytest.approx(0, abs=1e-5)
    assert sourced.oracle["yt"].mean() != pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize("form", ["npz", "csv"])
def test_real_values_as_classes_suggest_regression_and_run_as_that(tmp_path, form):
    for i, name in enumerate("ab"):
        X = np.random.default_rng(i).normal(size=(60, 3))
        y = (X.sum(1) + i).round(2)
        csv(tmp_path / f"{name}.csv", X, y) if form == "csv" else np.savez(tmp_path / f"{name}.npz", x=X, y=y)
    text = f"data: {{format: {form}, domains: {{a: a.{form}, b: b.{form}}}}}\nmethods: [source_only, coral]\nseeds: 1\n"
    with pytest.raises(
        BadInput,
        match=r"domains: [ab]: .*: y: the labels are real numbers, such as .*; task: regression predicts",
    ):
        run(tmp_path, text)
    assert not (tmp_path / "run").exists()
    assert run(tmp_path, text + "task: regression\n").frame().set_index("method").mae["source_only"].max() < 1.2


def test_a_quantity_in_whole_numbers_is_noted(tmp_path, ages):
    table = run(tmp_path, ages).table("md")
    assert "whole numbers from 20 to 79, a class each: if that is a quantity, say task: regression" in table


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("task: regresion\n", "unknown task 'regresion': did you mean 'regression'"),
        ("task: regression\nbase: logistic\n", "base: logistic: task: regression has ridge, knn"),
        ("base: ridge\n", "base: ridge: task: classification has logistic, 1nn, knn, linear_svm, svc"),
    ],
)
def test_what_no_task_has_is_refused(tmp_path, text, says):
    with pytest.raises(BadInput, match=says):
        run(tmp_path, "dataset: diabetes\n" + text)


def test_labels_that_are_no_numbers_are_one_line(tmp_path, ages):
    (tmp_path / "b.csv").write_text("f0,f1,f2,y\n1,2,3,old\n2,3,4,5\n")
    with pytest.raises(BadInput, match=r"domains: b: .*b.csv: y: row 0: expected a finite number, got 'old'"):
        run(tmp_path, ages + "task: regression\n")


def test_what_a_method_cannot_predict_is_unsupported_in_the_plan(tmp_path):
    s = suite.load("diabetes", {"labels": 5})
    known = discover.methods()
    data = s.kind.load(s, plan.parse_pairs(s), None)
    built = plan.build(s, plan.parse_rows(s, known, []), plan.parse_pairs(s), data)
    left = {u["label"]: u["reason"] for u in built.unsupported}
    assert left["cdan"] == left["bbse"] == left["tradaboost"] == "has no rule for regression"
    ran = {c.row.label for c in built.cells}
    assert {"kmm", "coral", "dann", "tradaboost_r2", "dare_gram", "joint", "target_only"} <= ran
    assert all("regression" in known[name].tasks for name in ran)


def test_label_sets_and_tasks_are_literals_that_the_plan_reads(tmp_path):
    method = (
        'from zoo.adapters.base import Mapping\n\n\nclass Opener(Mapping):\n    """A."""\n\n    label_sets = {%r}\n'
    )
    (tmp_path / "opener.py").write_text(method % "open")
    info = discover.methods([tmp_path / "opener.py"])["opener"]
    assert (info.label_sets, info.tasks, info.stream) == ({"open"}, {"classification", "regression"}, False)
    s = suite.load("diabetes", {})
    assert s.kind.refusal(s, info) == "is for label sets that are open, not closed"
    (tmp_path / "opener.py").write_text(method % "opne")
    with pytest.raises(BadInput, match=r"opener.py:7: label_sets: unknown name 'opne': did you mean 'open'"):
        discover.methods([tmp_path / "opener.py"])


def by_hand_tradaboost_r2(Xs, ys, Xl, yl, X, rounds):
    """Pardoe and Stone (2010), TrAdaBoost.R2, written from the paper's figure, sample by sample."""
    A, b, n = np.r_[Xs, Xl], np.r_[ys, yl], len(Xs)
    w, models, betas = np.full(len(A), 1 / len(A)), [], []
    for _ in range(rounds):
        w = w / w.sum()
        models.append(Ridge(1.0).fit(A, b, sample_weight=w * len(w)))
        e = np.abs(models[-1].predict(A) - b)
        e = e / e.max()
        error = sum(w[i] * e[i] for i in range(n, len(A))) / w[n:].sum()
        betas.append(error / (1 - error))
        beta = 1 / (1 + np.sqrt(2 * np.log(n) / rounds))
        w = np.array([w[i] * (beta ** e[i] if i < n else betas[-1] ** -e[i]) for i in range(len(A))])
    said = []
    for x in X:
        votes = sorted(
            (m.predict(x[None])[0], np.log(1 / v)) for m, v in list(zip(models, betas, strict=True))[rounds // 2 :]
        )
        half, total = sum(v for _, v in votes) / 2, 0.0
        for value, vote in votes:
            total += vote
            if total >= half:
                said.append(value)
                break
    return np.array(said)


@pytest.mark.reference(
    method="tradaboost_r2",
    source="Pardoe and Stone 2010, algorithm 3",
    compared="values of the target after six rounds, by a loop over samples",
    differs="the base learner is the suite's",
)
def test_tradaboost_r2_is_the_papers():
    rng = np.random.default_rng(0)
    Xs, Xl, X = rng.normal(size=(80, 4)), rng.normal(size=(20, 4)), rng.normal(size=(15, 4))
    ys, yl = Xs @ [1, 2, 0, 0] + 0.3 * rng.normal(size=80), Xl @ [1, 0, 2, 0] + 0.3 * rng.normal(size=20)
    task = Task.from_arrays(Xs, ys, X, Xl, yl, task="regression")
    got = TradaboostR2(rounds=6).fit(task).predict(task.Xt)[:, 0].numpy()
    assert got == pytest.approx(by_hand_tradaboost_r2(Xs, ys, Xl, yl, X, 6), abs=1e-4)
    plain = Ridge(1.0).fit(np.r_[Xs, Xl], np.r_[ys, yl]).predict(X)
    assert np.abs(got - plain).max() > 0.05  # it does something


def test_weighted_median():
    values = torch.tensor([[1.0, 2.0, 3.0], [9.0, 8.0, 7.0]])
    assert weighted_median(values, torch.tensor([1.0, 1.0, 3.0])).tolist() == [3.0, 7.0]
    assert weighted_median(values, torch.tensor([1.0, 1.0, 1.0])).tolist() == [2.0, 8.0]


@pytest.mark.reference(
    method="dare_gram",
    source="Nejjar et al. 2023, eq. 9 to 13; ismailnejjar/DARE-GRAM",
    compared="Ω by NumPy's pseudo-inverses",
    differs="nothing known",
)
def test_dare_gram_is_the_papers():
    """The authors' formulas, on the Gram matrices themselves, with numpy."""
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(20, 6)) * [5, 4, 3, 1, 0.5, 0.1], rng.normal(size=(20, 6)) * [5, 1, 3, 2, 0.5, 0.1]
    for threshold in (0.6, 0.9):
        G = [np.c_[np.ones(20), X].T @ np.c_[np.ones(20), X] for X in (A, B)]
        L = [np.linalg.svd(g, compute_uv=False) for g in G]
        share = [np.cumsum(values) / values.sum() for values in L]
        k = max(np.flatnonzero(s <= max(s[1], threshold))[-1] for s in share)
        P = [np.linalg.pinv(g, rcond=(values[k] / values[0]) * 1.0003) for g, values in zip(G, L, strict=True)]
        cos = (P[0] * P[1]).sum(0) / (np.linalg.norm(P[0], axis=0) * np.linalg.norm(P[1], axis=0))
        angle, scale = gram_gap(torch.tensor(A).float(), torch.tensor(B).float(), threshold)
        assert float(angle) == pytest.approx(np.abs(1 - cos).sum() / 7, abs=1e-3)
        assert float(scale) == pytest.approx(np.linalg.norm(L[0][:k] - L[1][:k]) / k, rel=1e-4)


def test_the_command_runs_the_suite_without_a_network(zoo, tmp_path):
    what = ["run", "diabetes", "--methods", "dummy,kmm,dare_gram", "--seeds", 1, "--steps", 20]
    done = zoo(*what, "--workers", 1, "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    said = done.json["table"]
    assert said["metric"] == "mae"
    assert {r["method"] for r in said["rows"]} >= {"dummy", "kmm", "dare_gram", "source_only"}
    assert all(0 < r["cells"]["average"]["value"] < 150 for r in said["rows"])
