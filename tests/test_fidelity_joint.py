"""Methods that align marginals and class-conditionals jointly, against explicit dense n x n constructions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from zoo.adapters.feature.bda import Bda
from zoo.adapters.feature.jda import Jda
from zoo.adapters.feature.jgsa import Jgsa
from zoo.adapters.feature.meda import Meda
from zoo.adapters.feature.tjm import Tjm
from zoo.errors import BadInput
from zoo.ops import joint
from zoo.task import Task

C = 3
METHODS = [Jda, Bda, Jgsa, Tjm, Meda]


def rows(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes in C corners; `seed` 1 is the target, moved a little."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % C
    return (rng.normal(size=(n, d)) + 2 * np.eye(C, d)[y] + 0.3 * seed).astype(np.float32), y


def task(d: int = 7, n_s: int = 60, n_t: int = 45, base: str = "1nn", scale: float = 1.0) -> Task:
    (Xs, ys), (Xt, _) = rows(n_s, d, 0), rows(n_t, d, 1)
    return Task.from_arrays(scale * Xs, ys, scale * Xt, base=base)


def lengthened(X: np.ndarray) -> np.ndarray:
    X = X.astype(float)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def dense(ys: np.ndarray, yt: np.ndarray, marginal: float, conditional: float) -> np.ndarray:
    """The MMD matrix by loops over pairs of samples (Long et al. 2013, equations 4 and 7)."""
    n, m = len(ys), len(yt)
    y, M = np.concatenate([ys, yt]), np.zeros((n + m, n + m))
    for i in range(n + m):
        for j in range(n + m):
            sign = 1 if (i < n) == (j < n) else -1
            M[i, j] = marginal * sign / ((n if i < n else m) * (n if j < n else m))
            c = y[i]
            if y[j] == c and (ys == c).any() and (yt == c).any():
                a, b = (ys == c).sum(), (yt == c).sum()
                M[i, j] += conditional * sign / ((a if i < n else b) * (a if j < n else b))
    return M


def over_frobenius(M: np.ndarray) -> np.ndarray:
    return M / np.linalg.norm(M)


# Factors --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True])
def test_factors_equal_loops(missing):
    ys, yt = np.arange(14) % C, np.arange(9) % (C - missing)  # a class without pseudo-labels drops out
    e0, ec = joint.mmd_factors(torch.from_numpy(ys), torch.from_numpy(yt), len(yt), C)
    ours = 2.0 * e0 @ e0.T + 0.7 * ec @ ec.T
    np.testing.assert_allclose(ours.numpy(), dense(ys, yt, 2.0, 0.7), atol=1e-14)
    assert bool((ec[:, C - 1] == 0).all()) is missing


def test_root_is_over_the_frobenius_norm():
    ys, yt = np.arange(14) % C, np.arange(9) % C
    E = joint.mmd_root(torch.from_numpy(ys), torch.from_numpy(yt), len(yt), C, 3.0, 0.5)
    np.testing.assert_allclose((E @ E.T).numpy(), over_frobenius(dense(ys, yt, 3.0, 0.5)), atol=1e-14)


def test_leading_leaves_out_what_is_rounding():
    A = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, vectors = joint.leading(A @ A.T, 6)  # of rank 4
    assert len(values) == 4
    torch.testing.assert_close((vectors * values) @ vectors.T, A @ A.T, atol=1e-12, rtol=0)
    assert (values.diff() <= 0).all()
    with pytest.raises(FloatingPointError):
        joint.leading(A @ A.T * torch.inf, 2)


# JDA and BDA ----------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="jda",
    source="Long et al. 2013, eq. 4, 7 and 9; scipy.linalg.eigh",
    compared="mapped rows of one solution, from the MMD matrix by loops",
    differs="k of 20, by a look at target accuracy; directions of length 1, as the authors' code",
)
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("d", [7, 60])  # primal, and more columns than rows
def test_components_equal_scipys_generalised_eigenproblem(d, unit):
    (Xs, ys), (Xt, yt) = rows(21, d, 0), rows(15, d, 1)
    shared = joint.joint_rows(torch.from_numpy(Xs), torch.from_numpy(Xt), float(unit))
    E = joint.mmd_root(torch.from_numpy(ys), torch.from_numpy(yt), len(yt), C, C, 1.0)
    A = joint.components(shared, E, 4, 0.5)
    J = np.concatenate([Xs, Xt]).astype(float)
    J = lengthened(J) if unit else J / np.sqrt(J.var(0).mean())
    left = J.T @ over_frobenius(dense(ys, yt, C, 1.0)) @ J + 0.5 * np.eye(d)
    H = np.eye(len(J)) - 1 / len(J)
    values, vectors = eigh(J.T @ H @ J, left)
    assert values[-4] - values[-5] > 1e-6  # the subspace is determined
    Z, V = (shared.Z @ A).numpy(), J @ vectors[:, -4:]  # scipy's vectors, too, are of length 1 under `left`
    np.testing.assert_allclose((Z - Z.mean(0)) @ (Z - Z.mean(0)).T, H @ V @ V.T @ H, atol=1e-9)
    new = rows(5, d, 0)[0]  # new points: the same up to a shift, if in the rows' span
    if d == 7:
        ours = (lengthened(new) if unit else new) @ (shared.basis @ A).numpy()
        theirs = (lengthened(new) if unit else new / np.sqrt(np.concatenate([Xs, Xt]).astype(float).var(0).mean())) @ (
            vectors[:, -4:]
        )
        np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-7)


def test_bda_in_balance_is_jda():
    """mu = 1/2 halves both terms, which the Frobenius norm takes back; both count the marginal one C times."""
    torch.testing.assert_close(Bda(k=4).fit(task()).map_, Jda(k=4).fit(task()).map_, rtol=0, atol=1e-10)


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_bda_at_its_limits(mu):
    given = task()
    method = Bda(k=4, mu=mu).fit(given)
    if mu == 0:  # nothing depends on the labels: the first solution stays
        torch.testing.assert_close(method.map_, Bda(k=4, mu=0, T=1).fit(task()).map_, rtol=0, atol=0)
        return
    # the last map is that of the conditional terms alone
    before = Bda(k=4, mu=1.0, T=max(int(method.certificate_["iterations"]) - 1, 1)).fit(task())
    yt = before.predict(given.Xt).argmax(1).numpy()
    J = lengthened(torch.cat([given.Xs, given.Xt]).numpy())
    M = over_frobenius(dense(given.ys.numpy(), yt, 0.0, 1.0))
    V = eigh(J.T @ (np.eye(len(J)) - 1 / len(J)) @ J, J.T @ M @ J + np.eye(7))[1][:, -4:]
    V /= np.linalg.norm(V, axis=0)
    ours = method.map_.numpy()
    np.testing.assert_allclose(ours @ ours.T, V @ V.T, atol=1e-7)


def test_jda_brings_class_means_together():
    """In the projected space the class means of the two domains are closer, relative to the spread, than in PCA's."""
    given, yt = task(d=20, n_s=300, n_t=300), rows(300, 20, 1)[1]

    def gap(reg):
        method = Jda(k=5, reg=reg).fit(given)
        Zs, Zt = method.source(given.Xs).numpy(), method.target(given.Xt).numpy()
        spread = np.concatenate([Zs, Zt]).var(0).sum()
        return sum(((Zs[given.ys.numpy() == c].mean(0) - Zt[yt == c].mean(0)) ** 2).sum() for c in range(C)) / spread

    assert gap(1e-3) < 0.3 * gap(1e6)  # with a large reg the alignment has no weight


