"""Subspace methods against their definitions: explicit matrices, quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad_vec
from scipy.linalg import eigh, fractional_matrix_power, orth, subspace_angles
from sklearn.decomposition import PCA

from zoo.adapters.feature.coral import Coral
from zoo.adapters.feature.easytl import Easytl
from zoo.adapters.feature.gfk import Gfk
from zoo.adapters.feature.pca import Pca
from zoo.adapters.feature.subspace_alignment import SubspaceAlignment
from zoo.adapters.feature.tca import Tca
from zoo.errors import BadInput
from zoo.ops.coral import times_power
from zoo.ops.subspaces import geodesic_flow, joint_spectrum, landmarks, spectrum, subspace_pair
from zoo.task import Task

MAPPINGS = (Pca, SubspaceAlignment, Gfk, Tca, Coral)


def rows(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * 1.3 ** -np.arange(d) @ rng.normal(size=(d, d)) + rng.normal(size=d)).astype("f4")


def mapped(method, Xs: np.ndarray, Xt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    method.fit_map(Task.from_arrays(Xs, np.arange(len(Xs)) % 2, Xt))
    return tuple(f(torch.from_numpy(X).double()).numpy() for f, X in ((method.source, Xs), (method.target, Xt)))


def same_up_to_signs(ours: np.ndarray, expected: np.ndarray, atol: float) -> None:
    assert ours.shape == expected.shape
    signs = np.sign((ours * expected).sum(0))
    assert (signs != 0).all()
    np.testing.assert_allclose(ours * signs, expected, atol=atol * np.abs(expected).max())


# Principal components -------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="pca",
    source="Hotelling 1933; scikit-learn's PCA",
    compared="mapped rows and explained variance",
    differs="nothing",
)
@pytest.mark.parametrize("shape", [(60, 45, 12), (20, 15, 50)])  # more rows than columns, and the reverse
def test_pca_equals_scikit_learns_on_the_pooled_rows(shape):
    n, m, d = shape
    Xs, Xt = rows(n, d, 0), rows(m, d, 1)
    pooled = np.concatenate([Xs, Xt]).astype(float)
    reference = PCA(5, svd_solver="full").fit(pooled)
    method = Pca(k=5)
    same_up_to_signs(np.concatenate(mapped(method, Xs, Xt)), reference.transform(pooled), 1e-9)
    assert method.certificate_["explained"] == pytest.approx(reference.explained_variance_ratio_.sum(), abs=1e-10)


@pytest.mark.parametrize(("n", "d"), [(30, 8), (8, 30), (9, 9), (1, 4)])
def test_spectrum_is_the_covariance_whole(n, d):
    X = rows(n, d, 2)
    X[:, 1] = 0.1  # constant, and not a number that float32 holds exactly
    s = spectrum(torch.from_numpy(X))
    V, values = s.vectors.numpy(), s.values.numpy()
    expected = np.cov(X.astype(float), rowvar=False) if n > 1 else np.zeros((d, d))
    np.testing.assert_allclose((V * values) @ V.T, expected, atol=1e-12 * max(1, np.abs(expected).max()))
    np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=1e-12)
    assert V.shape[1] == np.linalg.matrix_rank(expected)
    assert (np.diff(values) <= 0).all()


def test_signs_and_order_do_not_depend_on_the_rows_order():
    X = torch.from_numpy(rows(40, 6, 3))
    torch.testing.assert_close(spectrum(X).vectors, spectrum(X.flip(0)).vectors, rtol=0, atol=1e-10)


# CORAL ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [-0.5, 0.5])
@pytest.mark.parametrize(("n", "d"), [(40, 9), (9, 40)])
def test_times_power_equals_scipys_fractional_power(n, d, power):
    X = rows(n, d, 4)
    C = np.cov(X.astype(float), rowvar=False) + 0.3 * np.eye(d)
    ours = times_power(torch.from_numpy(X), spectrum(torch.from_numpy(X)), 0.3, power).numpy()
    np.testing.assert_allclose(ours, X.astype(float) @ fractional_matrix_power(C, power), rtol=1e-8, atol=1e-8)


# Subspace alignment ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(60, 45, 12), (20, 15, 50)])
def test_subspace_alignment_equals_its_definition(shape):
    n, m, d = shape
    Xs, Xt = rows(n, d, 0), rows(m, d, 1)
    A, B = Xs - Xs.mean(0, dtype=float), Xt - Xt.mean(0, dtype=float)
    Ps, Pt = (np.linalg.svd(X, full_matrices=False)[2][:4].T for X in (A, B))
    source, target = mapped(SubspaceAlignment(k=4), Xs, Xt)
    same_up_to_signs(np.concatenate([source, target]), np.concatenate([A @ Ps @ Ps.T @ Pt, B @ Pt]), 1e-9)


def test_subspace_alignment_with_all_directions_only_turns():
    """With k = d the projection is the identity: distances within and between the centred domains stay."""
    Xs, Xt = rows(50, 6, 0), rows(40, 6, 1)
    Z = np.concatenate(mapped(SubspaceAlignment(k=99), Xs, Xt))
    X = np.concatenate([Xs - Xs.mean(0, dtype=float), Xt - Xt.mean(0, dtype=float)])
    np.testing.assert_allclose(Z @ Z.T, X @ X.T, atol=1e-9 * np.abs(X @ X.T).max())


def test_a_target_of_few_samples_keeps_its_directions_and_is_completed():
    s, t = spectrum(torch.from_numpy(rows(50, 12, 0))), spectrum(torch.from_numpy(rows(3, 12, 1)))
    Ps, Pt = subspace_pair(s, t, 6)
    assert t.vectors.shape[1] == 2
    torch.testing.assert_close(Pt[:, :2], t.vectors, rtol=0, atol=0)
    torch.testing.assert_close(Pt.T @ Pt, torch.eye(6, dtype=Pt.dtype), rtol=0, atol=1e-12)
    both = torch.cat([Ps, t.vectors], 1)
    assert np.linalg.matrix_rank(torch.cat([both, Pt], 1).numpy()) == np.linalg.matrix_rank(both.numpy())


# The geodesic flow kernel ---------------------------------------------------------------------------------------------


def geodesic_integral(Ps: np.ndarray, Pt: np.ndarray) -> np.ndarray:
    """∫ Φ Φᵀ by adaptive quadrature along the Grassmannian's exponential (Edelman et al. 1998, theorem 2.3)."""
    M = Ps.T @ Pt
    U, tangent, Vh = np.linalg.svd((Pt - Ps @ M) @ np.linalg.inv(M), full_matrices=False)
    theta = np.arctan(tangent)

    def projector(t: float) -> np.ndarray:
        Phi = Ps @ Vh.T * np.cos(t * theta) + U * np.sin(t * theta)
        return Phi @ Phi.T

    np.testing.assert_allclose(projector(1.0), Pt @ Pt.T, atol=1e-9)  # it arrives
    return quad_vec(projector, 0, 1, epsabs=1e-12)[0]


