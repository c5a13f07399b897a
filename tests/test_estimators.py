"""Methods as scikit-learn estimators: what scikit-learn asks of one, people's arrays, and the harness's own scores."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import zoo
from zoo import discover, estimable, estimators, streams
from zoo.bench import suite
from zoo.errors import BadInput
from zoo.task import Task

NOUNS = set(estimable.NOUNS)
CLASSIFIERS = {k: m for k, m in discover.methods().items() if "classification" in m.tasks}
KNOWN = {k: m for k, m in CLASSIFIERS.items() if "closed" in m.label_sets and not streams.only(m)}
METHODS = {k: m for k, m in KNOWN.items() if "yt" not in m.needs and not m.needs & NOUNS}
BRIEF = {"steps": 30, "batch_size": 16, "learning_rate": 0.01}
PLAIN = [name for name, m in METHODS.items() if not m.needs & {"Xl", "model"} and m.learner != "net"]
EVERY = ["source_only", "coral", "kmm", "label_propagation"]
SOME = {*EVERY, "dann", "shot", "fine_tune"}  # of each family one; the others are slow together


def made(name, **parameters):
    """The estimator, of networks with few steps."""
    own = discover.methods()[name].parameters
    brief = {k: v for k, v in BRIEF.items() if k in estimators._defaults(discover.methods()[name]) and k not in own}
    return zoo.estimator(name, **(brief | parameters))


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    ys, yt = np.arange(60) % 2, np.arange(50) % 2
    Xs = rng.normal(size=(60, 4)) + 3 * ys[:, None]
    return Xs, ys, rng.normal(size=(50, 4)) + 3 * yt[:, None] + 0.5, yt


def fitted(name, arrays, **parameters):
    Xs, ys, Xt, yt = arrays
    needs = discover.methods()[name].needs
    few = (Xt[:10], yt[:10]) if "Xl" in needs else (None, None)
    return made(name, **parameters).fit(Xs, ys, Xt, *few)


# What scikit-learn asks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [n if n in ("source_only", "coral") else pytest.param(n, marks=pytest.mark.faults) for n in PLAIN]
)
def test_sklearn_finds_an_estimator(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        e = made(name)
        done = check_estimator(e, expected_failed_checks=estimators.expected_failed_checks(e), on_skip=None)
    assert len(done) > 50
    # The expected failure of wjdot is three checks of one name.
    assert sum(d["status"] == "passed" for d in done) > (49 if name == "wjdot" else 50)


@pytest.mark.parametrize("name", [n if n in SOME else pytest.param(n, marks=pytest.mark.faults) for n in METHODS])
def test_each_method_is_fitted_copied_and_kept(name, arrays):
    e = fitted(name, arrays)
    Xt = arrays[2]
    scores = e.predict_proba(Xt)
    assert scores.shape == (50, 2)
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-3)
    again = pickle.loads(pickle.dumps(e))
    np.testing.assert_array_equal(again.predict_proba(Xt), scores)
    other = clone(e)
    assert type(other) is type(e)
    assert other.get_params() == e.get_params()
    assert not hasattr(other, "classes_")
    np.testing.assert_array_equal(fitted(name, arrays).predict_proba(Xt), scores)  # nothing hangs on what ran before


def test_global_generators_are_left_alone(arrays):
    torch.manual_seed(5)
    np.random.seed(5)
    fitted("dann", arrays).predict(arrays[2])
    drawn = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    assert torch.equal(drawn[0], torch.rand(3))
    np.testing.assert_array_equal(drawn[1], np.random.rand(3))


# People's arrays ------------------------------------------------------------------------------------------------------


KINDS = {
    "frame": lambda X: pd.DataFrame(X, columns=list("abcd")),
    "sparse": sp.csr_matrix,
    "coo": sp.coo_array,
    "big-endian": lambda X: X.astype(">f8"),
    "reversed": lambda X: X[::-1][::-1],
    "fortran": np.asfortranarray,
    "list": lambda X: X.tolist(),
    "tensor": torch.from_numpy,
    "nullable": lambda X: pd.DataFrame(X, columns=list("abcd")).convert_dtypes(),
    "object": lambda X: X.astype(object),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("whole", [False, True])
def test_arrays_of_any_kind_give_the_same(kind, whole, arrays):
    Xs, ys, Xt, _ = arrays
    (Xs, Xt), change = (np.round(4 * X).astype(float) if whole else X for X in (Xs, Xt)), KINDS[kind]
    plain = zoo.estimator("coral").fit(Xs, ys, Xt).predict_proba(Xt)
    np.testing.assert_array_equal(
        zoo.estimator("coral").fit(change(Xs), ys, change(Xt)).predict_proba(change(Xt)), plain
    )
    task = Task.from_arrays(change(Xs), ys, change(Xt))
    assert torch.equal(task.Xs, torch.from_numpy(Xs.astype(np.float32)))
    assert torch.equal(task.Xt, torch.from_numpy(Xt.astype(np.float32)))


def test_frames_of_polars(arrays):
    polars = pytest.importorskip("polars")
    Xs, ys, Xt, _ = arrays
    frame = [polars.DataFrame(X, schema=list("abcd")) for X in (Xs, Xt)]
    text = np.where(ys, "ill", "well")
    e = zoo.estimator("coral").fit(frame[0], polars.Series(text), frame[1])
    plain = zoo.estimator("coral").fit(Xs, text, Xt)
    np.testing.assert_array_equal(e.predict(frame[1]), plain.predict(Xt))
    assert e.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="column 'd' hold no numbers"):
        zoo.estimator("coral").fit(frame[0].with_columns(d=polars.lit("x")), text, frame[1])


LABELS = {
    "text": np.array(["no", "yes"]),
    "bytes-like numbers": np.array([1, 2], ">i2"),
    "signs": np.array([-1, 1]),
    "gap": np.array([0, 2]),
    "floats": np.array([0.0, 1.0]),
    "truth": np.array([False, True]),
    "objects": np.array(["a", "b"], object),
    "numbers in objects": np.array([3, 7], object),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("holder", [np.asarray, list, pd.Series])
def test_labels_of_any_kind_come_back(kind, holder, arrays):
    Xs, ys, Xt, _ = arrays
    y = LABELS[kind][ys]
    e = zoo.estimator("source_only").fit(Xs, holder(y))
    expected = LogisticRegression(max_iter=1000).fit(Xs.astype(np.float32), ys).predict(Xt)
    np.testing.assert_array_equal(e.predict(Xt), LABELS[kind][expected])
    np.testing.assert_array_equal(e.classes_, LABELS[kind])
    task = Task.from_arrays(Xs, holder(y), Xt)
    assert task.ys.tolist() == ys.tolist()
    assert task.n_classes == 2
    np.testing.assert_array_equal(task.classes, LABELS[kind])


def spoilt(X, value, at=(1, 3)):
    X = np.array(X)
    X[at] = value
    return X


WRONG = {
    "NaN": (lambda a: (a[0], a[1], spoilt(a[2], np.nan)), "Xt: NaN in row 1, column 3 (1 of 200 values)"),
    "inf": (lambda a: (spoilt(a[0], -np.inf), a[1], a[2]), "Xs: infinity (inf) in row 1, column 3"),
    "too large": (
        lambda a: (spoilt(a[0], 1e200), a[1], a[2]),
        "Xs: 1e+200 in row 1, column 3 is too large for float32",
    ),
    "float32 blind": (lambda a: (a[0] + 1e9, a[1], a[2] + 1e9), "Xs: column 0 varies by less than float32 tells apart"),
    "width": (lambda a: (a[0], a[1], a[2][:, :3]), "Xt has 3 features, but Xs has 4"),
    "length": (lambda a: (a[0], a[1][:-1], a[2]), "ys has 59 labels, but there are 60 samples"),
    "one class": (lambda a: (a[0], a[1] * 0, a[2]), "ys: one class only (0)"),
    "real-valued": (lambda a: (a[0], a[0][:, 0], a[2]), "ys: Unknown label type: continuous: real-valued"),
    "missing": (lambda a: (a[0], [None, *a[1][1:]], a[2]), "ys: the label of sample 0 is missing (None or NaN; 1 in"),
    "mixed": (lambda a: (a[0], ["a", *a[1][1:].tolist()], a[2]), "ys: "),
    "two columns": (lambda a: (a[0], np.stack([a[1], a[1]], 1), a[2]), "ys: y should be a 1d array"),
    "text": (lambda a: (pd.DataFrame(a[0]).assign(x="u"), a[1], a[2]), "Xs: column 'x' hold no numbers"),
    "date": (
        lambda a: (pd.DataFrame(a[0]).assign(x=pd.Timestamp("2020-01-01")), a[1], a[2]),
        "Xs: column 'x' hold no numbers",
    ),
    "order of columns": (
        lambda a: (pd.DataFrame(a[0], columns=list("abcd")), a[1], pd.DataFrame(a[2], columns=list("abdc"))),
        "Xt: column 2 is 'd', but 'c' in Xs: take Xt[Xs.columns]",
    ),
    "huge": (
        lambda a: (sp.csr_matrix((20_000, 50_000)), np.arange(20_000) % 2, a[2]),
        "Xs: sparse 20000 × 50000 would",
    ),
    "no array": (lambda a: (3, a[1], a[2]), "Xs: "),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_one_line(kind, arrays):
    change, says = WRONG[kind]
    for call in (zoo.estimator("coral").fit, Task.from_arrays):
        with pytest.raises(BadInput) as error:
            call(*change(arrays))
        assert str(error.value).startswith(says)
        assert "\n" not in str(error.value)
        assert isinstance(error.value, ValueError | TypeError)


def test_what_is_asked_in_vain_is_one_line(arrays):
    Xs, ys, Xt, yt = arrays
    for name, parameters, says in (
        ("corral", {}, "unknown method 'corral': did you mean 'coral'"),
        ("coral", {"rge": 1}, "unknown parameter of coral: 'rge': did you mean 'reg'?"),
        ("target_only", {}, "target_only reads the target's labels (oracle)"),
        ("adagcn", {}, "adagcn needs As, At: graphs and facts are no arrays"),
    ):
        with pytest.raises(BadInput, match="^" + says.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
            zoo.estimator(name, **parameters)
    for name, parameters, more, says in (
        ("coral", {"reg": "much"}, {"Xt": Xt}, "coral.reg: expected float such as 1.0, got 'much'"),
        ("coral", {"base": "svm"}, {"Xt": Xt}, "base: svm: task: classification has"),
        ("coral", {}, {"Xt": Xt, "Xl": Xt, "yl": yt}, "coral takes no labelled target samples"),
        ("fine_tune", {}, {"Xt": Xt}, "fine_tune needs labelled target samples"),
        ("fine_tune", {}, {"Xl": Xt}, "Xl and yl come together"),
        ("coral", {}, {"Xt": Xt, "domain": [0] * 60}, "domain: it tells the rows of X apart"),
        ("coral", {}, {"domain": [0] * 60}, "domain: none of 60 rows is target, which coral needs"),
        ("coral", {}, {"domain": [0, 2] * 30}, "domain: entry 1 is '2': expected source, target, labelled"),
        ("coral", {}, {"domain": [0, 1]}, "domain has 2 entries, but there are 60 samples"),
    ):
        with pytest.raises(BadInput) as error:
            zoo.estimator(name, **parameters).fit(Xs, ys, **more)
        assert str(error.value).startswith(says)
        assert "\n" not in str(error.value)


def test_without_a_target_it_is_said(arrays):
    Xs, ys, _, _ = arrays
    with pytest.warns(UserWarning, match="coral: no target was given, so the source is taken for it"):
        zoo.estimator("coral").fit(Xs, ys)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zoo.estimator("source_only").fit(Xs, ys)


# One table, and what scikit-learn does with it ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(arrays):
    Xs, ys, Xt, _ = arrays
    order = np.random.default_rng(1).permutation(110)
    X, y = np.concatenate([Xs, Xt])[order], np.array([*map(str, ys), *[None] * 50], object)[order]
    return X, y, np.repeat(["source", "target"], [60, 50])[order]


def test_a_domain_vector_is_the_same_as_two_arrays(table):
    X, y, domain = table
    s, t = domain == "source", domain == "target"
    two = zoo.estimator("tca", k=2).fit(X[s], y[s].astype(str), X[t])
    for d in (domain, t, t.astype(int), domain.tolist(), pd.Series(domain)):
        one = zoo.estimator("tca", k=2).fit(X, y, domain=d)
        np.testing.assert_array_equal(one.predict_proba(X[t]), two.predict_proba(X[t]))
    few = domain.astype(object)
    few[np.flatnonzero(t)[:6]] = "labelled"
    labels = y.copy()
    labels[few == "labelled"] = ["0", "1"] * 3
    one = made("fine_tune").fit(X, labels, domain=few)
    Xl = X[few == "labelled"]
    two = made("fine_tune").fit(X[s], y[s].astype(str), X[few == "target"], Xl, ["0", "1"] * 3)
    np.testing.assert_array_equal(one.predict_proba(X[t]), two.predict_proba(X[t]))


def test_labels_of_target_rows_are_never_looked_at(table):
    X, y, domain = table
    told = y.copy()
    told[domain == "target"] = "1"
    for name in ("coral", "kmm", "label_propagation"):
        scores = [zoo.estimator(name).fit(X, labels, domain=domain).predict_proba(X) for labels in (y, told)]
        np.testing.assert_array_equal(*scores)
        assert zoo.estimator(name).fit(X, y, domain=domain).classes_.tolist() == ["0", "1"]


def test_pipelines_and_searches(table):
    X, y, domain = table
    y = np.where(domain == "target", "?", y.astype(str))
    model = make_pipeline(StandardScaler(), zoo.estimator("coral"))
    step = model.steps[-1][0]
    model.fit(X, y, **{f"{step}__domain": domain})
    by_hand = StandardScaler().fit(X)
    plain = zoo.estimator("coral").fit(by_hand.transform(X), y, domain=domain)
    np.testing.assert_array_equal(model.predict(X), plain.predict(by_hand.transform(X)))
    fold = PredefinedSplit(np.where(domain == "source", np.arange(len(X)) % 3, -1))
    search = GridSearchCV(model, {f"{step}__reg": [1e-3, 1.0]}, cv=fold, error_score="raise")
    search.fit(X, y, **{f"{step}__domain": domain})
    assert search.best_params_[f"{step}__reg"] in (1e-3, 1.0)
    assert search.best_score_ > 0.8
    scores = cross_val_score(zoo.estimator("kmm"), X, y, cv=fold, params={"domain": domain}, error_score="raise")
    assert scores.min() > 0.8


def test_mappings_transform_and_reweightings_weigh(arrays):
    Xs, ys, Xt, _ = arrays
    coral = zoo.estimator("coral", reg=1e-6).fit(Xs, ys, Xt)
    mapped = zoo.estimator("coral", reg=1e-6).fit_transform(Xs, ys, Xt)
    np.testing.assert_allclose(np.cov(mapped.T), np.cov(Xt.T), rtol=1e-3, atol=1e-3)  # what CORAL is for
    np.testing.assert_array_equal(coral.transform(Xt), Xt.astype(np.float32))
    both = coral.transform(np.concatenate([Xt, Xs]), domain=[1] * len(Xt) + [0] * len(Xs))
    np.testing.assert_array_equal(both[len(Xt) :], mapped)
    assert coral.get_feature_names_out().tolist() == ["coral0", "coral1", "coral2", "coral3"]
    after = make_pipeline(zoo.estimator("coral", reg=1e-6), LogisticRegression(max_iter=1000))
    step = after.steps[0][0]
    after.fit(Xs, ys, **{f"{step}__Xt": Xt})
    np.testing.assert_array_equal(after.predict(Xt), coral.predict(Xt))
    weights = zoo.estimator("kmm").fit(Xs, ys, Xt).weights_
    assert weights.shape == (60,)
    assert weights.mean() == pytest.approx(1)
    assert not hasattr(zoo.estimator("kmm"), "transform")


# The harness from Python ----------------------------------------------------------------------------------------------


def test_a_run_of_a_dict_and_what_it_gives(surf, server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    keys = {
        "dataset": "office_caltech",
        "pairs": ("amazon:webcam",),
        "seeds": np.int64(2),
        "methods": ["coral", "dummy"],
    }
    run = zoo.run(keys, data_root=surf)
    assert run.folder.as_posix() == "runs/office_caltech"
    assert "cells to run" in capsys.readouterr().err
    zoo.run(keys, data_root=surf, quiet=True)
    assert capsys.readouterr() == ("", "")
    again = zoo.Results("runs/office_caltech")
    assert again.table("csv") == run.table("csv")
    frame = again.frame()
    means = frame[frame.setting == "unsupervised"].groupby("label").accuracy.mean()
    best = again.best()
    (row,) = best[(best.setting == "unsupervised") & (best.pair == "average")].itertuples()
    assert row.method == means.idxmax()
    assert row.accuracy == pytest.approx(means.max())
    assert again.plot("bars").save("bars.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in again.plot("gains")._repr_svg_()
    assert again.plot("confusion", data_root=surf).save("confusion.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(again.table("json"))
    with pytest.raises(BadInput, match=r"unknown kind of plot 'bar': did you mean 'bars'"):
        again.plot("bar")
    for wrong, says in (
        ({"dataset": "office_caltec"}, "unknown dataset 'office_caltec'"),
        ({"data_set": "x"}, "the suite given as a dict"),
        ({"dataset": "digits8", "seeds": object()}, "the suite given as a dict: expected text, numbers"),
    ):
        with pytest.raises(BadInput) as error:
            suite.load(wrong, {})
        assert str(error.value).startswith(says)
        assert "\n" not in str(error.value)


def test_a_method_for_streams_alone_is_refused_in_a_line():
    with pytest.raises(BadInput, match="lame adapts to batches as they arrive: it runs in zoo run with"):
        zoo.estimator("lame")
