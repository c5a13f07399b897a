"""Open label sets: what is unknown, who says so, how it is judged, and that nobody is told how much of it is."""

import json

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from tests.test_label_sets import loaded, records, samples, written  # noqa: F401
from zoo.bench.confused import confusions
from zoo.bench.executors.local import Local
from zoo.bench.messages import CHUNKS
from zoo.bench.run import Benchmark
from zoo.discover import methods
from zoo.errors import BadInput
from zoo.kinds import unknown
from zoo.records import read

OPENER = """
import torch
from zoo.adapters.base import Adapter


class Opener(Adapter):
    \"\"\"Says of everything that it is half unknown.\"\"\"

    needs = {"Xs", "ys", "Xt"}
    label_sets = {"open", "universal"}
    family = "feature"
    learner = "base"

    def fit(self, task):
        self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes)
        assert task.columns == task.n_classes + 1 == int(task.ys.max()) + 2
        return self

    def predict(self, X, A=None):
        scores = self.model_.predict(X)
        return torch.cat([scores / 2, torch.full_like(scores[:, :1], 0.5)], 1)
"""


def scored(n=200, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(k, 0.4), n), rng.integers(0, k, n)


# Metrics and the rule -------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_the_field():
    scores, y = scored()
    found, guessed = unknown.metrics(scores, y), scores.argmax(1)
    recall = recall_score(y, guessed, average=None)
    assert found["os"] == pytest.approx(recall.mean())
    assert found["os_star"] == pytest.approx(recall[:3].mean())
    assert found["unk"] == pytest.approx(recall[3])
    assert found["hos"] == pytest.approx(2 / (1 / recall[:3].mean() + 1 / recall[3]))
    assert found["auroc_unknown"] == pytest.approx(roc_auc_score(y == 3, scores[:, 3]))
    assert found["accuracy"] == pytest.approx((guessed == y).mean())
    assert tuple(found) == unknown.METRICS


def test_metrics_are_over_the_classes_that_the_target_has():
    scores, y = scored()
    scores, y = scores[y != 1], y[y != 1]
    recall = recall_score(y, scores.argmax(1), average=None, labels=[0, 2])
    assert unknown.metrics(scores, y)["os_star"] == pytest.approx(recall.mean())
    none = unknown.metrics(scores[y < 3], y[y < 3])
    assert (none["os"], none["unk"], none["hos"], none["auroc_unknown"]) == (None, None, None, None)
    assert unknown.metrics(scores[:0], y[:0]) == dict.fromkeys(unknown.METRICS)
    nothing = np.eye(4)[np.where(y == 3, 0, 3)]
    assert unknown.metrics(nothing, y)["hos"] == 0


def test_the_rule_is_a_quantile_of_the_entropy_on_source_validation():
    (held, _), (test, y) = scored(seed=1, k=3), scored(seed=2, k=3)
    found, limit = unknown.rejected({"validation": held, "test": test})
    assert limit == pytest.approx(np.quantile(entropy(held, axis=1), 0.95))
    h = entropy(test, axis=1)
    np.testing.assert_array_equal(found["test"].argmax(1), np.where(h > limit, 3, test.argmax(1)))
    assert 0 < (h > limit).sum() < len(h)
    np.testing.assert_allclose(found["test"].sum(1), 1)
    # the column orders samples as the entropy does, so that the area is the entropy's
    away = y == 0
    area = unknown.metrics(found["test"], np.where(away, 3, 0))["auroc_unknown"]
    assert area == pytest.approx(roc_auc_score(away, h))
    assert (np.diff(found["test"][np.argsort(h), 3]) >= 0).all()


@pytest.mark.parametrize("k", [2, 3, 50])
def test_scores_at_the_edges_of_the_rule(k):
    uniform, sure = np.full((1, k), 1 / k), np.eye(k)[:1]
    most = float(np.log(k))
    assert unknown.extended(uniform, most * 2).argmax() < k  # not above the limit, though nothing is less sure
    assert unknown.extended(uniform, 0.9 * most).argmax() == k
    assert unknown.extended(sure, 0.0).argmax() == 0
    assert unknown.extended(np.concatenate([uniform, sure]), 0.0).argmax(1).tolist() == [k, 0]


# A run ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def opener(tmp_path):
    path = tmp_path / "opener.py"
    path.write_text(OPENER)
    return path


