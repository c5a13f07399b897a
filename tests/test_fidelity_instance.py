"""Kernel mean matching against SciPy's solvers, and against what it is meant for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from zoo.adapters.instance.kmm import Kmm
from zoo.errors import BadInput
from zoo.ops import qp
from zoo.task import Task


def shifted(n: int, d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Source N(0, I), target N(0.5, 0.8² I), and the true ratio at the source samples."""
    g = torch.Generator().manual_seed(seed)
    Xs = torch.randn(n, d, generator=g, dtype=torch.float64)
    Xt = 0.5 + 0.8 * torch.randn(n, d, generator=g, dtype=torch.float64)
    log_ratio = (Xs.square() - ((Xs - 0.5) / 0.8).square()).sum(1) / 2 - d * math.log(0.8)
    return Xs, Xt, log_ratio.exp()


def task(Xs: torch.Tensor, Xt: torch.Tensor) -> Task:
    return Task.from_arrays(Xs, torch.arange(len(Xs)) % 2, Xt)


def kernel(X: torch.Tensor, Y: torch.Tensor, gamma: float) -> torch.Tensor:
    """By the definition, with no shortcut through the Gram matrix."""
    return torch.exp(-gamma * torch.cdist(X, Y, compute_mode="donot_use_mm_for_euclid_dist").square())


def problem(n: int, d: int, seed: int, gamma: float) -> tuple[torch.Tensor, torch.Tensor]:
    Xs, Xt, _ = shifted(n, d, seed)
    return kernel(Xs, Xs, gamma), kernel(Xs, Xt, gamma).mean(1) * n


def objective(w: np.ndarray, K: np.ndarray, q: np.ndarray) -> float:
    return float(w @ K @ w / 2 - q @ w)