# JGSA -----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="jgsa",
    source="Zhang, Li and Ogunbona 2017; scipy.linalg.eigh",
    compared="both projections, from scatters and MMD matrix by loops",
    differs="MMD matrices over their Frobenius norm, as the authors' code; lengths as a symmetric solver gives them",
)
@pytest.mark.parametrize("d", [6, 50])  # 50: neither scatter has full rank
def test_coupled_equals_the_dense_pencil_by_loops(d):
    """Zhang et al. (2017): every term as a sum over samples and classes, solved by scipy in 2d dimensions."""
    (Xs, ys), (Xt, yt) = rows(21, d, 0), rows(16, d, 1)
    Xs, Xt, n, m = lengthened(Xs), lengthened(Xt), 21, 16
    reg, beta, mu, k = 0.7, 0.2, 1.3, 4
    between, within, variance = np.zeros((d, d)), np.zeros((d, d)), np.zeros((d, d))
    for c in range(C):
        mean = Xs[ys == c].mean(0)
        between += (ys == c).sum() * np.outer(mean - Xs.mean(0), mean - Xs.mean(0))
        for x in Xs[ys == c]:
            within += np.outer(x - mean, x - mean)
    for x in Xt:
        variance += np.outer(x - Xt.mean(0), x - Xt.mean(0))
    M, eye, zero = over_frobenius(dense(ys, yt, C, 1.0)), np.eye(d), np.zeros((d, d))
    s_max = np.block([[beta * between, zero], [zero, mu * variance]])
    s_min = np.block(
        [
            [Xs.T @ M[:n, :n] @ Xs + reg * eye + beta * within, Xs.T @ M[:n, n:] @ Xt - reg * eye],
            [Xt.T @ M[n:, :n] @ Xs - reg * eye, Xt.T @ M[n:, n:] @ Xt + (reg + mu) * eye],
        ]
    )
    values, W = eigh(s_max, s_min)
    assert values[-k] - values[-k - 1] > 1e-6
    ys_, yt_ = torch.from_numpy(ys), torch.from_numpy(yt)
    parts = joint.geometry(torch.from_numpy(Xs), ys_, torch.from_numpy(Xt), C, reg, beta, mu)
    E = joint.mmd_root(ys_, yt_, m, C, C, 1.0).numpy()
    F = torch.from_numpy(np.concatenate([Xs.T @ E[:n], Xt.T @ E[n:]]))
    ours = torch.cat(joint.coupled(parts, F, k)).numpy()
    np.testing.assert_allclose((parts.G @ parts.G.T).numpy(), s_max, atol=1e-12)
    np.testing.assert_allclose(ours @ ours.T, W[:, -k:] @ W[:, -k:].T, atol=1e-9)


