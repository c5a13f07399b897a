"""Base learners with options: scikit-learn's own, refused in one line, and named alike however they are written."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, LinearSVC

from zoo.bench import suite
from zoo.bench.plan import learner_name
from zoo.errors import BadInput
from zoo.learners.base import fit_base
from zoo.task import Task
from zoo.tasks import problem
from zoo.tasks._options import based

CLASSIFIERS = {
    "svc(C=10.0, gamma=0.01)": SVC(C=10, gamma=0.01, break_ties=True),
    "svc": SVC(break_ties=True),
    "logistic(C=0.1)": LogisticRegression(C=0.1, max_iter=1000),
    "linear_svm(C=0.01)": LinearSVC(C=0.01, random_state=0, max_iter=10_000),
    "knn(k=3)": KNeighborsClassifier(3),
    "1nn": KNeighborsClassifier(1),
}
REGRESSORS = {"ridge(alpha=20.0)": Ridge(alpha=20), "knn(k=2)": KNeighborsRegressor(2)}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    return rng.normal(size=(90, 4)) + 1.2 * np.eye(3, 4)[y], y, rng.normal(size=(200, 4)) + 0.5


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_are_scikit_learns(data, name):
    X, y, T = data
    ours = fit_base(name, torch.from_numpy(X), torch.from_numpy(y), 3).predict(torch.from_numpy(T))
    assert (ours.argmax(1).numpy() == CLASSIFIERS[name].fit(X, y).predict(T)).mean() > 0.99  # ties of three votes


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_are_scikit_learns(data, name):
    X, _, T = data
    v = X @ np.arange(4.0)
    ours = fit_base(name, torch.from_numpy(X), torch.from_numpy(v), 1, task="regression").predict(torch.from_numpy(T))
    np.testing.assert_allclose(ours[:, 0].numpy(), REGRESSORS[name].fit(X, v).predict(T))


def test_weights_are_used_or_refused(data):
    X, y, T = (torch.from_numpy(a) for a in data)
    weight = torch.linspace(0.1, 3, len(X))
    theirs = SVC(C=10, break_ties=True).fit(data[0], data[1], sample_weight=weight.double().numpy()).predict(data[2])
    assert (fit_base("svc(C=10)", X, y, 3, weight).predict(T).argmax(1).numpy() == theirs).mean() > 0.99
    with pytest.raises(ValueError, match="cannot use weights"):
        fit_base("knn(k=3)", X, y, 3, weight)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("", "logistic"),
        ("svc(C=1)", "svc"),
        ("svc(gamma=0.01, C=10)", "svc(C=10.0, gamma=0.01)"),
        ({"svc": {"C": 10, "gamma": 0.01}}, "svc(C=10.0, gamma=0.01)"),
        ({"logistic": {"C": 1}}, "logistic"),
    ],
)
def test_one_learner_has_one_name(written, name):
    found = suite.load({"dataset": "diabetes", "task": "classification", "base": written}, {})
    assert found.base == learner_name(found, "base") == name


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("forest", "base: forest: task: classification has logistic, 1nn, knn, linear_svm, svc"),
        ("svc(c=10)", "unknown option of base: svc: 'c': did you mean 'C'?"),
        ("svc(C=-1)", "base: svc: C: expected more than 0, got -1"),
        ("svc(C=0)", "base: svc: C: expected more than 0, got 0"),
        ("svc(C=nan)", "base: 'svc(C=nan)': write svc"),
        ("svc(10)", "base: 'svc(10)': write svc"),
        ("svc(C=1", "base: 'svc(C=1': write svc"),
        ("knn(k=2.5)", "base: knn: k: expected int such as 5, got 2.5"),
        ("svc(__import__('os'))", "write svc"),
    ],
)
def test_what_is_no_learner_is_one_line(written, says):
    with pytest.raises(BadInput) as refused:
        based(problem("classification"), written)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_arrays_take_the_learners_of_suites_and_no_others():
    X, y = np.eye(4), [0, 1, 0, 1]
    assert Task.from_arrays(X, y, X, base="svc( C = 10 )").learner.base == "svc(C=10.0)"
    for base, says in (("nonsense", "has logistic, 1nn"), ("svc(c=1)", "did you mean 'C'"), ("svc(C=1, C=2)", "once")):
        with pytest.raises(BadInput, match=says):
            Task.from_arrays(X, y, X, base=base)


@pytest.mark.parametrize("base", ["{svc: {C: 1}, knn: {k: 3}}", "[svc]", "3", "{svc: [1]}", "{}"])
def test_what_is_no_learner_says_how_one_is_written(tmp_path, base):
    path = tmp_path / "mine.yaml"
    path.write_text(f"dataset: digits8\nbase: {base}\n")
    with pytest.raises(BadInput, match=r"mine.yaml:2: base: expected one learner, such as svc, .*, got .*"):
        suite.load(path, {})
    path.write_text("dataset: digits8\nbase: {svc: }\n")
    assert suite.load(path, {}).base == "svc"
