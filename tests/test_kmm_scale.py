"""Kernel mean matching on a working set: against the whole kernel, and a lower bound from SciPy's linear programme."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from zoo.adapters.instance import kmm
from zoo.adapters.instance.kmm import Kmm
from zoo.ops import qp, working_set
from zoo.task import Task


def problem(n: int, m: int, d: int = 10, far: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g) + far, 0.5 + 0.8 * torch.randn(m, d, generator=g) + far


def dense(Xs, Xt, gamma):
    """By the definition, in float64."""
    Xs, Xt = Xs.double(), Xt.double()
    K = torch.exp(-gamma * torch.cdist(Xs, Xs, compute_mode="donot_use_mm_for_euclid_dist").square()).numpy()
    k = torch.exp(-gamma * torch.cdist(Xs, Xt, compute_mode="donot_use_mm_for_euclid_dist").square())
    t = torch.exp(-gamma * torch.cdist(Xt, Xt, compute_mode="donot_use_mm_for_euclid_dist").square())
    return K, k.mean(1).numpy() * len(Xs), float(t.mean())


@pytest.mark.parametrize(
    ("n", "m", "B", "eps", "far"),
    [(2500, 2100, 1000.0, 0.0, 0.0), (2300, 900, 3.0, 0.05, 0.0), (2100, 2100, 1000.0, 0.0, 50.0)],
    ids=["sparse", "both bounds bind", "far from the origin"],
)
def test_the_gap_is_a_proof(n, m, B, eps, far):
    """MMD² less its lower bound, both recomputed with the whole kernel in float64 and SciPy's linear programme."""
    Xs, Xt = problem(n, m, far=far)
    method = Kmm(B=B, eps=eps, gamma=0.1, ess=0.0)
    w = method.weights(Task.from_arrays(Xs, torch.arange(n) % 2, Xt)).numpy()
    eps = eps or (math.sqrt(n) - 1) / math.sqrt(n)
    assert w.min() >= 0
    assert w.max() <= B
    assert abs(w.mean() - 1) <= eps + 1e-9
    K, q, t = dense(Xs, Xt, 0.1)
    g = K @ w - q
    ones = np.ones(n)
    low = linprog(g, A_ub=np.stack([ones, -ones]), b_ub=[n * (1 + eps), -n * (1 - eps)], bounds=(0, B)).fun
    uniform = K.mean() + t - 2 * q.sum() / n**2
    gap = 2 * (g @ w - low) / n**2 / uniform
    assert gap <= 1.1e-4  # tol, and the rounding of float32 columns
    assert method.certificate_["relative_gap"] == pytest.approx(gap, abs=1e-5)
    assert method.certificate_["support"] == (w > 0).sum()


def test_it_meets_the_solver_with_the_whole_kernel(monkeypatch):
    Xs, Xt = problem(1200, 1200)
    task = Task.from_arrays(Xs, torch.arange(1200) % 2, Xt)
    whole = Kmm(gamma=0.1, ess=0.0)
    w = whole.weights(task)
    monkeypatch.setattr(kmm, "FULL", 0)
    monkeypatch.setattr(kmm, "DENSE", 0)
    sparse = Kmm(gamma=0.1, ess=0.0, tol=1e-6)
    v = sparse.weights(task)
    K, q, t = dense(Xs, Xt, 0.1)

    def mmd2(w):
        return w @ K @ w / 1200**2 - 2 * q @ w / 1200**2 + t

    uniform = mmd2(np.ones(1200))
    assert mmd2(v.numpy()) == pytest.approx(mmd2(w.numpy()), abs=3e-6 * uniform)
    assert mmd2(w.numpy()) < 0.2 * uniform  # so that the line above says something


def test_sums_of_the_kernel_by_blocks():
    X, Y = problem(700, 300, d=4)
    assert working_set.total(X, 0.3, chunk=128) == pytest.approx(
        float(torch.exp(-0.3 * torch.cdist(X, X) ** 2).sum()), rel=1e-5
    )
    expected = torch.exp(-0.3 * torch.cdist(X, Y) ** 2).sum(1)
    torch.testing.assert_close(working_set.row_sums(X, Y, 0.3, chunk=128).float(), expected, rtol=1e-5, atol=1e-5)


def test_equal_rows_and_domains_that_do_not_meet(monkeypatch):
    monkeypatch.setattr(kmm, "FULL", 0)
    monkeypatch.setattr(kmm, "DENSE", 0)
    Xs, _ = problem(60, 10, d=3)
    for Xt in (Xs[:1].repeat(5, 1), Xs + 1e4):
        w = Kmm().weights(Task.from_arrays(Xs.repeat(3, 1), torch.arange(180) % 2, Xt))
        assert bool(torch.isfinite(w).all())
        assert float(w.sum()) > 0
    with pytest.raises(Exception, match="tol"):
        Kmm(tol=0.0).weights(Task.from_arrays(Xs, torch.arange(60) % 2, Xs))


def test_solution_is_feasible_where_the_sum_binds():
    Xs, _ = problem(500, 10)
    best = working_set.solve(Xs, torch.zeros(500, dtype=torch.float64), 0.1, 2.0, 400.0, 600.0, tol=1e-6 * 500**2)
    assert isinstance(best, qp.Solution)
    assert float(best.w.sum()) == pytest.approx(400)


@pytest.mark.parametrize(("scale", "apart"), [(1.0, 1e4), (1e6, 0.0)], ids=["far apart", "features times 1e6"])
def test_the_gap_holds_where_float32_would_cancel(monkeypatch, scale, apart):
    """A gamma of the user's own, far from the data's scale: the source's kernel is as before, or the identity."""
    monkeypatch.setattr(kmm, "FULL", 0)
    monkeypatch.setattr(kmm, "DENSE", 0)
    Xs, Xt = problem(400, 300)
    Xs, Xt = Xs * scale, (Xt + apart) * scale
    method = Kmm(gamma=0.1, ess=0.0)
    w = method.weights(Task.from_arrays(Xs, torch.arange(400) % 2, Xt)).numpy()
    K, q, t = dense(Xs, Xt, 0.1)
    g = K @ w - q
    eps = (math.sqrt(400) - 1) / math.sqrt(400)
    ones = np.ones(400)
    low = linprog(g, A_ub=np.stack([ones, -ones]), b_ub=[400 * (1 + eps), -400 * (1 - eps)], bounds=(0, 1000)).fun
    uniform = K.mean() + t - 2 * q.sum() / 400**2
    assert 2 * (g @ w - low) / 400**2 / uniform <= 1.1e-4


def test_memory_is_by_blocks_of_rows(monkeypatch):
    """The answer does not depend on where the rows are cut."""
    Xs, Xt = problem(900, 500)
    found = []
    for chunk in (4096, 250):
        monkeypatch.setattr(working_set, "CHUNK", chunk)
        q = working_set.row_sums(Xs, Xt, 0.1) * (900 / 500)
        found.append(working_set.solve(Xs, q, 0.1, 1000.0, 30.0, 1770.0, tol=1e-5 * 900**2))
    assert found[0].gap <= 1e-5 * 900**2
    assert found[1].objective == pytest.approx(found[0].objective, rel=1e-5)
