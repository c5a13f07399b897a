"""Mappings of features against independent computations, on inputs where the defaults differed from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import eig, eigh, fractional_matrix_power
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from zoo.adapters.feature.bda import Bda
from zoo.adapters.feature.coral import Coral
from zoo.adapters.feature.easytl import Easytl
from zoo.adapters.feature.jda import Jda
from zoo.adapters.feature.subspace_alignment import SubspaceAlignment
from zoo.adapters.feature.tjm import Tjm
from zoo.task import Task


def skewed(n: int, d: int, seed: int) -> np.ndarray:
    """Correlated rows far from the origin, as pixels are."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 5 + 3 * rng.normal(size=d)).astype("f4")


@pytest.mark.reference(
    method="coral",
    source="Sun et al. 2016, algorithm 1; the authors' CORAL.m",
    compared="the mapped source, by scipy's matrix roots, and its mean and covariance, which become the target's",
    differs="`centre` does inside what the paper's z-scores do before",
)
def test_coral_of_rows_that_are_not_centred():
    Xs, Xt = skewed(200, 6, 0), skewed(150, 6, 1)
    method = Coral()
    method.fit_map(Task.from_arrays(Xs, np.arange(200) % 2, Xt))
    mapped = method.source(torch.from_numpy(Xs).double()).numpy()
    Cs, Ct = (np.cov(X.astype(float), rowvar=False) + np.eye(6) for X in (Xs, Xt))
    A = fractional_matrix_power(Cs, -0.5) @ fractional_matrix_power(Ct, 0.5)
    ms, mt = Xs.astype(float).mean(0), Xt.astype(float).mean(0)
    np.testing.assert_allclose(mapped, (Xs - ms) @ A + mt, rtol=1e-6, atol=1e-6)
    exact = Coral(reg=0.0)
    exact.fit_map(Task.from_arrays(Xs, np.arange(200) % 2, Xt))
    mapped = exact.source(torch.from_numpy(Xs).double()).numpy()
    np.testing.assert_allclose(mapped.mean(0), mt, atol=1e-8)
    np.testing.assert_allclose(np.cov(mapped, rowvar=False), np.cov(Xt.astype(float), rowvar=False), rtol=1e-6)
    plain = Coral(centre=False)
    plain.fit_map(Task.from_arrays(Xs, np.arange(200) % 2, Xt))
    np.testing.assert_allclose(plain.source(torch.from_numpy(Xs).double()).numpy(), Xs.astype(float) @ A, rtol=1e-6)


@pytest.mark.reference(
    method="easytl",
    source="Wang et al. 2019; the authors' EasyTL.m, CORAL_map.m and label_prop.m",
    compared="the programme's classes by scipy's linear programme, on centres of the rows mapped by scipy's roots",
    differs="`centre` does inside what the authors' z-scores do before",
)
def test_easytl_of_rows_that_are_not_centred():
    Xs, Xt = skewed(120, 5, 2), skewed(7, 5, 6)
    ys = np.random.default_rng(0).integers(0, 4, 120)
    Xs[np.arange(120), ys] += 6
    method = Easytl().fit(Task.from_arrays(Xs, ys, Xt))
    Cs, Ct = (np.cov(X.astype(float), rowvar=False) + np.eye(5) for X in (Xs, Xt))
    A = fractional_matrix_power(Cs, -0.5) @ fractional_matrix_power(Ct, 0.5)
    mapped = (Xs - Xs.astype(float).mean(0)) @ A + Xt.astype(float).mean(0)
    D = cdist(Xt.astype(float), np.stack([mapped[ys == c].mean(0) for c in range(4)]))
    one_class = np.kron(np.eye(7), np.ones(4))
    no_empty = np.kron(np.ones(7), np.eye(4))
    M = linprog(D.ravel(), A_ub=-no_empty, b_ub=-np.ones(4), A_eq=one_class, b_eq=np.ones(7), bounds=(0, 1)).x
    assert len(set(D.argmin(1))) < 4  # the programme is needed
    np.testing.assert_array_equal(method.scores_t().numpy(), M.reshape(7, 4).round())


