"""Methods of other libraries: found without importing them, the same as they are there, and strangers in the vault."""

import doctest
import importlib.util
import json
import subprocess
import sys

import numpy as np
import peers
import pytest
import torch

import zoo
from zoo import discover, records, source, wrappers
from zoo.bench import plan, suite
from zoo.errors import BadInput, LeakError, Unsupported
from zoo.task import Task


def installed(*modules):
    missing = [m for m in modules if not importlib.util.find_spec(m)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


needs_skada = installed("skada")
needs_deep = installed("skada", "skorch")
needs_adapt = installed("adapt", "tensorflow")


def made(name, **parameters):
    info = wrappers.method(name)
    return discover.load(info)(**{**info.parameters, **parameters})


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    ys, y = np.arange(90) % 3, np.arange(60) % 3
    centres = 4 * rng.normal(size=(3, 5))
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0] * 0.2 + np.eye(5)
    Xs, Xt = (rng.normal(size=(len(c), 5)) + centres[c] for c in (ys, y))
    return Xs, ys, Xt @ turn + 0.5


def fitted(name, arrays, base="logistic", **parameters):
    task = Task.from_arrays(*arrays, base=base)
    return made(name, **parameters).fit(task), task


def logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)  # what the base `logistic` says it is


# Names ----------------------------------------------------------------------------------------------------------------


def test_names_are_found_without_importing_anything():
    code = (
        "import sys; from zoo import wrappers; i = wrappers.method('sklearn:decomposition.PCA'); "
        "wrappers.method('pot:SinkhornTransport'); print(i.wraps, i.parameters['n_components'], i.kind, i.setting,"
        "*{'torch', 'numpy', 'sklearn', 'ot'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["sklearn.decomposition.PCA", "None", "mapping", "unsupervised"]


@pytest.mark.parametrize("name", ["sklearn:svm.SVC", "sklearn:linear_model.Ridge", "sklearn:decomposition.FastICA"])
def test_what_is_read_of_an_estimator_is_what_it_has(name):
    """Read from the source here, and asked of the estimator by scikit-learn itself."""
    info = wrappers.method(name)
    estimator = made(name).made()
    assert info.parameters == estimator.get_params(deep=False)
    assert info.plugin
    assert info.library == {"scikit-learn": __import__("sklearn").__version__}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("skda:CORAL", "unknown library 'skda': did you mean 'skada'?"),
        ("sklearn:LogisticRegression", "did you mean 'sklearn:linear_model.LogisticRegression'"),
        ("sklearn:linear_modle.Lasso", "did you mean 'sklearn:linear_model.Lasso'"),
        ("pot:SinkhornTransprt", "did you mean 'pot:SinkhornTransport'"),
        ("pot:", "unknown method 'pot:'"),
        ("sklearn:../x.Y", "unknown method"),
        ("sklearn:pipeline.Pipeline", "is no ClassifierMixin or RegressorMixin or TransformerMixin"),
        ("sklearn:multiclass.OneVsRestClassifier", "its estimator has no default"),
        pytest.param("skada:CORLA", "did you mean 'skada:CORAL'", marks=needs_skada),
        pytest.param("skada:per_domain_split", "unknown method", marks=needs_skada),
        pytest.param("skada:deep.DANM", "'skada:deep.DANN'", marks=needs_deep),
    ],
)
def test_a_name_that_there_is_not_is_one_line(name, said):
    with pytest.raises(BadInput) as caught:
        wrappers.named([name])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert wrappers.here([name]) == {}


@pytest.mark.parametrize(("library", "how"), [("skada", "pip install 'zoo[skada]'"), ("pot", "pip install pot")])
def test_a_library_that_is_not_there_says_how_to_get_it(monkeypatch, library, how):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in ("skada", "ot") else find(name, *a)
    )
    with pytest.raises(BadInput) as caught:
        wrappers.method(f"{library}:CORAL")
    assert str(caught.value) == f"{library}:CORAL: {library} is not installed: {how}"


