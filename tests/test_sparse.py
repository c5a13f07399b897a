"""Sparse rows: products and distances by scipy and scikit-learn, and every method that takes them as it takes dense."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from zoo import discover
from zoo.adapters.instance import kmm
from zoo.check.toys import CLASSES, toy
from zoo.learners import Learner
from zoo.ops import graphs, kernels, ratios, rows, working_set
from zoo.task import Task
from zoo.tasks import problem
from zoo.train import Budget

pytestmark = pytest.mark.usefixtures("one_thread")
TAKES = [(name, task) for name, m in discover.methods().items() if m.sparse for task in sorted(m.tasks)]


def draw(n, d=30, seed=0):
    """Rows of which most entries are 0, one of them whole."""
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, d)) < 0.2, rng.normal(size=(n, d)), 0).astype(np.float32)
    X[0] = 0
    return X


@pytest.fixture(scope="module")
def pair():
    A, B = draw(40), draw(25, seed=1)
    return A, B, *(rows.thin(torch.from_numpy(X)) for X in (A, B))


def test_rows(pair, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK", 60)  # products go by two or three rows
    A, B, a, b = pair
    dense = B[:3].astype(np.float64)
    np.testing.assert_allclose(rows.products(a, b), A.astype(np.float64) @ B.T, atol=1e-12)
    np.testing.assert_allclose(rows.products(a, torch.from_numpy(dense)), A @ dense.T, atol=1e-12)
    np.testing.assert_allclose(rows.mean(a), A.mean(0, dtype=np.float64), atol=1e-12)
    np.testing.assert_allclose(rows.squares(a), np.square(A, dtype=np.float64).sum(1), atol=1e-12)
    np.testing.assert_array_equal(rows.joined(a, b).to_dense(), np.vstack([A, B]))
    some = np.array([7, 0, 7, 39])
    for which in (some, A[:, 0] > 0, slice(5, 9), slice(30, None), np.array([], np.int64)):
        index = which if isinstance(which, slice) else torch.from_numpy(which)
        np.testing.assert_array_equal(rows.taken(a, index).to_dense(), A[which])
        np.testing.assert_array_equal(rows.taken(torch.from_numpy(A), index), A[which])
    assert [len(part) for part in rows.blocks(a, 15)] == [15, 15, 10]
    assert rows.flat(a) is a


def test_distances_by_scipy(pair):
    A, B, a, b = pair
    np.testing.assert_allclose(kernels.sq_dists(a, b), cdist(A, B, "sqeuclidean"), atol=1e-5)
    np.testing.assert_allclose(kernels.sq_dists(a), cdist(A, A, "sqeuclidean"), atol=1e-5)
    np.testing.assert_allclose(kernels.gaussian(a, b, gamma=0.3), np.exp(-0.3 * cdist(A, B) ** 2), atol=1e-6)
    pooled = np.vstack([A, B]).astype(np.float64)
    mean = cdist(pooled, pooled, "sqeuclidean").sum() / len(pooled) / (len(pooled) - 1)
    assert float(kernels.inverse_scale(a, b)) == pytest.approx(1 / mean)
    assert (
        ratios.ranked(b, rows.mean(a)).tolist() == np.argsort(cdist(B, A.mean(0)[None])[:, 0], kind="stable").tolist()
    )


def test_neighbours_by_scikit_learn(pair, monkeypatch):
    monkeypatch.setattr(graphs, "FEWER", 100)
    A, B, a, b = pair
    found = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(B[1:]).kneighbors(A)
    D, index = graphs.neighbours(a, rows.taken(b, slice(1, None)), 4)
    np.testing.assert_allclose(D.sqrt(), found[0], atol=1e-4)
    assert (index.numpy() == found[1]).mean() > 0.98  # all but ties of rows that share nothing
    near = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(A).kneighbors()[0]
    np.testing.assert_allclose(graphs.neighbours(a, a, 3, loops=False)[0].sqrt(), near, atol=1e-4)


def fit(name, pair, base, task):
    info, columns = discover.methods()[name], CLASSES if problem(task).classes else 1
    fields = {k: getattr(pair, k) for k in ("Xs", "ys", "Xt", "yt", "Xl", "yl")}
    fields["ds"] = torch.zeros(len(fields["ys"]), dtype=torch.long)
    fields |= {} if problem(task).classes else {k: fields[k].double() for k in ("ys", "yt", "yl")}
    learner = Learner(base=base, budget=Budget(), task=task)
    return discover.load(info)().fit(Task(fields, needs=info.needs, learner=learner, n_classes=columns))


def sparse_pair(**how):
    dense = toy(width=40, **how)
    dense = dense.mapped(*2 * [lambda X: torch.where(X.abs() > 1, X, 0)])
    return dense, dense.mapped(rows.thin, rows.thin)


@pytest.mark.parametrize(("name", "task"), TAKES, ids=lambda part: part)
def test_every_method_that_takes_sparse_rows_gives_the_scores_of_dense_ones(name, task):
    dense, thin = sparse_pair()
    for base in (problem(task).bases[0], *problem(task).resampled):
        found = fit(name, thin, base, task).predict(thin.X)
        assert float((found.double() - fit(name, dense, base, task).predict(dense.X).double()).abs().max()) < 1e-6


def test_which_methods_take_them():
    assert {"source_only", "kmm", "kliep", "ulsif", "label_propagation"} < {name for name, _ in TAKES}
    assert "coral" not in {name for name, _ in TAKES}


def test_kernel_mean_matching_on_a_working_set_of_sparse_rows(monkeypatch):
    monkeypatch.setattr(kmm, "FULL", 0)
    monkeypatch.setattr(working_set, "CHUNK", 64)
    monkeypatch.setattr(working_set, "FEWER", 50)
    dense, thin = sparse_pair()
    set_, whole = (kmm.Kmm(gamma=0.02, ess=0.0, tol=1e-6) for _ in range(2))
    w = {}
    for method, pair in ((set_, thin), (whole, dense)):
        fields = {"Xs": pair.Xs, "ys": pair.ys, "Xt": pair.Xt}
        w[method] = method.weights(Task(fields, needs=fields, learner=None, n_classes=CLASSES))
        monkeypatch.setattr(kmm, "FULL", 2000)
    K, k = (kernels.gaussian(dense.Xs, Z, gamma=0.02) for Z in (dense.Xs, dense.Xt))
    value = {m: float(v @ K @ v / 2 - (k.mean(1) * len(K)) @ v) for m, v in w.items()}
    assert abs(value[set_] - value[whole]) < 1e-5 * abs(value[whole])
    assert set_.certificate_["relative_gap"] < 1e-5