@pytest.mark.reference(
    method="bda",
    source="Wang et al. 2017; the authors' BDA.py (mode BDA, primal, estimate_mu False)",
    compared="ten rounds by scipy's general eigenproblem, 1-NN by loops: classes, products of mapped rows",
    differs="stops where no pseudo-label changes, after which theirs repeat",
)
@pytest.mark.parametrize("mu", [0.2, 0.5, 0.9])
def test_bda_is_the_authors(mu):
    rng = np.random.default_rng(5)
    ys, yt = rng.integers(0, 5, 60), rng.integers(0, 5, 50)
    centres = rng.normal(size=(5, 9))
    Xs = (centres[ys] + 0.7 * rng.normal(size=(60, 9))).astype("f4")
    Xt = (centres[yt] + 0.6 + 0.9 * rng.normal(size=(50, 9))).astype("f4")
    X = np.concatenate([Xs, Xt]).astype(float)
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).T
    e = np.r_[np.full(60, 1 / 60), np.full(50, -1 / 50)]
    found = None
    for _ in range(10):
        M = (1 - mu) * 5 * np.outer(e, e)
        for c in range(5) if found is not None else ():
            own = np.r_[(ys == c) / (ys == c).sum(), (found == c) / -max((found == c).sum(), 1)]
            M += mu * np.outer(own, own)
        M /= np.linalg.norm(M)
        values, vectors = eig(X @ M @ X.T + np.eye(9), X @ (np.eye(110) - 1 / 110) @ X.T)
        Z = X.T @ vectors[:, np.argsort(values.real)[:4]].real
        Z /= np.linalg.norm(Z, axis=1, keepdims=True)
        found = np.array([ys[np.square(Z[:60] - z).sum(1).argmin()] for z in Z[60:]])
    task = Task.from_arrays(Xs, ys, Xt, base="1nn")
    method = Bda(k=4, mu=mu).fit(task)
    assert (method.predict(task.Xt).argmax(1).numpy() == found).all()
    ours = torch.cat([method.source(task.Xs), method.target(task.Xt)]).numpy()
    np.testing.assert_allclose(ours @ ours.T, Z @ Z.T, atol=1e-4)


@pytest.mark.reference(
    method="jda",
    source="Long et al. 2013, equation 9; the authors' JDA.m (primal, k 100; the paper's lambda for objects, 1)",
    compared="ten rounds at the default k by scipy's general eigenproblem, 1-NN by loops: classes, rows' products",
    differs="stops where no pseudo-label changes; components whose eigenvalue is rounding are left out",
)
def test_jda_is_the_authors_at_their_dimension():
    rng = np.random.default_rng(8)
    ys, yt = rng.integers(0, 4, 110), rng.integers(0, 4, 90)
    centres = 0.3 * rng.normal(size=(4, 120))
    Xs = (centres[ys] + rng.normal(size=(110, 120))).astype("f4")
    Xt = (centres[yt] + 1.5 * rng.normal(size=120) + rng.normal(size=(90, 120))).astype("f4")
    X = np.concatenate([Xs, Xt]).astype(float)
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).T
    e = np.r_[np.full(110, 1 / 110), np.full(90, -1 / 90)]
    found, seen = None, set()
    for _ in range(10):
        M = 4 * np.outer(e, e)
        for c in range(4) if found is not None else ():
            own = np.r_[(ys == c) / (ys == c).sum(), (found == c) / -max((found == c).sum(), 1)]
            M += np.outer(own, own)
        M /= np.linalg.norm(M)
        values, vectors = eig(X @ M @ X.T + np.eye(120), X @ (np.eye(200) - 1 / 200) @ X.T)
        Z = X.T @ vectors[:, np.argsort(values.real)[:100]].real
        Z /= np.linalg.norm(Z, axis=1, keepdims=True)
        found = np.array([ys[np.square(Z[:110] - z).sum(1).argmin()] for z in Z[110:]])
        seen.add(tuple(found))
    assert len(seen) > 2  # pseudo-labels move
    task = Task.from_arrays(Xs, ys, Xt, base="1nn")
    method = Jda().fit(task)
    assert method.map_.shape[1] == 100
    assert (method.predict(task.Xt).argmax(1).numpy() == found).all()
    ours = torch.cat([method.source(task.Xs), method.target(task.Xt)]).numpy()
    np.testing.assert_allclose(ours @ ours.T, Z @ Z.T, atol=1e-4)