def exact(K: np.ndarray, q: np.ndarray, B: float, least: float, most: float) -> float:
    """The minimum by scipy's SLSQP, an active-set method; a feasible point's value, so never below the minimum."""
    n = len(q)
    scale = n * n  # its tolerance is absolute
    found = minimize(
        lambda w: objective(w, K, q) / scale,
        np.ones(n),
        jac=lambda w: (K @ w - q) / scale,
        method="SLSQP",
        bounds=[(0, B)] * n,
        constraints=[
            {"type": "ineq", "fun": lambda w: w.sum() - least, "jac": np.ones_like},
            {"type": "ineq", "fun": lambda w: most - w.sum(), "jac": lambda w: -np.ones_like(w)},
        ],
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    assert found.success, found.message
    assert least - 1e-8 <= found.x.sum() <= most + 1e-8
    return objective(found.x, K, q)


@pytest.mark.parametrize(
    ("B", "eps"), [(2.0, 0.01), (1000.0, 0.0), (1.5, 0.3), (1000.0, 0.9)], ids=["both", "sum", "box", "neither"]
)
def test_qp_reaches_the_exact_minimum(B, eps):
    n = 30
    K, q = problem(n, 3, 0, 0.2)
    best = qp.solve(K, q, B, n * (1 - eps), n * (1 + eps), tol=1e-10)
    assert float(best.w.min()) >= 0
    assert float(best.w.max()) <= B
    assert abs(float(best.w.mean()) - 1) <= eps + 1e-9
    minimum = exact(K.numpy(), q.numpy(), B, n * (1 - eps), n * (1 + eps))
    assert best.objective == pytest.approx(objective(best.w.numpy(), K.numpy(), q.numpy()), rel=1e-10)
    assert best.objective == pytest.approx(minimum, rel=1e-6)
    assert best.objective <= minimum + 1e-7 * abs(minimum)


@pytest.mark.parametrize("d", [5, 10])
def test_kmm_binding_constraints_at_500(d):
    """The certificate is recomputed with scipy's linear program: a lower bound that owes nothing to our solver."""
    n, B, eps = 500, 2.0, 0.01
    Xs, Xt, _ = shifted(n, d, 1)
    method = Kmm(B=B, eps=eps, gamma=0.2, ess=0.0)
    w = method.weights(task(Xs, Xt)).numpy()
    assert w.min() >= 0
    assert w.max() == B  # binds
    assert abs(w.mean() - 1) == pytest.approx(eps, abs=1e-9)  # binds
    Xs, Xt = Xs.float().double(), Xt.float().double()  # as a Task holds them
    K, q = kernel(Xs, Xs, 0.2).numpy(), kernel(Xs, Xt, 0.2).mean(1).numpy() * n
    g = K @ w - q
    lowest = linprog(
        g, A_ub=np.stack([np.ones(n), -np.ones(n)]), b_ub=[n * (1 + eps), -n * (1 - eps)], bounds=(0, B)
    ).fun
    assert g @ w - lowest <= 2e-6 * abs(objective(w, K, q))
    assert method.certificate_["gap"] == pytest.approx(g @ w - lowest, abs=1e-8 * abs(objective(w, K, q)))
    assert method.certificate_["support"] == (w > 0).sum()


@pytest.mark.parametrize("d", [5, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_kmm_matches_a_known_ratio(d, seed):
    """Judged at a bandwidth of the test's own as well as by the mean, which is no part of the objective."""
    n = 1500
    Xs, Xt, ratio = shifted(n, d, seed)
    method = Kmm(gamma=1 / float(2 * torch.cat([Xs, Xt]).var(0).sum()), ess=0.0)
    w = method.weights(task(Xs, Xt))
    w = w * (n / w.sum())
    gamma = 1 / float(torch.cdist(Xs[:750], Xt[:750]).square().median())
    Kss, Kst, Ktt = (kernel(a, b, gamma) for a, b in ((Xs, Xs), (Xs, Xt), (Xt, Xt)))

    def mmd2(v: torch.Tensor) -> float:
        return float(v @ Kss @ v / n**2 - 2 * v @ Kst.sum(1) / n**2 + Ktt.mean())

    assert mmd2(w) <= min(mmd2(ratio), mmd2(ratio * (n / ratio.sum())))

    def error(v: torch.Tensor) -> float:
        return float((v @ Xs / v.sum() - 0.5).norm())

    assert error(w) <= error(torch.ones_like(w)) / 3
    assert method.certificate_["gap"] < 1e-6 * n * n


@pytest.mark.parametrize("seed", range(20))
def test_projection_is_the_nearest_point(seed):
    """Against bisection on the multiplier, for sums that clip, lie in the slab, or have to be moved."""
    rng = np.random.default_rng(seed)
    n, upper = int(rng.integers(1, 40)), float(rng.uniform(0.5, 3))
    y = rng.normal(0.5, 2, n).round(1 if seed % 2 else 9)  # with ties
    least, most = sorted(rng.uniform(0, n * upper, 2))
    low, high = -20.0, 20.0
    total = np.clip(y, 0, upper).sum()
    goal = np.clip(total, least, most)
    for _ in range(100):
        tau = (low + high) / 2
        low, high = (tau, high) if np.clip(y - tau, 0, upper).sum() > goal else (low, tau)
    expected = np.clip(y - (0 if goal == total else low), 0, upper)
    np.testing.assert_allclose(qp.project(torch.from_numpy(y), upper, least, most), expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_lowest_point_is_the_linear_program(seed):
    rng = np.random.default_rng(seed)
    g, upper = rng.normal(size=12), 1.5
    least, most = sorted(rng.uniform(0, 18, 2))
    A = np.stack([np.ones(12), -np.ones(12)])
    expected = linprog(g, A_ub=A, b_ub=[most, -least], bounds=(0, upper)).fun
    v = qp.lowest(torch.from_numpy(g), upper, least, most).numpy()
    assert g @ v == pytest.approx(expected)
    assert least - 1e-9 <= v.sum() <= most + 1e-9


def test_kmm_survives_equal_rows_and_constant_columns():
    Xs = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).repeat(3, 1)
    Xs[:, 2] = 7.0
    for Xt in (Xs[:1], Xs[:50], torch.full((5, 3), 7.0)):
        w = Kmm().weights(task(Xs, Xt))
        assert bool(torch.isfinite(w).all())
        assert float(w.sum()) > 0


@pytest.mark.parametrize("bad", [{"how": "magic"}, {"B": 0.0}, {"eps": -1.0}, {"ess": 1.5}, {"B": 0.5, "eps": 0.1}])
def test_kmm_refuses(bad):
    with pytest.raises(BadInput, match="kmm"):
        Kmm(**bad).fit(task(torch.randn(10, 2), torch.randn(10, 2)))
