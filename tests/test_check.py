"""Each contract test fails on an adapter that breaks just that promise, and all adapters of the zoo pass."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from zoo import check, discover, source
from zoo.check import subject
from zoo.check.toys import CLASSES, toy

pytestmark = pytest.mark.usefixtures("one_thread")
PLUGINS = Path(__file__).parent / "plugins"
METHODS = discover.methods()
# A few of each kind in every run; all methods stand in their own tests of fidelity anyway.
ALWAYS = {"dummy", "source_only", "coral", "tca", "ot_linear", "discriminator", "balanced", "jdot", "label_propagation"}


def failures(method):
    return {o.name: o.detail for o in outcomes_of(method) if not o.ok}


def outcomes_of(method):
    """Those of a file in `PLUGINS`, which never changes, are kept."""
    return kept(method) if method.parent == PLUGINS else check.run(method)


kept = cache(check.run)


MINUTES = {"ar"}  # a critic of 1,024 units, with six steps for each of the network
MARKS = {n: [pytest.mark.faults] * (n not in ALWAYS) + [pytest.mark.minutes] * (n in MINUTES) for n in METHODS}


@pytest.mark.parametrize("name", [pytest.param(n, marks=MARKS[n]) for n in METHODS])
def test_every_method_of_the_zoo_keeps_the_contract(name):
    outcomes = check.run(name)
    assert not [o for o in outcomes if not o.ok]
    assert sum(o.skipped for o in outcomes) < len(outcomes) / 2


@pytest.mark.parametrize("name", ["centre", "mean_gap", "deeper_dann", "rejects", "pools"])
def test_a_good_plugin_passes(name):
    path = PLUGINS / f"{name}.py"
    assert failures(path) == {}
    assert name != "centre" or len(path.read_text().splitlines()) <= 21


@pytest.mark.parametrize(
    ("name", "test", "says"),
    [
        ("leaks", "needs", "leaks.py:8"),
        ("leaks_quietly", "needs", "task.yt"),
        ("walks", "target labels", "depend on the target's labels"),
        ("unnormalised", "shapes", "sum to 1"),
        ("smooths", "row wise", "differently"),
        ("order_matters", "target order", "permuting Xt"),
        ("draws", "deterministic", "another seed"),
        ("draws_globally", "same seed", "generator"),
        ("inverts", "better than chance", "chance is 33.3%"),
        ("harms", "no harm", "source_only"),
        ("remembers", "refit", "fitted again"),
        ("cpu_labels", "device agnostic", "device"),
        ("cpu_projection", "device agnostic", "made on the cpu"),
        ("cites", "citation", "nobody1900nothing"),
        ("writes", "shared results", "task.shared"),
        ("counts_stored", "sparse rows", "than the same ones dense"),
        ("draws_globally", "process state", "torch's global random numbers"),
        ("underflows", "far apart", "not finite"),
        ("no_column", "open sets", "predict(X) has shape [600, 3], not [600, 4]"),
        ("knows_all", "open sets", "in 50.0% of pairs"),
        ("never_says", "open sets", "its last column is the highest of no sample"),
        ("first_source", "several sources", "source samples of domains with other numbers give other scores"),
        ("blocks", "several sources", "source samples with their domains in another order give other scores"),
        ("two_sources", "several sources", "two_sources.py:15"),
        ("always_column", "shapes", "predict(X) has shape [600, 4], not [600, 3]"),
        ("hoards", "a long stream", "numbers, after 40"),
        ("rewrites", "a stream", "changed after they were given"),
        ("wants_many", "a stream", "observe(X) of 2 samples has shape [4, 3], not [2, 3]"),
        ("draws_by_batch", "a stream again", "draw from task.generator"),
    ],
)
def test_a_broken_promise_fails_its_test_and_says_why(name, test, says):
    found = failures(PLUGINS / f"{name}.py")
    assert test in found, found
    assert says in found[test]


@pytest.mark.parametrize(
    "name",
    [
        *("leaks", "leaks_quietly", "draws", "cpu_labels", "cpu_projection", "cites", "writes", "counts_stored"),
        *("no_column", "knows_all", "never_says", "first_source", "blocks", "two_sources", "hoards", "wants_many"),
    ],
)
def test_it_fails_no_other(name):
    assert len({test for test in failures(PLUGINS / f"{name}.py") if not test.startswith("regression: ")}) == 1


def test_no_leak_is_claimed_where_fits_differ_anyway():
    outcomes = {o.name: o for o in kept(PLUGINS / "draws_globally.py")}
    assert not outcomes["same seed"].ok
    assert outcomes["target labels"].skipped


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_singular_inputs_are_named():
    assert set(failures(PLUGINS / "whitens.py")) == {
        "more features than samples",
        "constant column",
        "one target sample",
        "regression: single and constant",  # a Mapping is tried on values, too
    }
    assert "whitens.py:10" in failures(PLUGINS / "whitens.py")["constant column"]


def test_an_adapter_that_cannot_fit_ends_there(tmp_path):
    path = tmp_path / "gives_up.py"
    path.write_text((PLUGINS / "centre.py").read_text().replace("task.Xs.mean(0)", "1 / 0"))
    outcomes = check.run(path)
    assert [(o.name, o.ok) for o in outcomes] == [("needs", False), ("citation", True)]
    assert f"ZeroDivisionError: division by zero ({path}:15)" in outcomes[0].detail


def test_what_is_unsupported_is_skipped_with_its_reason(tmp_path):
    path = tmp_path / "refuses.py"
    body = 'from zoo.errors import Unsupported\n        raise Unsupported("needs the moon")'
    path.write_text((PLUGINS / "centre.py").read_text().replace("self.means_ = ", body + "\n        self.means_ = "))
    first = check.run(path)[0]
    assert (first.skipped, first.detail) == (True, "needs the moon")


def test_transductive_methods_are_judged_by_their_scores_t(tmp_path):
    path = tmp_path / "only_here.py"
    path.write_text("""