def test_closed_and_open_methods_stand_in_one_table(zoo, written, opener, tmp_path):  # noqa: F811
    more = "label_sets: universal\npairs: ['a:b', 'c:b']\n"
    suite = written(more, a="ABCF", b="ABDE", c="BDF", n=40)
    asked = ("--methods", "dummy,source_only,coral,target_only,joint,opener", "--plugin", opener, "--out", "run")
    done = zoo("run", suite, *asked, "--executor", "local")
    assert done.code == 0, done.err
    assert "mine: hos in %" in done.out
    assert "Label sets: universal. Classes of a:b: shared 2, source only 2, target only 2; c:b: shared 2, " in done.out
    assert "unknown is what has an entropy above the .95 quantile of source validation" in done.out
    found, (_, data, drawn) = records(tmp_path / "cwd" / "run"), loaded(suite)
    pair = drawn.pair("a", "b", 0)
    assert unknown.names(data, "a") == ["A", "B", "C", "F", "unknown"]
    assert unknown.names(data, "c") == ["B", "D", "F", "unknown"]
    assert set(pair.y_test) == {0, 1, 4}
    assert set(drawn.pair("c", "b", 0).y_test) == {0, 1, 3}

    # source_only, from its samples alone
    Xs, held, test = (X.astype(float) for X in (pair.fields["Xs"], pair.validation, pair.test))
    model = LogisticRegression(max_iter=1000).fit(Xs, pair.fields["ys"])
    limit = np.quantile(entropy(model.predict_proba(held), axis=1), 0.95)
    said = model.predict_proba(test)
    expected = np.where(entropy(said, axis=1) > limit, 4, said.argmax(1))
    record = found["source_only", "a", "b"]
    with np.load(f"run/predictions/{record['cell']}.npz") as kept:
        np.testing.assert_array_equal(kept["test_predicted"], expected)
        assert kept["test_log_scores"].shape[1] == 5
    assert record["certificate"]["rejected_above"] == pytest.approx(limit, abs=1e-6)
    recall = recall_score(pair.y_test, expected, average=None, labels=[0, 1, 4])
    assert record["metrics"]["hos"] == pytest.approx(2 / (1 / recall[:2].mean() + 1 / recall[2]))
    assert record["metrics"]["auroc_unknown"] == pytest.approx(roc_auc_score(pair.y_test == 4, entropy(said, axis=1)))

    # who sees the labels knows what is unknown; who says it itself is not overruled
    for method in ("target_only", "joint"):
        assert found[method, "a", "b"]["metrics"]["hos"] > 0.9
        assert "rejected_above" not in found[method, "a", "b"]["certificate"]
    assert "rejected_above" not in found["opener", "a", "b"]["certificate"]
    assert found["opener", "a", "b"]["metrics"]["unk"] == 1.0
    assert found["dummy", "a", "b"]["metrics"]["unk"] == 0.0  # of one entropy for all nothing is above

    # and what reads the run
    lines = zoo("predict", "run", "--method", "source_only", "--pair", "a:b").out.splitlines()
    assert lines[0].split(",")[-2:] == ["score_unknown", "seeds"]
    assert any(",unknown," in line for line in lines[1:])
    counts, why = confusions(tmp_path / "cwd" / "run", read(tmp_path / "cwd" / "run"))
    assert not why
    names, at = counts[record["cell"]]
    assert names == ("A", "B", "C", "F", "unknown")
    right = sum(n for i, j, n in at if i == j)
    assert right == (pair.y_test == expected).sum()


def test_a_network_rejects_by_the_same_rule_and_an_oracle_of_its_features_runs(written, tmp_path):  # noqa: F811
    path = written("label_sets: open\npairs: ['a:b']\nsteps: 5\nfeatures: source\n", a="AB", b="ABC")
    run = Benchmark(path, methods=["source_only", "dann", "coral", "joint"], out=tmp_path / "run", executor="local")
    run.run()
    found = records(tmp_path / "run")
    assert {r["status"] for r in found.values()} == {"ok"}, found
    assert found["dann", "a", "b"]["certificate"]["rejected_above"] > 0
    assert "rejected_above" not in found["joint", "a", "b"]["certificate"]


def test_without_source_validation_the_rule_is_by_source_samples_out_of_fold(zoo, written, tmp_path):  # noqa: F811
    suite = written("label_sets: open\nprotocol: transductive\npairs: ['a:b']\nsteps: 5\n", a="AB", b="ABC", n=40)
    asked = ("--methods", "source_only,coral,dann,target_only", "--executor", "local", "--out", "run")
    done = zoo("run", suite, *asked, "--keep", "model")
    assert done.code == 0, done.err
    assert "the .95 quantile of source samples, each by a fit without its fold, one of 5" in done.out
    found, (_, _, drawn) = records(tmp_path / "cwd" / "run"), loaded(suite)
    pair = drawn.pair("a", "b", 0)
    Xs, ys = pair.fields["Xs"].astype(float), pair.fields["ys"]
    model = LogisticRegression(max_iter=1000)
    held = cross_val_predict(model, Xs, ys, cv=PredefinedSplit(pair.source_folds), method="predict_proba")
    limit = np.quantile(entropy(held, axis=1), 0.95)
    said = model.fit(Xs, ys).predict_proba(pair.test.astype(float))
    expected = np.where(entropy(said, axis=1) > limit, 2, said.argmax(1))
    record = found["source_only", "a", "b"]
    with np.load(f"run/predictions/{record['cell']}.npz") as kept:
        np.testing.assert_array_equal(kept["test_predicted"], expected)
        assert not [name for name in kept if "fold" in name or "validation" in name]
    assert record["certificate"]["rejected_above"] == pytest.approx(limit, abs=1e-6)
    assert len(record["models_sha256"]) == 1
    for method in ("coral", "dann"):
        assert found[method, "a", "b"]["certificate"]["rejected_above"] > 0
    network = [r for r in read("run").records if r["method"] == "source_only" and r["learner"] == "mlp"]
    assert network[0]["certificate"]["rejected_above"] > 0
    assert "rejected_above" not in found["target_only", "a", "b"]["certificate"]