def test_the_command_refuses_a_name_and_writes_nothing(zoo, tmp_path):
    done = zoo("run", "quickstart", "--methods", "pot:SinkhornTransprt", "--out", tmp_path / "run")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "'pot:SinkhornTransport'" in done.err
    assert not (tmp_path / "run").exists()
    assert "reg_e = 1.0" in zoo("info", "pot:SinkhornTransport").out


@pytest.mark.parametrize("path", sorted((source.ROOT / "wrappers").glob("*.py")), ids=lambda p: p.stem)
def test_a_wrapper_is_short(path):
    assert path.stem in ("__init__", "base") or len(path.read_text().splitlines()) <= 60


def test_a_cell_is_of_a_name_parameters_and_the_version_of_a_library(monkeypatch):
    loaded = suite.load({"dataset": "digits8", "methods": ["pot:LinearTransport"]}, {})

    def code():
        known = discover.methods() | wrappers.named(["pot:LinearTransport"])
        rows = {r.label: r for r in plan.parse_rows(loaded, known, [])}
        return plan._code(loaded, rows["pot:LinearTransport"], "base")

    before = code()
    assert code() == before
    monkeypatch.setattr(wrappers, "_version", lambda distribution: "99.0")
    assert code() != before


def test_values_of_another_type_than_a_default_pass_and_names_with_dots_are_set():
    loaded = suite.load({"dataset": "digits8", "methods": ["sklearn:svm.SVC"]}, {})
    known = discover.methods() | wrappers.named(loaded.methods)
    rows = plan.parse_rows(loaded, known, ["sklearn:svm.SVC.gamma=0.5"])  # whose default is 'scale'
    assert {r.label: r.parameters.get("gamma") for r in rows}["sklearn:svm.SVC"] == 0.5
    with pytest.raises(BadInput, match="did you mean 'gamma'"):
        plan.parse_rows(loaded, known, ["sklearn:svm.SVC.gama=0.5"])


@needs_skada
def test_a_family_is_that_of_what_is_transferred():
    found = {name: wrappers.method(f"skada:{name}").family for name in ("KMMReweight", "CORAL", "JDOTClassifier")}
    assert found == {"KMMReweight": "instance", "CORAL": "feature", "JDOTClassifier": "feature"}


# What they compute ----------------------------------------------------------------------------------------------------


def test_a_classifier_is_the_librarys(arrays):
    from sklearn.ensemble import RandomForestClassifier

    Xs, ys, Xt = arrays
    method, task = fitted("sklearn:ensemble.RandomForestClassifier", arrays, random_state=3, n_estimators=7)
    direct = RandomForestClassifier(n_estimators=7, random_state=3).fit(Xs.astype(np.float32), ys)
    np.testing.assert_allclose(method.predict(task.Xt), direct.predict_proba(Xt.astype(np.float32)), atol=1e-12)


def test_a_classifier_without_probabilities_says_a_class(arrays):
    from sklearn.svm import LinearSVC

    Xs, ys, Xt = arrays
    method, task = fitted("sklearn:svm.LinearSVC", arrays, random_state=0)
    said = method.predict(task.Xt)
    assert set(said.unique().tolist()) == {0.0, 1.0}
    assert (said.argmax(1).numpy() == LinearSVC(random_state=0).fit(Xs, ys).predict(Xt)).mean() > 0.98


def test_a_regressor_predicts_values(arrays):
    from sklearn.linear_model import Ridge

    Xs, ys, Xt = arrays
    task = Task.from_arrays(Xs, Xs[:, 0] + ys, Xt, task="regression")
    direct = Ridge(alpha=2.0).fit(Xs, Xs[:, 0] + ys).predict(Xt)
    np.testing.assert_allclose(
        made("sklearn:linear_model.Ridge", alpha=2.0).fit(task).predict(task.Xt)[:, 0], direct, atol=1e-4
    )
    assert "regression" in wrappers.method("sklearn:linear_model.Ridge").tasks


