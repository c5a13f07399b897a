"""The estimators of `zoo.estimator` beside the harness: same splits, same scores, bit for bit."""

import numpy as np
import pytest

import zoo
from zoo.bench import execute
from zoo.bench.run import Benchmark

DETERMINISTIC = ["source_only", "coral", "subspace_alignment", "kmm", "label_propagation", "easytl", "ot_linear"]
FROM_NET = {"source_only": {"learner": "net"}, "dann": {}, "shot": {}, "fine_tune": {}, "mcc": {}}


@pytest.fixture
def harness(surf, tmp_path, monkeypatch):
    """Run cells in the harness; gives the pair that it drew and the scores that it got, by (method, use)."""

    def call(methods, **keys):
        got = {}
        given = {"dataset": "office_caltech", "pairs": ["amazon:webcam"], "seeds": 2, "methods": methods} | keys
        benchmark = Benchmark(given, data_root=surf, executor="local", workers=1, out=tmp_path / "run")
        draws = benchmark.suite.kind.draws(benchmark.suite, benchmark.data)
        finish = execute.Driver._finish

        def finishing(self, slot, status, reason):
            cell = slot.job.cell
            if not slot.job.makes:
                assert status == "ok", reason
                got[cell.row.label, cell.use, cell.seed, "Xl" in cell.grant] = slot.job.scores[0]
            return finish(self, slot, status, reason)

        monkeypatch.setattr(execute.Driver, "_finish", finishing)
        benchmark.run()
        return draws, got, benchmark

    return call


def test_deterministic_methods_give_the_harness_scores_bit_for_bit(harness):
    draws, got, benchmark = harness(DETERMINISTIC, base="logistic", normalise=["zscore"])
    classes = np.array(benchmark.data.classes)
    for seed in (0, 1):
        pair = draws.pair("amazon", "webcam", seed, base=True)
        f = pair.fields
        for name in DETERMINISTIC:
            e = zoo.estimator(name, seed=seed).fit(f["Xs"], classes[f["ys"]], f["Xt"])
            scores = got[name, "base", seed, False]["test"]
            ours = e.predict_proba(pair.test)[:, np.searchsorted(e.classes_, classes)]
            np.testing.assert_array_equal(ours, scores, err_msg=name)
            assert (e.predict(pair.test) == classes[scores.argmax(1)]).all()
            where = np.repeat(["source"], len(pair.validation))
            held = e.predict_proba(pair.validation, domain=where)[:, np.searchsorted(e.classes_, classes)]
            np.testing.assert_array_equal(held, got[name, "base", seed, False]["validation"], err_msg=name)


def test_networks_of_one_seed_and_budget_give_the_harness_scores(harness):
    budget = {"steps": 20, "batch_size": 16}
    draws, got, _ = harness(list(FROM_NET), labels=2, **budget)
    seen = set()
    for (name, use, seed, few), scores in got.items():
        if use != "net":
            continue
        pair = draws.pair("amazon", "webcam", seed)
        f = pair.fields
        more = (f["Xl"], f["yl"]) if few else (None, None)
        e = zoo.estimator(name, seed=seed, **budget, **FROM_NET[name]).fit(f["Xs"], f["ys"], f["Xt"], *more)
        np.testing.assert_array_equal(e.predict_proba(pair.test), scores["test"], err_msg=name)
        seen.add((name, few))
    assert seen >= {("source_only", False), ("dann", False), ("dann", True), ("shot", False), ("fine_tune", True)}


def test_the_fitted_target_has_the_transductive_scores(harness):
    draws, got, _ = harness(["label_propagation", "easytl"], protocol="transductive")
    for name in ("label_propagation", "easytl"):
        pair = draws.pair("amazon", "webcam", 0, base=True)
        e = zoo.estimator(name).fit(pair.fields["Xs"], pair.fields["ys"], pair.fields["Xt"])
        np.testing.assert_array_equal(e.transduction_, got[name, "base", None, False]["test"].argmax(1))
