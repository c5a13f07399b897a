"""MEDA: its Laplacian, its formula and its Nyström version, against explicit dense n x n constructions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.test_fidelity_joint import C, dense, lengthened, over_frobenius, rows, task
from zoo.adapters.feature.meda import Meda
from zoo.ops import joint, regularised
from zoo.ops.subspaces import geodesic_flow
from zoo.task import Task


def laplacian(X: np.ndarray, p: int) -> np.ndarray:
    n, W = len(X), np.zeros((len(X), len(X)))
    for i in range(n):
        cosine = X @ X[i]
        order = [j for j in np.argsort(-cosine, kind="stable") if j != i][:p]
        for j in order:
            W[i, j] = W[j, i] = max(cosine[j], 0)
    root = 1 / np.sqrt(W.sum(1))
    return np.eye(n) - root[:, None] * W * root


def test_cosine_laplacian_equals_loops():
    X = lengthened(np.concatenate([rows(20, 4, 0)[0], rows(14, 4, 1)[0]]))
    ours = joint.cosine_laplacian(torch.from_numpy(X), 5).to_dense().numpy()
    np.testing.assert_allclose(ours, laplacian(X, 5), atol=1e-12)


def by_hand(given: Task, d: int, reg: float, eta: float, rho: float, p: int, mu: float, T: int):
    """MEDA in dense numpy; subspaces by singular values."""
    Xs, Xt = given.Xs.double().numpy(), given.Xt.double().numpy()
    n, N = len(Xs), len(Xs) + len(Xt)
    Ps, Pt = (np.linalg.svd(X - X.mean(0), full_matrices=False)[2][:d].T for X in (Xs, Xt))
    flow = geodesic_flow(torch.from_numpy(Ps), torch.from_numpy(Pt)).numpy()
    centre = np.concatenate([Xs, Xt]).mean(0)
    Z = lengthened((np.concatenate([Xs, Xt]) - centre) @ flow)
    K = np.exp(-0.5 * ((Z[:, None] - Z[None]) ** 2).sum(2))
    ys = given.ys.numpy()
    yt = ys[((Z[n:, None] - Z[None, :n]) ** 2).sum(2).argmin(1)]
    A, Y, L = np.diag(np.r_[np.ones(n), np.zeros(N - n)]), np.zeros((N, C)), laplacian(Z, p)
    Y[np.arange(n), ys] = 1
    for _ in range(T):
        M = over_frobenius(dense(ys, yt, (1 - mu) * C, mu))
        beta = np.linalg.solve((A + reg * M + rho * L) @ K + eta * np.eye(N), A @ Y)
        yt = (K @ beta)[n:].argmax(1)
    return beta, lambda X: np.exp(-0.5 * ((lengthened((X - centre) @ flow)[:, None] - Z[None]) ** 2).sum(2)) @ beta


@pytest.mark.reference(
    method="meda",
    source="Wang et al. 2018 and the authors' code (MMD matrix over its norm)",
    compared="coefficients and scores of new points, dense, by NumPy",
    differs="the balance µ is fixed, theirs estimated; Nyström above 3,000 samples",
)
@pytest.mark.parametrize("T", [1, 2])
def test_meda_equals_the_dense_formula(T):
    given, options = task(d=12), {"d": 4, "reg": 5.0, "eta": 0.2, "rho": 0.7, "p": 6, "mu": 0.3}
    method = Meda(**options, T=T).fit(given)
    assert method.certificate_["iterations"] == T
    beta, function = by_hand(given, **options, T=T)
    np.testing.assert_allclose(method.expansion_.weights.numpy(), beta, atol=1e-8)
    X = rows(30, 12, 1)[0]
    scores = method.predict(torch.from_numpy(X)).numpy()  # the kernel expansion at new points
    values = function(X.astype(float))
    np.testing.assert_allclose(scores, joint.on_simplex(torch.from_numpy(values)).numpy(), atol=1e-8)
    assert (scores.argmax(1) == values.argmax(1)).all()


def test_simplex_is_the_nearest_point():
    for f in np.random.default_rng(0).normal(size=(5, 4)):
        best = minimize(
            lambda s, f=f: ((s - f) ** 2).sum(),
            np.full(4, 0.25),
            bounds=[(0, 1)] * 4,
            constraints={"type": "eq", "fun": lambda s: s.sum() - 1},
            tol=1e-12,
        )
        np.testing.assert_allclose(joint.on_simplex(torch.from_numpy(f[None]))[0].numpy(), best.x, atol=1e-6)


def test_nystrom_becomes_exact(monkeypatch):
    given, X = task(d=12, n_s=150, n_t=120), torch.from_numpy(rows(60, 12, 1)[0])
    exact = Meda(d=4).fit(given)
    assert exact.certificate_["nystrom_error"] == 0
    monkeypatch.setattr(regularised, "EXACT", 0)
    off, error = [], []
    for m in (5, 40, 270):
        approximate = Meda(d=4, landmarks=m).fit(given)
        off.append(float((approximate.predict(X) - exact.predict(X)).abs().max()))
        error.append(approximate.certificate_["nystrom_error"])
    assert off[2] < 1e-6 < off[0]
    assert error[2] < 1e-10 < error[1] < error[0]
