"""Kernel mean matching against independent computations: the choice of the width, and what keeps weights from few rows.

The width is chosen without labels of the target, by the likelihood of rows left out.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from zoo.adapters.instance.kmm import Kmm
from zoo.adapters.instance.mmd_tars import MmdTars
from zoo.ops import working_set
from zoo.task import Task


def gaussians(n: int, d: int, seed: int, shift: float, spread: float = 1.0) -> tuple[np.ndarray, ...]:
    """Source N(0, I), target N(shift, spread² I), and the true log-ratio at the source samples."""
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=(n, d)), shift + spread * rng.normal(size=(n, d))
    return Xs, Xt, (np.square(Xs) - np.square((Xs - shift) / spread)).sum(1) / 2 - d * np.log(spread)


def rbf(X: np.ndarray, Y: np.ndarray, gamma: float) -> np.ndarray:
    return np.exp(-gamma * cdist(X, Y, "sqeuclidean"))


def halves(Xs: np.ndarray, Xt: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Rows in the order of their distance from the source's mean, every second one left out."""
    s, t = (np.argsort(np.square(X - Xs.mean(0)).sum(1)) for X in (Xs, Xt))
    return [(s[i::2], t[i::2], s[1 - i :: 2], t[1 - i :: 2]) for i in (0, 1)]


def left_out_likelihood(Xs: np.ndarray, Xt: np.ndarray, gamma: float, weigh) -> float:
    """Of the ratio that a half's weights make: a mean of weights under the kernel, over its mean on the source."""
    total = 0.0
    for s, t, out_s, out_t in halves(Xs, Xt):
        w = np.maximum(weigh(s, t), 1e-12)
        at = [np.array([rbf(x[None], Xs[s], gamma)[0] for x in X]) for X in (Xt[out_t], Xs[out_s])]
        found, within = ((K @ w) / K.sum(1) for K in at)
        total += np.log(found).mean() - np.log(within.mean())
    return total / 2


@pytest.mark.reference(
    method="kmm",
    source="Huang et al. 2007, eq. 5; ADAPT's KMM (B 1000, eps)",
    compared="likelihood on rows left out at every gamma of the grid and the choice, weights by scipy's SLSQP",
    differs="the width, which the paper leaves open, by that likelihood; uniform weights mixed in up to an ESS of 30 %",
)
def test_kmm_chooses_its_width_by_rows_left_out():
    rng = np.random.default_rng(0)
    Xs = rng.normal(size=(40, 2)).astype("f4").astype(float)
    Xt = (0.8 + 0.6 * rng.normal(size=(30, 2))).astype("f4").astype(float)
    scale = 1 / (2 * np.concatenate([Xs, Xt]).var(0, ddof=1).sum())
    scores = {}
    for p in range(-2, 9):
        gamma = scale * 2.0**p

        def weigh(s: np.ndarray, t: np.ndarray, gamma: float = gamma) -> np.ndarray:
            K, q, n = rbf(Xs[s], Xs[s], gamma), rbf(Xs[s], Xt[t], gamma).mean(1) * len(s), len(s)
            most, slack = np.ones(n), (n**0.5 - 1) / n**0.5
            found = minimize(
                lambda w: (w @ K @ w / 2 - q @ w) / n,
                most,
                jac=lambda w: (K @ w - q) / n,
                method="SLSQP",
                bounds=[(0, 1000)] * n,
                constraints=[
                    {"type": "ineq", "fun": lambda w: w.sum() - n * (1 - slack), "jac": lambda w: most},
                    {"type": "ineq", "fun": lambda w: n * (1 + slack) - w.sum(), "jac": lambda w: -most},
                ],
                options={"ftol": 1e-14, "maxiter": 2000},
            )
            return found.x / found.x.mean()

        scores[gamma] = left_out_likelihood(Xs, Xt, gamma, weigh)
    best = max(scores, key=scores.__getitem__)
    assert best not in (min(scores), max(scores))  # the grid contains it
    method = Kmm()
    method.weights(Task.from_arrays(Xs, np.arange(40) % 2, Xt))
    assert method.certificate_["gamma"] == pytest.approx(best)
    assert method.certificate_["held_out"] == pytest.approx(scores[best], abs=0.02)