from zoo.adapters.base import Adapter

class OnlyHere(Adapter):
    \"\"\"Scores the samples that it was fitted on.\"\"\"

    family, transductive_only = "relational", True
""")
    with pytest.raises(discover.BadInput, match=r"only_here\.py:7: family has to be a literal"):
        check.run(path)
    path.write_text("""
from zoo.adapters.base import Adapter

class OnlyHere(Adapter):
    \"\"\"Scores the samples that it was fitted on.\"\"\"

    family = "relational"
    transductive_only = True

    def fit(self, task):
        self.scores_ = task.learner.fit(task.Xs, task.ys, task.n_classes).predict(task.Xt)
        return self

    def scores_t(self):
        return self.scores_
""")
    outcomes = {o.name: o for o in check.run(path)}
    assert all(o.ok for o in outcomes.values())
    assert outcomes["row wise"].skipped
    assert not outcomes["target order"].skipped


def test_the_toy_pair_is_shifted_and_solvable():
    pair = toy()
    assert len(pair.Xs) != len(pair.Xt)
    assert torch.linalg.norm(pair.Xt.mean(0) - pair.Xs.mean(0)) > 1  # in standard deviations of a class
    nearest = torch.cdist(pair.X, torch.stack([pair.X[pair.y == k].mean(0) for k in range(CLASSES)])).argmin(1)
    assert (nearest == pair.y).double().mean() > 0.95


def test_a_method_for_open_label_sets_alone_is_tried_on_an_unknown_class():
    outcomes = {o.name: o for o in kept(PLUGINS / "rejects.py")}
    assert not outcomes["open sets"].skipped
    assert outcomes["open sets"].detail.startswith("AUROC ")
    assert {o.name: o for o in kept(PLUGINS / "centre.py")}["open sets"].skipped
    pair, plain = toy(unknown=True), toy()
    assert (int(pair.yt.max()), int(pair.y.max()), int(pair.ys.max())) == (CLASSES, CLASSES, CLASSES - 1)
    assert torch.equal(pair.Xs, plain.Xs)


def test_citations_are_keys_of_the_bibliography(tmp_path, monkeypatch):
    info = discover.methods([PLUGINS / "cites.py"])["cites"]
    (tmp_path / "refs.bib").write_text("@article{a2000b,\n  title = {@misc{no}},\n}\n@inproceedings{ c2001d , }\n")
    monkeypatch.setattr(source, "ROOT", tmp_path)
    for key, known in (("a2000b", True), ("c2001d", True), ("no", False), ("a2000", False)):
        one = subject.Subject(replace(info, cite=key))
        assert subject.outcome(subject.citation, one).ok == known
    for family, plugin, ok in (("feature", True, True), ("feature", False, False), ("baseline", False, True)):
        one = subject.Subject(replace(info, cite="", family=family, plugin=plugin))
        assert subject.outcome(subject.citation, one).ok == ok


# What a method may spoil ----------------------------------------------------------------------------------------------

SPOILS = """
import random
import warnings

import numpy as np
import sklearn
import torch

import zoo.ops.kernels
from zoo.adapters.base import Adapter
from zoo.ops.joint import joint_rows
from zoo.ops.kernels import sq_dists


class Spoils(Adapter):
    \"\"\"Leaves something behind.\"\"\"

    family = "{family}"
    learner = "{learner}"
    needs = {needs}

    def fit(self, task):
        self.n_, self.A_ = task.n_classes, None
        {fit}
        return self

    def predict(self, X, A=None):
        {predict}
        return torch.full((len(X), self.n_), 1 / self.n_, dtype=torch.float64)