def test_what_cannot_reject_is_unsupported_in_a_line(written, opener):  # noqa: F811
    more = "label_sets: open\nprotocol: transductive\npairs: ['a:b']\n"
    made, _, _ = loaded(written(more, a="AB", b="ABC"))
    known = methods([opener])
    why = "rejects by its entropy on source samples out of fold, all of which its source model has seen"
    assert made.kind.refusal(made, known["t3a"]) == why
    assert made.kind.refusal(made, known["opener"]) == made.kind.refusal(made, known["coral"]) == ""
    seen, _, _ = loaded(written(more + "features: source\n", a="AB", b="ABC"))
    assert seen.kind.refusal(seen, known["coral"]) == why
    closed, _, _ = loaded(written(a="AB", b="AB"))
    assert closed.kind.refusal(closed, known["opener"]) == "is for label sets that are open or universal, not closed"
    assert "reject" not in closed.cell_keys(net=True, base=True)
    assert closed.cell_keys(net=True, base=True)["label_sets"] == "closed"
    with pytest.raises(BadInput, match="--validators: they judge scores of known classes, not label_sets: open"):
        Benchmark(written("label_sets: open\npairs: ['a:b']\n", a="AB", b="ABC"), validators=["entropy"])


# Nobody is told -------------------------------------------------------------------------------------------------------


def bones(value):
    """What a message says, arrays by their types and shapes."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape
    if isinstance(value, dict):
        return {k: bones(v) for k, v in sorted(value.items())}
    return [bones(v) for v in value] if isinstance(value, list | tuple) else repr(value)


def test_no_message_tells_how_many_samples_are_unknown(tmp_path, opener):
    """Of 140 target samples 60 are unknown, or 40; all that any worker is sent is the same but for the samples."""
    said, amounts = [], []
    for i, classes in enumerate(("CDF", "CDE")):  # E is the source's, and C, D and F are nobody's
        folder = tmp_path / str(i)
        folder.mkdir()
        parts = [samples("AB", n=40), samples(classes, n=20)]
        X, y = (np.concatenate(p) for p in zip(*parts, strict=True))
        np.savez(folder / "t.npz", X=X, y=y)
        np.savez(folder / "s.npz", **dict(zip("Xy", samples("ABE"), strict=True)))
        keys = {"label_sets": "universal", "pairs": ["s:t"], "seeds": 2, "steps": 2, "name": "mine"}
        keys |= {"data": {"format": "npz", "domains": {d: str(folder / f"{d}.npz") for d in "st"}}}
        (folder / "mine.yaml").write_text(json.dumps(keys))
        sent = []

        class Spy(Local):
            def open(self, stranger=False, sent=sent):
                channel = super().open(stranger)
                send = channel.send
                channel.send = lambda message: (sent.append(message), send(message))[1]
                return channel

        asked = ["dummy", "source_only", "coral", "dann", "shot", "opener", "osbp", "ovanet", "dance", "uan"]
        asked += ["unida_ot", "glc"]
        run = Benchmark(
            folder / "mine.yaml",
            methods=asked,
            plugins=[opener],
            out=folder / "run",
            executor="local",
            keep=["features"],
        )
        run.executor = Spy(1)
        found = run.run().frame()
        assert (found.status == "ok").all(), set(found.reason)
        pair = run.suite.kind.draws(run.suite, run.data).pair("s", "t", 0)
        amounts.append(int((pair.y_test == 3).sum()))
        assert all(m["arrays"]["ys"].max() == 2 for m in sent if "ys" in m["arrays"] and m["arrays"]["ys"] is not None)
        # A stranger's test rows come in chunks of random sizes; that all are as many is seen in those of the others.
        chunks = [m for m in sent if m["op"] == "predict" and [*m["arrays"]] == ["test"]]
        said.append(sorted(json.dumps(bones(m)) for m in sent if not any(m is chunk for chunk in chunks)))
        assert len(chunks) == 2 * CHUNKS
    assert amounts == [12, 8]
    assert said[0] == said[1]