def bases(d: int, k: int, apart: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Ps = orth(rng.normal(size=(d, k)))
    return Ps, orth(Ps + apart * rng.normal(size=(d, k)))


@pytest.mark.parametrize(("d", "k"), [(30, 4), (9, 3), (7, 5)])  # 2k > d: some angles are 0
@pytest.mark.parametrize("apart", [1e-6, 0.1, 3.0])
def test_geodesic_flow_equals_quadrature(d, k, apart):
    Ps, Pt = bases(d, k, apart)
    F = geodesic_flow(torch.from_numpy(Ps), torch.from_numpy(Pt)).numpy()
    assert F.shape == (d, 2 * k)
    np.testing.assert_allclose(F @ F.T, geodesic_integral(Ps, Pt), atol=1e-8)


def test_geodesic_flow_depends_on_the_subspaces_only():
    (Ps, Pt), rng = bases(20, 4, 0.5), np.random.default_rng(1)
    Qs, Qt = (np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(2))
    F, turned = (geodesic_flow(torch.from_numpy(A), torch.from_numpy(B)) for A, B in ((Ps, Pt), (Ps @ Qs, Pt @ Qt)))
    torch.testing.assert_close(F @ F.T, turned @ turned.T, rtol=0, atol=1e-12)


def test_geodesic_flow_from_a_subspace_to_itself_is_its_projection():
    P, _ = bases(15, 4, 1.0)
    F = geodesic_flow(torch.from_numpy(P), torch.from_numpy(P)).numpy()
    np.testing.assert_allclose(F @ F.T, P @ P.T, atol=1e-12)


def test_geodesic_flow_between_orthogonal_lines():
    """Half a right angle's turn: ∫ (a cos + b sin)(a cos + b sin)ᵀ over [0, π/2] is ½ on and 1/π off the diagonal."""
    F = geodesic_flow(torch.eye(3, 1), torch.eye(3)[:, 1:2]).abs()
    expected = torch.tensor([[0.5, 1 / np.pi, 0], [1 / np.pi, 0.5, 0], [0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(F @ F.T, expected, rtol=0, atol=1e-12)


@pytest.mark.reference(
    method="gfk",
    source="Gong et al. 2012, eq. 4 to 8; Edelman et al. 1998, theorem 2.3",
    compared="kernel of mapped rows, by SciPy's quadrature along the geodesic",
    differs="one dimension for all pairs, theirs by the subspaces' disagreement; rows centred by domain",
)
def test_gfk_maps_by_that_kernel_of_the_principal_components():
    Xs, Xt = rows(60, 12, 0), rows(45, 12, 1)
    A, B = Xs - Xs.mean(0, dtype=float), Xt - Xt.mean(0, dtype=float)
    G = geodesic_integral(*(PCA(4, svd_solver="full").fit(X).components_.T for X in (A, B)))
    source, target = mapped(Gfk(k=4), Xs, Xt)
    np.testing.assert_allclose(source @ target.T, A @ G @ B.T, atol=1e-8 * np.abs(A @ G @ B.T).max())


# TCA ------------------------------------------------------------------------------------------------------------------


def explicit_tca(K: np.ndarray, n: int, k: int, mu: float) -> np.ndarray:
    """K W of the n x n generalised eigenproblem, as the paper writes it."""
    size = len(K)
    weight = np.r_[np.full(n, 1 / n), np.full(size - n, -1 / (size - n))]
    H = np.eye(size) - 1 / size
    values, vectors = eigh(K @ H @ K, K @ np.outer(weight, weight) @ K + mu * np.eye(size))
    assert np.diff(values[-k - 1 :]).min() > 1e-6 * values[-1]  # so that each component is determined
    return K @ vectors[:, : -k - 1 : -1]


def squared(X: np.ndarray) -> np.ndarray:
    return ((X[:, None] - X[None]) ** 2).sum(2)


@pytest.mark.reference(
    method="tca",
    source="Pan et al. 2011; scipy.linalg.eigh",
    compared="mapped rows, by the n × n generalised eigenproblem",
    differs="rows brought to one length, which this test turns off",
)
@pytest.mark.parametrize("mu", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("shape", [(40, 25, 8), (18, 14, 60)])
def test_tca_equals_the_explicit_eigenproblem(shape, mu):
    n, m, d = shape
    Xs, Xt = rows(n, d, 0), rows(m, d, 1)
    X = np.concatenate([Xs, Xt]).astype(float)
    X -= X.mean(0)
    same_up_to_signs(np.concatenate(mapped(Tca(k=3, mu=mu, unit=False), Xs, Xt)), explicit_tca(X @ X.T, n, 3, mu), 1e-6)


@pytest.mark.parametrize("mu", [0.01, 1.0])
def test_tca_with_a_gaussian_kernel_equals_it_too(mu):
    Xs, Xt = rows(40, 8, 0), rows(25, 8, 1)
    K = np.exp(-0.05 * squared(np.concatenate([Xs, Xt]).astype(float)))
    method = Tca(k=3, mu=mu, kernel="gaussian", gamma=0.05, unit=False)
    same_up_to_signs(np.concatenate(mapped(method, Xs, Xt)), explicit_tca(K, 40, 3, mu), 1e-6)
    assert method.certificate_["nystroem_error"] == 0


def test_a_strong_penalty_makes_the_means_meet():
    Xs, Xt = rows(40, 8, 0), rows(25, 8, 1)

    def apart(mu: float) -> float:
        source, target = mapped(Tca(k=4, mu=mu, unit=False), Xs, Xt)
        return float(np.linalg.norm(source.mean(0) - target.mean(0)) / np.concatenate([source, target]).std())

    assert apart(1e-3) < 0.01 < 0.1 < apart(1e9)  # mu is the weight of |W|², against the distance of the means


def test_tca_scales_rows_to_one_length():
    Z = np.concatenate(mapped(Tca(k=4), rows(40, 8, 0), rows(25, 8, 1)))
    np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 2.0)


def test_nystroem_error_is_the_trace_left_out_and_vanishes():
    X, gamma = rows(70, 5, 6), 0.02
    K = np.exp(-gamma * squared(X.astype(float)))
    for m in (5, 20, 40):
        found = landmarks(torch.from_numpy(X), m, gamma)
        order = [int(np.flatnonzero((r.numpy().astype("f4") == X).all(1))[0]) for r in found.rows]
        assert len(set(order)) == m
        rest = K - K[:, order] @ np.linalg.solve(K[np.ix_(order, order)], K[order])
        assert found.error == pytest.approx(np.trace(rest) / len(K), rel=1e-4, abs=1e-9)
    exact = explicit_tca(K, 40, 3, 1.0)
    angles = []
    for m in (5, 20, 60):
        method = Tca(k=3, kernel="gaussian", gamma=gamma, landmarks=m, unit=False)
        Z = np.concatenate(mapped(method, X[:40], X[40:]))
        assert method.certificate_["nystroem_error"] > 0
        angles.append(subspace_angles(Z, exact).max())
    assert angles[0] > angles[1] > angles[2]
    assert angles[2] < 1e-3


def test_landmarks_do_not_depend_on_the_rows_order_and_stop_at_the_rank():
    X = torch.from_numpy(rows(30, 4, 7))
    torch.testing.assert_close(landmarks(X, 9, 0.1).rows, landmarks(X.flip(0), 9, 0.1).rows, rtol=0, atol=0)
    assert len(landmarks(X[:6].repeat(5, 1), 20, 0.1).rows) == 6


# All ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", MAPPINGS, ids=lambda m: m.__name__)
def test_more_dimensions_than_there_are(method):
    Xs, Xt = rows(9, 30, 0), rows(4, 30, 1)
    Xs[:, 5] = Xt[:, 5] = 2.0
    source, target = mapped(method(**({} if method is Coral else {"k": 500})), Xs, Xt)
    assert source.shape[1] == target.shape[1] > 0
    assert np.isfinite(source).all()
    assert np.isfinite(target).all()


@pytest.mark.parametrize("method", MAPPINGS, ids=lambda m: m.__name__)
def test_threads_and_the_rows_order_change_nothing(method):
    Xs, Xt = rows(150, 40, 0), rows(120, 40, 1)
    before, order = torch.get_num_threads(), np.random.default_rng(0).permutation(len(Xt))
    try:
        torch.set_num_threads(1)
        alone = mapped(method(), Xs, Xt)
        torch.set_num_threads(2)
        both = mapped(method(), Xs, Xt[order])
    finally:
        torch.set_num_threads(before)
    for one, other in ((alone[0], both[0]), (alone[1][order], both[1])):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-8 * np.abs(one).max())


@pytest.mark.parametrize("method", [Pca, SubspaceAlignment, Gfk, Tca], ids=lambda m: m.__name__)
def test_equal_rows_are_a_stated_failure(method):
    with pytest.raises(FloatingPointError, match="samples are equal"):
        mapped(method(), np.ones((6, 3), "f4"), np.ones((4, 3), "f4"))


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Pca(k=0), "pca: k is at least 1, got 0"),
        (SubspaceAlignment(k=-1), "subspace_alignment: k is at least 0, got -1"),
        (Gfk(k=-1), "gfk: k is at least 1, got -1"),
        (Tca(kernel="rbf"), "tca: kernel is 'linear' or 'gaussian', got 'rbf'"),
        (Tca(mu=0.0), "tca: k and landmarks are at least 1, mu above 0"),
        (Easytl(align="pca"), "easytl: align is 'coral' or 'none', got 'pca'"),
        (Easytl(reg=-1.0), "easytl: reg is at least 0, got -1.0"),
    ],
)
def test_what_is_out_of_range_is_refused(method, said):
    with pytest.raises(BadInput, match=said):
        method.fit(Task.from_arrays(rows(8, 3, 0), np.arange(8) % 2, rows(5, 3, 1)))


def test_joint_spectrum_is_that_of_the_pooled_rows():
    Xs, Xt = torch.from_numpy(rows(30, 5, 0)), torch.from_numpy(rows(20, 5, 1))
    ours, pooled = joint_spectrum(Xs, Xt), np.cov(torch.cat([Xs, Xt]).double().numpy(), rowvar=False)
    np.testing.assert_allclose(ours.values.numpy(), np.linalg.eigvalsh(pooled)[::-1], rtol=1e-10)