"""
VECTORS, FACTS, NODES = {"Xs", "ys", "Xt"}, {"Fs", "Ft", "Xs", "ys", "Xl", "yl"}, {"As", "At", "Xs", "ys", "Xt"}
SOURCE_ONLY = "model = task.learner.fit(task.Xs, task.ys, task.n_classes)\n        "
PATCH = "import sklearn.linear_model as lm\n        lm.LogisticRegression.fit = lambda *a, **k: None"


@pytest.fixture
def spoiling(tmp_path):
    """The failed ones of the two tests of what a method leaves behind; no others are run."""

    def run(fit="pass", predict="pass", needs=VECTORS, family="feature", learner="base"):
        path = tmp_path / "spoils.py"
        path.write_text(SPOILS.format(fit=fit, predict=predict, needs=needs, family=family, learner=learner))
        s = subject.Subject(discover.methods([path])["spoils"])
        tests = [t for t in s.contract.tests if t.__name__ in ("shared_results", "process_state")]
        assert len(tests) == 2
        outcomes = [subject.outcome(t, s) for t in tests]
        s.end()
        return {o.name: o.detail for o in outcomes if not o.ok}

    return run


@pytest.mark.parametrize(
    ("fit", "needs", "says"),
    [
        ("task.shared(sq_dists, 'Xs', 'Xt').square_()", VECTORS, "a result of task.shared (sq_dists, 1)"),
        ("task.shared(sq_dists, 'Xs', 'Xt').numpy()[0] = 1", VECTORS, "a result of task.shared (sq_dists, 1)"),
        ("task.Xs.mul_(2)", VECTORS, "task.Xs"),
        ("task.Xt.numpy()[:] = 0", VECTORS, "task.Xt"),
        (SOURCE_ONLY + "model.estimator.intercept_ += np.arange(3)", VECTORS, "task.learner.fit.estimator.intercept_"),
        (SOURCE_ONLY + "model.estimator.coef_ = None", VECTORS, "task.learner.fit.estimator.coef_"),
        (SOURCE_ONLY + "model.estimator.classes_[:] = 0", VECTORS, "task.learner.fit.estimator.classes_"),
        ("task.At.x.zero_()", NODES, "task.At.x"),
        ("task.Ft.relations['boss'].base[:] = 0", FACTS, "task.Ft.relations[boss]"),
        ("object.__setattr__(task.Fs, 'target', 'x')", FACTS, "task.Fs.target"),
    ],
)
def test_writing_into_what_is_shared_is_named(spoiling, fit, needs, says):
    found = spoiling(fit, needs=needs, family="relational" if needs != VECTORS else "feature")
    assert found.keys() == {"shared results"}
    assert says in found["shared results"]


def test_writing_while_it_predicts_is_named(spoiling):
    assert "what predict is given" in spoiling(predict="X.zero_()")["shared results"]


@pytest.mark.parametrize(
    ("fit", "says"),
    [
        ("torch.set_default_dtype(torch.float64)", "torch's default dtype"),
        ("torch.set_num_threads(2)", "torch's number of threads"),
        ("torch.use_deterministic_algorithms(True)", "torch's deterministic mode"),
        ("torch.set_grad_enabled(False)", "torch's gradient mode"),
        ("torch.set_flush_denormal(True)", "torch's flushing of denormal numbers"),
        ("torch.set_float32_matmul_precision('medium')", "precision of float32 products"),
        ("np.seterr(all='raise')", "numpy's errstate"),
        ("warnings.simplefilter('error')", "the filters of warnings that raise"),
        ("sklearn.set_config(assume_finite=True)", "scikit-learn's configuration"),
        ("torch.rand(1)", "torch's global random numbers"),
        ("np.random.rand()", "numpy's global random numbers"),
        ("random.random()", "Python's global random numbers"),
        (PATCH, "sklearn.linear_model._logistic.LogisticRegression.fit"),
        ("torch.cdist = lambda a, b: a", "torch.cdist"),
        ("np.linalg.svd = None", "numpy.linalg.svd"),
        ("zoo.ops.kernels.sq_dists = joint_rows", "zoo.ops.kernels.sq_dists"),
        ("sq_dists.__code__ = (lambda X, Y: X).__code__", "zoo.ops.kernels.sq_dists"),
        ("Adapter.predict_source = None", "zoo.adapters.base.Adapter.predict_source"),
    ],
)
def test_a_changed_process_is_named(spoiling, fit, says):
    found = spoiling(fit)
    assert found.keys() == {"process state"}
    assert says in found["process state"]


def test_a_process_changed_on_import_is_named(spoiling, monkeypatch):
    monkeypatch.setitem(
        globals(), "SPOILS", SPOILS.replace("class Spoils", "torch.set_default_dtype(torch.float64)\n\n\nclass Spoils")
    )
    assert "torch's default dtype" in spoiling()["process state"]