def test_kmm_keeps_an_effective_sample_size():
    """A narrow target in twelve dimensions: a few per cent of the source carried everything."""
    Xs, Xt, log_ratio = gaussians(600, 12, 0, 0.5, 0.5)
    task = Task.from_arrays(Xs, np.arange(600) % 2, Xt)
    w = Kmm().weights(task).numpy()
    assert w.sum() ** 2 / np.square(w).sum() >= 0.3 * 600 * (1 - 1e-9)
    raw = Kmm(ess=0.0)
    v = raw.weights(task).numpy()
    assert raw.certificate_["ess"] == pytest.approx(v.sum() ** 2 / np.square(v).sum())
    assert raw.certificate_["ess"] < 0.2 * 600
    share = w.min()
    np.testing.assert_allclose(w, (1 - share) * v / v.mean() + share, atol=1e-9)  # the same, mixed with uniform weights
    assert spearmanr(w, log_ratio).statistic >= 0.6


def test_kmm_holds_the_whole_kernel_where_the_solution_is_dense(monkeypatch):
    """Domains that hardly differ: nearly all weights are above 0, and a working set would grow to all rows."""
    rng = np.random.default_rng(0)
    same = Task.from_arrays(rng.normal(size=(2100, 50)), np.arange(2100) % 2, rng.normal(size=(900, 50)) + 0.05)
    far = Task.from_arrays(rng.normal(size=(2100, 5)), np.arange(2100) % 2, 0.3 * rng.normal(size=(900, 5)) + 1)
    used = []
    solve = working_set.solve
    monkeypatch.setattr(working_set, "solve", lambda *a, **k: used.append(len(a[0])) or solve(*a, **k))
    for task, sets in ((same, 0), (far, 1)):
        method = Kmm(gamma=0.02, ess=0.0)
        method.weights(task)
        assert len(used) == sets
        assert (method.certificate_["support"] > 1050) == (sets == 0)


@pytest.mark.reference(
    method="mmd_tars",
    source="Zhang et al. 2013, section 4",
    compared="likelihood on rows left out at every gamma and the choice, class priors by scipy's SLSQP; the weights",
    differs="one kernel mean a class; its width, a floor of the priors and an ESS of 30 % are ours",
)
def test_mmd_tars_chooses_its_width_by_rows_left_out():
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
    ys, yt = rng.choice(3, 60, p=[0.4, 0.4, 0.2]), rng.choice(3, 50, p=[0.05, 0.15, 0.8])
    Xs, Xt = (centres[y] + rng.normal(size=(len(y), 2)) * 0.7 for y in (ys, yt))
    Xs, Xt = Xs.astype("f4").astype(float), Xt.astype("f4").astype(float)

    def weighed(s: np.ndarray, t: np.ndarray, gamma: float) -> np.ndarray:
        Y = np.eye(3)[ys[s]] / np.bincount(ys[s], minlength=3)
        A, b = Y.T @ rbf(Xs[s], Xs[s], gamma) @ Y, Y.T @ rbf(Xs[s], Xt[t], gamma).mean(1)
        found = minimize(
            lambda p: p @ A @ p - 2 * b @ p,
            np.full(3, 1 / 3),
            method="SLSQP",
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            options={"ftol": 1e-15},
        )
        source = np.bincount(ys[s], minlength=3) / len(s)
        return ((0.1 * source + 0.9 * found.x) / source)[ys[s]]

    scale = 1 / (2 * np.concatenate([Xs, Xt]).var(0, ddof=1).sum())
    grid = [scale * 2.0**p for p in range(-2, 9)]
    scores = [left_out_likelihood(Xs, Xt, g, lambda s, t, g=g: weighed(s, t, g)) for g in grid]
    best = grid[int(np.argmax(scores))]
    assert best not in (grid[0], grid[-1])
    method = MmdTars(ess=0.0)
    w = method.weights(Task.from_arrays(Xs, ys, Xt)).numpy()
    assert method.certificate_["gamma"] == pytest.approx(best)
    assert method.certificate_["held_out"] == pytest.approx(max(scores), abs=1e-4)
    v = weighed(np.arange(60), np.arange(50), best)
    np.testing.assert_allclose(w, v, atol=1e-4)
    assert method.certificate_["ess"] == pytest.approx(v.sum() ** 2 / np.square(v).sum(), rel=1e-3)
    assert method.certificate_["ess"] < 0.45 * 60
    assert MmdTars(ess=0.6).fit(Task.from_arrays(Xs, ys, Xt)).certificate_["ess"] == pytest.approx(0.6 * 60)