def test_a_transformer_is_fitted_on_both_domains(arrays):
    from sklearn.decomposition import PCA

    Xs, ys, Xt = arrays
    method, task = fitted("sklearn:decomposition.PCA", arrays, n_components=2)
    pca = PCA(2).fit(np.concatenate([Xs, Xt]))
    direct = logistic().fit(pca.transform(Xs), ys).predict_proba(pca.transform(Xt))
    np.testing.assert_allclose(method.predict(task.Xt), direct, atol=1e-3)


@pytest.mark.parametrize(("name", "given"), [("SinkhornTransport", {"reg_e": 5.0}), ("EMDTransport", {})])
def test_a_transport_is_the_librarys(arrays, name, given):
    import ot

    Xs, ys, Xt = arrays
    method, task = fitted(f"pot:{name}", arrays, **given)
    moved = getattr(ot.da, name)(**given).fit(Xs=Xs, ys=ys, Xt=Xt).transform(Xs=Xs)
    np.testing.assert_allclose(method.predict(task.Xt), logistic().fit(moved, ys).predict_proba(Xt), atol=1e-3)


def test_ours_and_the_linear_transport_of_pot_agree(arrays):
    even = *(a[: len(arrays[2])] for a in arrays[:2]), arrays[2]  # POT divides by n
    method, task = fitted("pot:LinearTransport", even, reg=1e-9)
    ours = discover.load(discover.methods()["ot_linear"])(reg=1e-9).fit(task)
    np.testing.assert_allclose(ours.predict(task.Xt), method.predict(task.Xt), atol=1e-4)


@needs_skada
@pytest.mark.parametrize("name", ["CORAL", "CORALAdapter", "KMMReweight", "JDOTClassifier", "EntropicOTMapping"])
def test_a_pipeline_is_the_librarys_on_the_suites_base(arrays, name):
    import skada

    Xs, ys, Xt = (a.astype(np.float32).astype(float) if a.dtype == float else a for a in arrays)
    method, task = fitted(f"skada:{name}", arrays)
    base = logistic().set_fit_request(sample_weight=True)
    direct = getattr(skada, name)
    direct = skada.make_da_pipeline(direct(), base) if name.endswith("Adapter") else direct(base_estimator=base)
    X, y, domain = np.concatenate([Xs, Xt]), np.append(ys, np.full(len(Xt), -1)), np.repeat([1, -2], [len(Xs), len(Xt)])
    direct.fit(X, y, sample_domain=domain)
    expected = direct.predict_proba(Xt, sample_domain=domain[domain < 0])
    np.testing.assert_allclose(method.predict(task.Xt), expected, atol=1e-6)
    part = [5, 1, 30]
    np.testing.assert_allclose(method.predict(task.Xt[part]), expected[part], atol=1e-6)
    assert method.predict_source(task.Xs).argmax(1).eq(task.ys).double().mean() > 0.9


@needs_skada
def test_ours_and_skadas_subspaces_agree(arrays):
    theirs, task = fitted("skada:SubspaceAlignment", arrays, n_components=3)
    ours = discover.load(discover.methods()["subspace_alignment"])(k=3).fit(task)
    np.testing.assert_allclose(ours.predict(task.Xt), theirs.predict(task.Xt), atol=1e-3)


@needs_skada
def test_weights_need_a_base_that_takes_them(arrays):
    with pytest.raises(Unsupported, match="weighs samples, which the base 1nn cannot use"):
        fitted("skada:KMMReweight", arrays, base="1nn")


@needs_deep
def test_skadas_default_discriminator_gives_the_features_no_gradient():
    """It ends in a softmax over a single output, which is 1 whatever the features are (SKADA 0.6.0)."""
    from skada.deep import DANNLoss
    from skada.deep.modules import DomainClassifier

    z = torch.randn(16, 8, requires_grad=True)
    said = DomainClassifier(num_features=8)(z)
    DANNLoss()(said[:8], said[8:]).backward()
    assert said.eq(1).all()
    assert z.grad.abs().max() == 0