@pytest.mark.reference(
    method="tjm",
    source="Long et al. 2014, equations 9 to 12; transferlearning's MyTJM.m without its pseudo-labels",
    compared="every round by scipy's general eigenproblem on kernels: share of rows dropped, products of directions",
    differs="components of equal variance as the paper has them (there: length 1); ends where the objective stands",
)
def test_tjm_is_the_papers():
    rng = np.random.default_rng(3)
    Xs = rng.normal(size=(60, 12)).astype("f4")
    Xt = (0.8 * rng.normal(size=(45, 12)) + 0.5 * rng.normal(size=12)).astype("f4")
    X = np.concatenate([Xs, Xt]).astype(float)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    method = Tjm(k=4)
    method.fit_map(Task.from_arrays(Xs, np.arange(60) % 3, Xt))
    e = np.r_[np.full(60, 1 / 60), np.full(45, -1 / 45)]
    K, M, H, g = X @ X.T, np.outer(e, e), np.eye(105) - 1 / 105, np.ones(105)
    M /= np.linalg.norm(M)
    for _ in range(int(method.certificate_["iterations"])):
        values, vectors = eigh(K @ H @ K, K @ M @ K + np.diag(g))
        A = vectors[:, -4:] / np.sqrt(values[-4:])  # so that A'KHKA = I
        length = np.linalg.norm(A, axis=1)
        g[:60] = 0.5 / np.maximum(length[:60], 1e-8 * length[:60].max())
    directions = X.T @ A
    directions /= np.linalg.norm(directions, axis=0)
    ours = method.map_.numpy()
    np.testing.assert_allclose(ours @ ours.T, directions @ directions.T, atol=1e-5)
    assert method.certificate_["dropped"] == (length[:60] < 1e-3 * length.max()).mean() > 0


@pytest.mark.reference(
    method="subspace_alignment",
    source="Fernando et al. 2013, algorithm 1 and section 3.3",
    compared="aligned rows by numpy's SVD, and the dimension of the best 1-NN on left-out source rows, by loops",
    differs="five folds for two; no bound by the eigenvalues' gaps",
)
def test_subspace_alignment_chooses_its_dimension_by_the_sources_labels():
    """What tells the classes varies little: twenty components do not hold it."""
    rng = np.random.default_rng(0)
    ys, width = rng.integers(0, 3, 150), np.linspace(3, 0.6, 60)
    Xs, Xt = rng.normal(size=(150, 60)) * width, rng.normal(size=(120, 60)) * width + 1
    Xs[np.arange(150), 25 + ys] += 6
    Xs, Xt = Xs.astype("f4"), Xt.astype("f4")
    A, B = Xs - Xs.mean(0, dtype=float), Xt - Xt.mean(0, dtype=float)
    fold = np.zeros(150, int)
    for c in range(3):
        fold[ys == c] = np.arange((ys == c).sum()) % 5
    right = {}
    for k in (5, 10, 20, 40, 60):
        Ps, Pt = (np.linalg.svd(X, full_matrices=False)[2][:k].T for X in (A, B))
        Z = A @ Ps @ Ps.T @ Pt
        D = cdist(Z, Z) + 1e9 * (fold[:, None] == fold)
        right[k] = (ys[D.argmin(1)] == ys).mean()
    best = max(right, key=right.__getitem__)
    assert best > 20
    task = Task.from_arrays(Xs, ys, Xt, base="1nn")
    method = SubspaceAlignment().fit(task)
    assert method.certificate_["dimensions"] == best
    fixed = SubspaceAlignment(k=best).fit(task)
    torch.testing.assert_close(method.source(task.Xs), fixed.source(task.Xs))