def test_jgsa_in_the_rows_space_is_exact():
    """With d > n the fit happens in the rows' own space: padding with columns of zeros changes nothing."""
    wide = task(d=30, n_s=24, n_t=18)  # n = 42 > 30: as it is
    padded = Task.from_arrays(
        *(np.pad(X, ((0, 0), (0, 30))) for X in (wide.Xs,)), wide.ys, np.pad(wide.Xt, ((0, 0), (0, 30))), base="1nn"
    )
    a, b = Jgsa(k=5).fit(wide), Jgsa(k=5).fit(padded)
    for ours, theirs in zip(a.maps_, b.maps_, strict=True):
        torch.testing.assert_close(ours @ ours.T, (theirs @ theirs.T)[:30, :30], atol=1e-9, rtol=0)
        assert float(theirs[30:].abs().max()) < 1e-12


def test_jgsa_ties_the_projections_together_as_reg_grows():
    def apart(reg):
        A, B = Jgsa(k=3, reg=reg).fit(task()).maps_
        return float((A - B).norm() / B.norm())

    assert apart(1e4) < 1e-3 < 0.05 < apart(0.1)


# TJM ------------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="tjm",
    source="Long et al. 2014; scipy.linalg.eigh",
    compared="eigenvalues and coefficients of one solution of the kernel problem",
    differs="linear kernel; stops where the objective no longer falls",
)
@pytest.mark.parametrize("d", [7, 60])
def test_matching_equals_the_dense_kernel_problem(d):
    (Xs, _), (Xt, _) = rows(21, d, 0), rows(15, d, 1)
    n, N, k, reg = 21, 36, 4, 0.8
    J = lengthened(np.concatenate([Xs, Xt]))
    K, H = J @ J.T, np.eye(N) - 1 / N
    e = np.r_[np.full(n, 1 / n), np.full(N - n, -1 / (N - n))]
    e /= np.linalg.norm(e)
    g = np.r_[np.random.default_rng(0).uniform(0.5, 20, n), np.ones(N - n)]
    values, V = eigh(K @ H @ K, K @ np.outer(e, e) @ K + reg * np.diag(g))
    V = V[:, -k:] / np.sqrt(values[-k:])  # scipy's vectors have length 1 under the right matrix, ours under KHK
    # Joint rows leave out directions in which nothing varies, and with them a constant: J itself goes in here.
    centred = J - J.mean(0)
    w, U = np.linalg.eigh(centred.T @ centred)
    given = joint.Rows(*(torch.from_numpy(np.ascontiguousarray(a)) for a in (J @ U, w.clip(0), U)))
    found, A = joint.matching(given, torch.from_numpy(e), torch.from_numpy(g), k, reg)
    np.testing.assert_allclose(found.numpy(), values[-k:][::-1], rtol=1e-9)
    np.testing.assert_allclose((A @ A.T).numpy(), V @ V.T, atol=1e-8 * np.abs(V @ V.T).max())
    np.testing.assert_allclose(A.T.numpy() @ K @ H @ K @ A.numpy(), np.eye(k), atol=1e-9)