@needs_deep
@pytest.mark.parametrize("name", ["DeepCoral", "DANN"])
def test_a_deep_method_trains_the_suites_network(arrays, name):
    task = Task.from_arrays(*arrays, net="mlp", steps=60, batch_size=16)
    method = made(f"skada:deep.{name}").fit(task)
    scores = method.predict(task.Xt)
    assert scores.shape == (60, 3)
    torch.testing.assert_close(scores.sum(1), torch.ones(60), atol=1e-4, rtol=0)
    torch.testing.assert_close(method.predict(task.Xt[[7, 3]]), scores[[7, 3]], atol=1e-5, rtol=0)
    assert method.predict_source(task.Xs).argmax(1).eq(task.ys).double().mean() > 0.9


@needs_adapt
@pytest.mark.parametrize("name", ["feature_based.CORAL", "instance_based.KMM"])
def test_a_method_of_adapt_is_the_librarys(arrays, name):
    import adapt.feature_based
    import adapt.instance_based

    Xs, ys, Xt = (a.astype(np.float32).astype(float) if a.dtype == float else a for a in arrays)
    method, task = fitted(f"adapt:{name}", arrays, verbose=0)
    module, cls = name.split(".")
    direct = getattr(getattr(adapt, module), cls)(logistic(), Xt=Xt, verbose=0).fit(Xs, ys)
    assert (method.predict(task.Xt).argmax(1).numpy() == direct.predict(Xt)).all()


# As the base ----------------------------------------------------------------------------------------------------------


def test_an_estimator_is_a_base_that_methods_weigh_samples_with(arrays):
    from sklearn.ensemble import RandomForestClassifier

    name = "sklearn:ensemble.RandomForestClassifier(n_estimators=9)"
    task = Task.from_arrays(*arrays, base=name)
    method = discover.load(discover.methods()["kmm"])().fit(task)
    forest = RandomForestClassifier(n_estimators=9, random_state=0)
    forest.fit(task.Xs.double().numpy(), task.ys.numpy(), sample_weight=method.weights_.double().numpy())
    np.testing.assert_allclose(method.predict(task.Xt), forest.predict_proba(task.Xt.double().numpy()), atol=1e-12)
    if importlib.util.find_spec("skada"):
        assert made("skada:CORAL").fit(task).model_.steps[-1][1].base_estimator.n_estimators == 9


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("sklearn:neighbors.KNeighborsClassifier", "takes no weights of samples"),
        ("sklearn:linear_model.Ridge", "is no learner for task: classification"),
        ("sklearn:decomposition.PCA", "is no learner for task"),
        ("sklearn:svm.SVX", "or 'sklearn:svm.SVC'"),
        ("sklearn:svm.SVC(D=2)", "unknown option of base: sklearn:svm.SVC: 'D'"),
    ],
)
def test_a_base_that_cannot_be_is_refused(base, said):
    with pytest.raises(BadInput) as caught:
        suite.load({"dataset": "digits8", "base": base}, {})
    assert said in str(caught.value)


def test_a_base_is_written_in_one_form_and_its_version_counts(monkeypatch):
    given = {"sklearn:svm.SVC": {"gamma": 0.1, "C": 1.0}}  # C is the default
    loaded = suite.load({"dataset": "digits8", "base": given, "methods": ["coral"]}, {})
    assert loaded.base == "sklearn:svm.SVC(gamma=0.1)"
    rows = {r.label: r for r in plan.parse_rows(loaded, discover.methods(), [])}
    before = plan._code(loaded, rows["coral"], "base")
    monkeypatch.setattr(wrappers, "_version", lambda distribution: "99.0")
    assert plan._code(loaded, rows["coral"], "base") != before


