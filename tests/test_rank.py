"""``zoo rank``: the command, its correlations, what it reads, and that every score prefers the nearer source."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from zoo.bench import suite
from zoo.kinds.base import Data
from zoo.kinds.samples import Protocol
from zoo.measure import rank
from zoo.report import rank as report
from zoo.task import Domain

PAIRS = "amazon:webcam,caltech:webcam,dslr:webcam,webcam:dslr,amazon:dslr,caltech:dslr,webcam:amazon"


def toy(seed, n=400, classes=4):
    """A target, and sources whose class means turn away from its own into dimensions where it has only noise."""
    rng = np.random.default_rng(seed)
    own, away = np.zeros((2, classes, 8))
    own[:, :4], away[:, 4:] = 3 * np.eye(classes), 3 * np.eye(classes)
    domains = {}
    for name, angle in {"target": 0.0, "far": 1.3, "near": 0.2, "between": 0.8}.items():
        y = np.arange(n) % classes
        means = math.cos(angle) * own + math.sin(angle) * away
        X = (means[y] + rng.normal(size=(n, 8)) + angle).astype(np.float32)
        domains[name] = Domain.build(name, X, y, list("abcd"))
    return Data(domains, list("abcd"))


def asked(**update):
    return suite.load("office_caltech_holdout", {}).model_copy(update=update)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("normalise", [(), ("zscore",)])
def test_every_score_ranks_the_nearer_source_first(seed, normalise):
    pairs = [("far", "target"), ("near", "target"), ("between", "target")]
    rows = report._ranked(rank.score(asked(normalise=normalise), toy(seed), pairs, 0))
    assert [row["source"] for row in rows] == ["near", "between", "far"]
    assert [set(row["ranks"].values()) for row in rows] == [{1}, {2}, {3}]


@pytest.mark.parametrize("normalise", [(), ("l1", "zscore")])
def test_target_test_rows_are_not_read(monkeypatch, normalise):
    """Neither samples nor labels; the split, which is drawn from all labels, is held where it was."""
    data, pairs, made = toy(0), [("near", "target")], asked(normalise=normalise)
    kept = {name: Protocol.adapt_rows(made, d, 3) for name, d in data.domains.items()}
    before = rank.score(made, data, pairs, 3)
    assert before != rank.score(made, data, pairs, 4)  # another split
    monkeypatch.setattr(Protocol, "adapt_rows", staticmethod(lambda suite, d, seed: kept[d.name]))
    monkeypatch.setattr("zoo.kinds._rows.adapt_rows", lambda suite, d, seed: kept[d.name])
    target = data.domains["target"]
    held = np.setdiff1d(np.arange(len(target.y)), kept["target"])
    assert len(held) == 80
    X, y = target.X.copy(), target.y.copy()
    X[held], y[held] = np.nan, (y[held] + 1) % 4
    changed = replace(data, domains={**data.domains, "target": replace(target, X=X, y=y)})
    assert rank.score(made, changed, pairs, 3) == before
    y[kept["target"]] = np.roll(y[kept["target"]], 1)  # the labels that are read do count, but for the A-distance
    changed = replace(data, domains={**data.domains, "target": replace(target, y=y)})
    (row,), (old,) = rank.score(made, changed, pairs, 3), before
    assert {key for key in row if row[key] != old[key]} == {"leep", "nce", "log_me", "h_score"}


@pytest.mark.parametrize("seed", range(5))
def test_spearman_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 6, 12).tolist(), rng.integers(0, 6, 12).tolist()  # with ties
    assert report.spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    assert report.spearman(x[:2], y[:2]) is None
    assert report.spearman([1, 1, 1], [1, 2, 3]) is None


# The command


@pytest.fixture
def ran(zoo, suite_file, tmp_path):
    """A run of the tiny suite, over pairs of which two targets have three sources and one has one."""
    out = tmp_path / "run"
    methods = "source_only,coral,label_propagation"
    assert zoo("run", "../tiny.yaml", "--pairs", PAIRS, "--methods", methods, "--out", out).code == 0
    return out


def test_correlations_are_those_of_scipy_over_the_frame(zoo, ran):
    from zoo import records
    from zoo.report.frame import frame

    done = zoo("rank", "../tiny.yaml", "--pairs", PAIRS, "--run", ran, "--json")
    assert (done.code, done.err) == (0, "")
    rows, table = done.json["rows"], frame(records.read(ran))
    wide = table.pivot_table(index=["source", "target"], columns="method", values="accuracy")
    free = wide[["coral", "label_propagation"]]
    expected = {
        "source_only (1nn)": wide.source_only,
        "coral (1nn)": wide.coral,
        "label_propagation (1nn)": wide.label_propagation,
        "best of 2 unsupervised (1nn)": free.max(axis=1),
        "mean of 2 unsupervised (1nn)": free.mean(axis=1),
    }
    correlations = {row["achieved"]: row for row in done.json["correlations"]}
    assert correlations.keys() == expected.keys()
    checked = 0
    for name, values in expected.items():
        found = correlations[name]
        assert (found["targets"], found["pairs"]) == (2, 7)
        for score in report.SCORES:
            sign = -1 if score == "proxy_a" else 1

            def rho(some, score=score, sign=sign, values=values):
                reached = [values[r["source"], r["target"]] for r in some]
                if len(set(reached)) == 1:
                    return None
                return spearmanr([sign * r[score] for r in some], reached).statistic

            within = [rho([r for r in rows if r["target"] == t]) for t in ("webcam", "dslr")]
            within = [v for v in within if v is not None]
            checked += len(within)
            assert found["scores"][score]["within"] == (pytest.approx(np.mean(within)) if within else None)
            assert found["scores"][score]["all"] == pytest.approx(rho(rows))
    assert checked > 10


def test_table_and_files(zoo, ran, tmp_path):
    names = ["far.md", "far.json", "far.csv"]
    outs = [part for name in names for part in ("--out", tmp_path / name)]
    done = zoo("rank", "../tiny.yaml", "--pairs", PAIRS, "--run", ran, *outs)
    assert done.code == 0
    assert (tmp_path / "far.md").read_text() == done.out
    found = json.loads((tmp_path / "far.json").read_text())
    assert found["reads_target_labels"] == ["leep", "nce", "log_me", "h_score"]
    rows = found["rows"]
    targets = [row["target"] for row in rows]
    assert targets == sorted(targets, key=targets.index)  # those of one target stand together
    for row in rows:
        rivals = [r for r in rows if r["target"] == row["target"]]
        assert row["ranks"]["leep"] == 1 + sum(r["leep"] > row["leep"] for r in rivals)
        assert row["ranks"]["proxy_a"] == 1 + sum(r["proxy_a"] < row["proxy_a"] for r in rivals)
    means = [np.mean(list(row["ranks"].values())) for row in rows]
    assert all(a <= b for a, b, s, t in zip(means, means[1:], targets, targets[1:], strict=False) if s == t)
    lines = list(csv.DictReader(io.StringIO((tmp_path / "far.csv").read_text())))
    assert [(x["source"], x["target"], float(x["leep"])) for x in lines] == [
        (r["source"], r["target"], r["leep"]) for r in rows
    ]
    assert [float(x["coral (1nn)"]) for x in lines] == [
        found["achieved"]["coral (1nn)"]["pairs"][f"{r['source']}:{r['target']}"] for r in rows
    ]
    assert "LEEP*" in done.out
    assert "reads target labels" in done.out
    assert "the base learner, 1nn, gives no probabilities" in done.out
    assert zoo("rank", "../tiny.yaml", "--pairs", PAIRS, "--run", ran).out == done.out


def test_fewer_than_three_sources_are_not_available(zoo, ran):
    pairs = "amazon:webcam,dslr:webcam"
    done = zoo("rank", "../tiny.yaml", "--pairs", pairs, "--run", ran)
    assert done.out.count("n/a / n/a") == 5 * 5
    whole = zoo("rank", "../tiny.yaml", "--pairs", PAIRS, "--json").json["rows"]
    part = zoo("rank", "../tiny.yaml", "--pairs", pairs, "--json").json["rows"]
    for row in part:  # scores of a pair do not depend on which others were asked for
        (same,) = [r for r in whole if (r["source"], r["target"]) == (row["source"], row["target"])]
        assert {**same, "ranks": 0} == {**row, "ranks": 0}


def test_a_pair_and_its_reverse_are_equally_far_apart(zoo, suite_file):
    there, back = zoo("rank", "../tiny.yaml", "--json").json["rows"]
    assert there["proxy_a"] == back["proxy_a"] > 0
    assert there["leep"] != back["leep"]


def test_the_default_run_is_that_of_the_suite(zoo, suite_file):
    done = zoo("rank", "../tiny.yaml")
    assert (done.code, done.err) == (0, "")
    assert "no run in runs/tiny" in done.out
    assert "Spearman" not in done.out
    zoo("run", "../tiny.yaml", "--methods", "coral")
    done = zoo("rank", "../tiny.yaml")
    assert "no run in" not in done.out
    assert "coral (1nn)" in done.out


def test_quickstart_needs_no_data_root(zoo):
    done = zoo("rank", "quickstart", "--json")
    assert [(r["source"], r["target"], r["n"]) for r in done.json["rows"]] == [
        ("optdigits", "typeface", [1438, 1440]),
        ("typeface", "optdigits", [1440, 1438]),
    ]
    assert all(set(r["ranks"].values()) == {1} for r in done.json["rows"])
    assert all(-math.log(10) < r["leep"] < 0 for r in done.json["rows"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--out", "far.png"], "--out far.png: its ending"),
        (["--out", "none/far.md"], "there is no folder none"),
        (["--pairs", "amazon:moon"], "moon"),
        (["--data-root", "nowhere"], "is not there"),
        (["--run", "nowhere"], "nowhere: no run here"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(zoo, suite_file, tmp_path, options, says):
    done = zoo("rank", "../tiny.yaml", *options)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not list((tmp_path / "cwd").iterdir())


def test_features_of_a_trained_network_are_refused(zoo):
    done = zoo("rank", "digits")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "features: source" in done.err


def test_a_run_of_other_data_is_refused(zoo, ran, write_surf, tmp_path):
    other = write_surf(tmp_path / "other", per_class=5)
    done = zoo("rank", "../tiny.yaml", "--run", ran, "--data-root", other)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "held other data" in done.err
    done = zoo("rank", "quickstart", "--run", ran)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "a run of office_caltech, not of digits8" in done.err


def test_a_run_under_another_protocol_is_noted(zoo, ran, suite_file):
    suite_file.write_text(suite_file.read_text().replace("transductive", "holdout"))
    done = zoo("rank", "../tiny.yaml", "--run", ran)
    assert done.code == 0
    assert "the run differs from what was scored in protocol: transductive, not holdout" in done.out


def test_an_unfinished_method_is_in_no_mean(zoo, ran):
    from zoo import records

    run = records.read(ran)
    cell = next(r for r in run.records if r["method"] == "coral" and r["target"] == "webcam")
    cell["status"] = "failed"
    achieved, left_out = report._achieved(run, [tuple(pair.split(":")) for pair in run.meta["pairs"]])
    assert left_out == ["coral (1nn)"]
    assert len(achieved["coral (1nn)"][1]) == 6
    assert achieved["mean of 1 unsupervised (1nn)"][1] == achieved["label_propagation (1nn)"][1]


# Real data


def test_office_caltech(zoo, office_caltech):
    done = zoo("rank", "office_caltech", "--data-root", office_caltech, "--json", "--pairs",
               "dslr:webcam,amazon:webcam,caltech:webcam")  # fmt: skip
    first = done.json["rows"][0]
    assert (first["source"], set(first["ranks"].values())) == ("dslr", {1})

    def read(stem):
        raw = loadmat(office_caltech / f"office_caltech/{stem}_SURF_L10.mat")
        X, y = raw["fts"].astype(float), raw["labels"].ravel()
        X = X / X.sum(1, keepdims=True)
        return (X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1), y

    (Xs, ys), (Xt, yt) = read("dslr"), read("webcam")
    P = LogisticRegression(C=1.0, max_iter=1000).fit(Xs, ys).predict_proba(Xt)
    joint = np.stack([P[yt == c].sum(0) for c in range(1, 11)])
    given = joint / joint.sum(0)
    expected = np.mean([math.log(given[c - 1] @ p) for c, p in zip(yt, P, strict=True)])
    assert first["leep"] == pytest.approx(expected, abs=1e-4)
