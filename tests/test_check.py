"""Each contract test fails on an adapter that breaks just that promise, and all adapters of the zoo pass."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from zoo import check, discover, source

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def failures(method):
    return {o.name: o.detail for o in check.run(method) if not o.ok}


@pytest.mark.parametrize("name", discover.methods())
def test_every_method_of_the_zoo_keeps_the_contract(name):
    outcomes = check.run(name)
    assert not [o for o in outcomes if not o.ok]
    assert sum(o.skipped for o in outcomes) < len(outcomes) / 2


@pytest.mark.parametrize("name", ["centre", "mean_gap", "deeper_dann"])
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
        ("underflows", "far apart", "not finite"),
    ],
)
def test_a_broken_promise_fails_its_test_and_says_why(name, test, says):
    found = failures(PLUGINS / f"{name}.py")
    assert test in found, found
    assert says in found[test]


@pytest.mark.parametrize("name", ["leaks", "leaks_quietly", "draws", "cpu_labels", "cpu_projection", "cites", "writes"])
def test_it_fails_no_other(name):
    assert len(failures(PLUGINS / f"{name}.py")) == 1


def test_no_leak_is_claimed_where_fits_differ_anyway():
    outcomes = {o.name: o for o in check.run(PLUGINS / "draws_globally.py")}
    assert not outcomes["same seed"].ok
    assert outcomes["target labels"].skipped


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_singular_inputs_are_named():
    assert set(failures(PLUGINS / "whitens.py")) == {
        "more features than samples",
        "constant column",
        "one target sample",
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
    pair = check.toy()
    assert len(pair.Xs) != len(pair.Xt)
    assert torch.linalg.norm(pair.Xt.mean(0) - pair.Xs.mean(0)) > 1  # in standard deviations of a class
    nearest = torch.cdist(pair.X, torch.stack([pair.X[pair.y == k].mean(0) for k in range(check.CLASSES)])).argmin(1)
    assert (nearest == pair.y).double().mean() > 0.95


def test_citations_are_keys_of_the_bibliography(tmp_path, monkeypatch):
    info = discover.methods([PLUGINS / "cites.py"])["cites"]
    (tmp_path / "refs.bib").write_text("@article{a2000b,\n  title = {@misc{no}},\n}\n@inproceedings{ c2001d , }\n")
    monkeypatch.setattr(source, "ROOT", tmp_path)
    for key, known in (("a2000b", True), ("c2001d", True), ("no", False), ("a2000", False)):
        subject = check.Subject(replace(info, cite=key), None)
        assert check._outcome(check.citation, subject).ok == known
    for family, plugin, ok in (("feature", True, True), ("feature", False, False), ("baseline", False, True)):
        subject = check.Subject(replace(info, cite="", family=family, plugin=plugin), None)
        assert check._outcome(check.citation, subject).ok == ok