# In a run -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sklearn:svm.SVC", "sklearn:decomposition.PCA", "pot:EMDTransport"])
def test_what_a_method_reads_is_declared(arrays, name):
    """Of the fields that a task may have it is given those that its needs name, and runs on them alone."""
    info, task = wrappers.method(name), Task.from_arrays(*arrays)
    assert not info.needs & {"yt", "Xl", "yl", "ds", "model"}
    bare = {k: getattr(task, k) for k in info.needs}
    made(name).fit(Task(bare, needs=info.needs, learner=task.learner, n_classes=3)).predict(task.Xs)
    with pytest.raises(LeakError):
        made(name).fit(Task(bare, needs=info.needs - {"ys"}, learner=task.learner, n_classes=3))


@pytest.mark.slow
def test_a_run_has_rows_records_versions_and_references_and_can_be_verified(zoo, tmp_path):
    methods = "pot:LinearTransport,sklearn:decomposition.PCA,sklearn:naive_bayes.GaussianNB"
    given = ("run", "quickstart", "--pairs", "typeface:optdigits", "--seeds", "1", "--methods", methods)
    done = zoo(*given, "--set", "sklearn:decomposition.PCA.n_components=9", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    for name in methods.split(","):
        assert f"| {name} " in done.out
    import ot

    assert f"pot {ot.__version__}" in done.out  # in the caption
    found = {r["method"]: r for r in records.read(tmp_path / "run").records}
    assert found["sklearn:decomposition.PCA"]["parameters"]["n_components"] == 9
    assert found["pot:LinearTransport"]["versions"]["pot"] == ot.__version__
    assert "pot" not in found["source_only"]["versions"]
    meta = json.loads((tmp_path / "run" / "run.json").read_text())
    assert meta["rows"]["pot:LinearTransport"]["plugin"].endswith("/pot.py")
    entries = zoo("cite", tmp_path / "run").out
    assert "{flamary2021pot," in entries
    assert "{pedregosa2011scikit," in entries
    assert (done := zoo("verify", tmp_path / "run", "--all")).code == 0, done.out
    assert "in the zoo that verifies" not in done.out
    again = zoo(*given, "--set", "sklearn:decomposition.PCA.n_components=9", "--out", tmp_path / "run", "--json")
    assert again.json["ran"] == 0


def test_the_suites_of_peers_name_what_there_is():
    for name in ("peers", "peers_digits"):
        loaded = suite.load(name, {})
        theirs = [e for e in loaded.methods if isinstance(e, dict) and next(iter(e)).startswith("skada:")]
        assert len(theirs) >= 7
        if importlib.util.find_spec("skada"):
            plan.parse_rows(loaded, discover.methods() | wrappers.named(loaded.methods), [])


@pytest.mark.slow
def test_rows_of_two_libraries_are_set_beside_each_other(server, tmp_path, capsys, monkeypatch):
    rows = [{"ot_linear": {"reg": 1e-3}}, {"pot:LinearTransport": {"reg": 1e-3, "as": "ot_linear skada"}}]
    given = {"dataset": "digits8", "pairs": ["typeface:optdigits"], "seeds": 2, "methods": rows}
    frame = zoo.run(given, out=tmp_path / "run", quiet=True).frame().sort_values("seed").set_index("label").accuracy
    monkeypatch.setattr(sys, "argv", ["peers", str(tmp_path / "run")])
    assert peers.main() == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("| ot_linear")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    ours, theirs = (frame.loc[label].to_numpy() for label in ("ot_linear", "ot_linear skada"))
    gaps = ours - theirs
    assert cells[1:5] == [
        "defaults",
        *(f"{100 * side.mean():.1f}" for side in (ours, theirs)),
        f"{100 * max(gaps, key=abs):+.1f}",
    ]
    assert float(cells[5].split()[0]) > 90
    assert not doctest.testmod(peers).failed
    zoo.run(given | {"methods": ["source_only"]}, out=tmp_path / "other", quiet=True)
    monkeypatch.setattr(sys, "argv", ["peers", str(tmp_path / "other")])
    assert peers.main() == 2