def test_tjm_descends_on_its_own_objective_by_subgradients():
    given = task(d=12)
    method = Tjm(k=4, reg=0.5).fit(given)
    steps = np.array(method.objective_)
    assert len(steps) > 2
    assert (np.diff(steps) <= 1e-10 * steps[0]).all()
    # Once more by hand from the weights of one step less: objective and weights are those of the paper.
    before = Tjm(k=4, reg=0.5, T=len(steps) - 1).fit(given).weights_
    shared = joint.joint_rows(given.Xs, given.Xt, 1.0)
    e = joint.mmd_root(given.ys, None, 45, C, 1.0, 0.0)[:, 0]
    A = joint.matching(shared, e, before, 4, 0.5)[1].requires_grad_()
    K = shared.Z @ shared.Z.T
    sparsity = A[:60].norm(dim=1).sum() + A[60:].square().sum()
    objective = (A.T @ K @ torch.outer(e, e) @ K @ A).trace() + 0.5 * sparsity
    assert float(objective.detach()) == pytest.approx(steps[-1], rel=1e-10)
    (gradient,) = torch.autograd.grad(sparsity, A)
    torch.testing.assert_close(2 * method.weights_[:, None] * A.detach(), gradient, rtol=1e-8, atol=1e-12)


def test_tjm_is_sparse_in_source_samples_only():
    """The L2,1 norm empties rows, where the squares of the first step empty none; the target's stay."""
    given = task(d=20, n_s=120, n_t=90)
    assert Tjm(k=3, T=1).fit(given).certificate_["dropped"] == 0
    method = Tjm(k=3).fit(given)
    assert method.certificate_["dropped"] > 0.9
    assert (method.weights_[120:] == 1).all()


# All ------------------------------------------------------------------------------------------------------------------


def shape(method, given):
    """What a fit found, in float64 and free of signs: inner products of mapped samples, or scores."""
    if isinstance(method, Meda):
        return method.predict(given.Xt).double()
    if isinstance(method, Jgsa):
        Z = torch.cat([joint.unit_rows(X) @ m for X, m in zip((given.Xs, given.Xt), method.maps_, strict=True)])
    else:
        Z = joint.unit_rows(joint.unit_rows(torch.cat([given.Xs, given.Xt])) @ method.map_)
    return Z @ Z.T


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize("d", [40, 150])
def test_threads(cls, d):
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            given = task(d=d)
            results.append(shape(cls().fit(given), given))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*results, rtol=0, atol=1e-8)


@pytest.mark.parametrize("cls", METHODS)
def test_orders_of_samples_and_features_do_not_matter(cls):
    """They turn signs and bases of eigenvectors."""
    given, g = task(d=25), torch.Generator().manual_seed(0)
    a, b, c = (torch.randperm(n, generator=g) for n in (60, 45, 25))
    other = Task.from_arrays(given.Xs[a][:, c], given.ys[a], given.Xt[b][:, c], base="1nn")
    first, second = shape(cls().fit(given), given), shape(cls().fit(other), other)
    both = torch.cat([a, 60 + b])
    first = first[b] if cls is Meda else first[both][:, both]
    torch.testing.assert_close(first, second, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", [Jda(l2=False), Bda(l2=False), Jgsa(l2=False), Tjm(l2=False), Jda(), Jgsa(), Meda()])
def test_units_do_not_matter(method):
    small, large = task(d=9), task(d=9, scale=2.0**20)
    a, b = method.fit(small).predict(small.Xt), method.fit(large).predict(large.Xt)
    torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cls", METHODS)
def test_a_class_that_no_target_sample_has(cls):
    (Xs, ys), (Xt, yt) = rows(90, 8, 0), rows(60, 8, 1)
    Xs, Xt = Xs + 4 * np.eye(C, 8, dtype=np.float32)[ys], Xt + 4 * np.eye(C, 8, dtype=np.float32)[yt]
    given = Task.from_arrays(Xs, ys, Xt[yt > 0], base="1nn")
    scores = cls().fit(given).predict(given.Xt)
    assert torch.isfinite(scores).all()
    assert (scores.argmax(1).numpy() == yt[yt > 0]).mean() > 0.8


@pytest.mark.parametrize("cls", METHODS)
def test_equal_samples_have_their_reason(cls):
    given = Task.from_arrays(np.ones((12, 4)), np.arange(12) % C, np.ones((6, 4)), base="1nn")
    with pytest.raises(FloatingPointError, match="equal"):
        cls().fit(given)


@pytest.mark.parametrize(
    "method",
    [
        Jda(k=0),
        Jda(reg=0.0),
        Bda(mu=1.5),
        Bda(T=0),
        Jgsa(beta=0.0),
        Jgsa(k=0),
        Tjm(reg=-1.0),
        Tjm(T=0),
        Meda(d=0),
        Meda(eta=0.0),
        Meda(mu=-0.1),
    ],
    ids=repr,
)
def test_bad_parameters(method):
    with pytest.raises(BadInput, match=f"^{type(method).__name__.lower()}: "):
        method.fit(task())
