"""The classical methods' default configurations against independent computations, on inputs where they differed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power
from scipy.optimize import linprog, minimize
from scipy.spatial.distance import cdist
from scipy.stats import gaussian_kde, multivariate_normal, spearmanr

import zoo
from zoo.adapters.base import Reweighting
from zoo.adapters.feature.coral import Coral
from zoo.adapters.feature.easytl import Easytl
from zoo.adapters.instance.kernel_density import KernelDensity
from zoo.adapters.instance.kliep import Kliep
from zoo.adapters.instance.kmm import Kmm
from zoo.adapters.instance.mmd_tars import MmdTars
from zoo.adapters.instance.rulsif import Rulsif
from zoo.adapters.instance.ulsif import Ulsif
from zoo.ops import working_set
from zoo.ops.resample import systematic
from zoo.task import Task

UNIFORM = '''\
"""Weights that change nothing."""

from zoo.adapters.base import Reweighting


class Uniform(Reweighting):
    """All samples weigh the same."""

    def weights(self, task):
        return task.Xs.new_ones(len(task.Xs))
'''


class Given(Reweighting):
    """The weights that it was given."""

    def __init__(self, w: np.ndarray) -> None:
        self.w = w

    def weights(self, task: Task) -> torch.Tensor:
        return torch.as_tensor(self.w)


# Resampling -----------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="Reweighting with 1-NN",
    source="Kitagawa 1996, systematic resampling (filterpy.monte_carlo.systematic_resample)",
    compared="number of times that each row is drawn, by a loop over the steps; the mean over many offsets",
    differs="nothing",
)
@pytest.mark.parametrize("seed", range(4))
def test_systematic_draws_by_a_loop(seed):
    rng = np.random.default_rng(seed)
    w = rng.gamma(0.3, size=37) * (rng.random(37) > 0.2)
    share, total = w / w.sum(), np.zeros(37)
    for offset in np.linspace(0, 1, 200, endpoint=False) + 1 / 400:
        drawn, j, end = [], 0, share[0]
        for i in range(37):
            while end < (i + offset) / 37:
                j += 1
                end += share[j]
            drawn.append(j)
        assert systematic(torch.from_numpy(w), offset).tolist() == drawn
        count = np.bincount(drawn, minlength=37)
        assert (np.abs(count - 37 * share) < 1).all()
        total += count
    np.testing.assert_allclose(total / 200, 37 * share, atol=0.01)


def test_uniform_weights_keep_every_row_once():
    """1-NN on them is 1-NN on the source, whatever the seed."""
    rng = np.random.default_rng(0)
    Xs, ys, Xt = rng.normal(size=(90, 3)), rng.integers(0, 3, 90), rng.normal(size=(400, 3))
    for seed in range(5):
        task = Task.from_arrays(Xs, ys, Xt, base="1nn", seed=seed)
        plain = task.learner.fit(task.Xs, task.ys, 3).predict(task.Xt)
        assert torch.equal(Given(np.full(90, 0.3)).fit(task).predict(task.Xt), plain)
        # The other classes' rows are not drawn, and a row of weight below 1 only sometimes.
        heavy = Given((ys == 1) + 0.0).fit(task)
        assert set(heavy.predict(task.Xt).argmax(1).tolist()) == {1}


@pytest.mark.slow
def test_uniform_weights_are_source_only_on_all_pairs(office_caltech, tmp_path):
    (tmp_path / "uniform.py").write_text(UNIFORM)
    run = zoo.run(
        "office_caltech",
        methods=["source_only", "uniform"],
        plugins=[tmp_path / "uniform.py"],
        data_root=office_caltech,
        out=tmp_path / "run",
        seeds=2,
        workers=1,
    ).frame()
    run = run[run.learner == "1nn"]
    ours = run[run.label == "uniform"].groupby(["source", "target"]).accuracy.agg(["min", "max"])
    plain = run[run.label == "source_only"].set_index(["source", "target"]).accuracy
    assert len(ours) == 12
    for pair, (low, high) in ours.iterrows():
        assert low == high == plain[pair], pair


# Densities ------------------------------------------------------------------------------------------------------------


def gaussians(n: int, d: int, seed: int, shift: float, spread: float = 1.0) -> tuple[np.ndarray, ...]:
    """Source N(0, I), target N(shift, spread² I), and the true log-ratio at the source samples."""
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=(n, d)), shift + spread * rng.normal(size=(n, d))
    return Xs, Xt, (np.square(Xs) - np.square((Xs - shift) / spread)).sum(1) / 2 - d * np.log(spread)


@pytest.mark.reference(
    method="kernel_density",
    source="Sugiyama et al. 2008 (KDE); Scott 1992; scipy.stats.gaussian_kde",
    compared="log-ratio at 60 source samples, each density by a loop over Gaussians, the sample's own left out",
    differs="principal components; the sample is left out of its own density; flattened where the ESS is below 30 %",
)
def test_kernel_density_leaves_the_sample_out():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(60, 4)).astype("f4").astype(float), (0.5 + rng.normal(size=(45, 4))).astype("f4")
    w = KernelDensity(ess=0.0).weights(Task.from_arrays(Xs, np.arange(60) % 2, Xt)).numpy()
    at_source, at_target = gaussian_kde(Xs.T).covariance, gaussian_kde(Xt.T.astype(float)).covariance
    expected = np.empty(60)
    for i, x in enumerate(Xs):
        others = [multivariate_normal(Xs[j], at_source).pdf(x) for j in range(60) if j != i]
        expected[i] = np.mean([multivariate_normal(t, at_target).pdf(x) for t in Xt]) / np.mean(others)
    np.testing.assert_allclose(w, expected * (w.sum() / expected.sum()), rtol=1e-5)


def test_kernel_density_finds_a_known_ratio_in_ten_dimensions():
    """A pure shift: with its own Gaussian, the source's density is nearly the same at all of its samples."""
    for seed in (0, 1):
        Xs, Xt, log_ratio = gaussians(1000, 10, seed, 0.3)
        w = KernelDensity(ess=0.0).weights(Task.from_arrays(Xs, np.arange(1000) % 2, Xt)).numpy()
        assert spearmanr(w, log_ratio).statistic >= 0.5


# CORAL ----------------------------------------------------------------------------------------------------------------


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


# Kernel mean matching -------------------------------------------------------------------------------------------------


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


# Density ratios: grids that contain their optimum ---------------------------------------------------------------------


def clusters(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tight clusters far apart, of which the target has fewer in one half: the best width is that of a cluster."""
    rng = np.random.default_rng(seed)
    centres = 10 * rng.normal(size=(12, 3))
    s, t = rng.integers(0, 12, n), rng.choice(12, n, p=np.repeat([2, 1], 6) / 18)
    Xs, Xt = (centres[c] + 0.6 * rng.normal(size=(n, 3)) for c in (s, t))
    return Xs.astype("f4").astype(float), Xt.astype("f4").astype(float)


def rms_distance(Xs: np.ndarray, Xt: np.ndarray) -> float:
    return float(np.sqrt(2 * np.concatenate([Xs, Xt]).var(0, ddof=1).sum()))


def kliep_likelihood(Xs: np.ndarray, Xt: np.ndarray, sigma: float) -> float:
    """Mean log-ratio of target rows left out, 5 folds, by expectation maximisation; they are no centres either."""
    order = Xt[np.argsort(np.square(Xt - Xs.mean(0)).sum(1))]
    fold, total = np.arange(len(order)) % 5, 0.0
    for i in range(5):
        kept, out = order[fold != i], order[fold == i]
        mean = rbf(Xs, kept, 1 / (2 * sigma**2)).mean(0)
        P, Q = (rbf(X, kept, 1 / (2 * sigma**2)) / mean for X in (kept, out))
        beta = np.full(len(kept), 1 / len(kept))
        for _ in range(3000):
            beta = beta * (P / (P @ beta)[:, None]).mean(0)
        total += np.log(np.maximum(Q @ beta, 1e-300)).sum()
    return total / len(order)


@pytest.mark.reference(
    method="kliep",
    source="Sugiyama et al. 2008, figure 1; densratio's KLIEP",
    compared="likelihood of rows left out at every width by expectation maximisation, and the choice",
    differs="centres evenly spaced; a grid in units of the data's scale, with weights of 1; widths of an ESS over 30 %",
)
def test_kliep_chooses_a_width_inside_its_grid():
    Xs, Xt = clusters(90, 0)
    scale = rms_distance(Xs, Xt)
    grid = [3, 2, 1.5, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.07, 0.049, 0.0343, 0.02401, 0.016807, 0.0117649]
    scores = [kliep_likelihood(Xs, Xt, f * scale) for f in grid]
    best = int(np.argmax(scores))
    assert 0.1 > grid[best] > grid[-1]
    method = Kliep()
    method.weights(Task.from_arrays(Xs, np.arange(90) % 2, Xt))
    assert method.certificate_["sigma"] == pytest.approx(grid[best] * scale, rel=1e-5)


def standardised(n: int, d: int, seed: int) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(2, n, d))
    return (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)


def test_kliep_gives_weights_of_one_where_no_width_says_anything():
    """Hundreds of features standardised in each domain: every width is worse than no weights."""
    Xs, Xt = standardised(150, 300, 0)
    w = Kliep().weights(Task.from_arrays(Xs, np.arange(150) % 2, Xt)).numpy()
    np.testing.assert_allclose(w / w.mean(), 1, atol=1e-4)


def test_kliep_keeps_an_effective_sample_size_where_the_likelihood_has_no_maximum():
    """Domains side by side: the narrower, the likelier, without end."""
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 8
    likely = [kliep_likelihood(Xs, Xt[:100], f * rms_distance(Xs, Xt)) for f in (1, 0.5, 0.25)]
    assert likely == sorted(likely)
    w = Kliep().weights(Task.from_arrays(Xs, np.arange(300) % 2, Xt)).numpy()
    assert w.sum() ** 2 / np.square(w).sum() >= 0.3 * 300


@pytest.mark.reference(
    method="ulsif",
    source="Kanamori et al. 2009, section 3; densratio's RuLSIF with alpha 0",
    compared="leave-one-out squared error of every width and ridge by refitting without each pair, and the choice",
    differs="centres evenly spaced; a grid in units of the data's scale, with weights of 1",
)
@pytest.mark.reference(
    method="rulsif",
    source="Yamada et al. 2013, section 2; densratio's RuLSIF",
    compared="the same, with alpha 0.1",
    differs="centres evenly spaced; leave-one-out for 5 folds; a grid in units of the data's scale, with weights of 1",
)
@pytest.mark.parametrize(("cls", "alpha"), [(Ulsif, 0.0), (Rulsif, 0.1)])
@pytest.mark.parametrize("uniform", [False, True], ids=["clusters", "nothing to find"])
def test_least_squares_choose_the_best_of_a_grid_with_weights_of_one(cls, alpha, uniform):
    Xs, Xt = standardised(60, 100, 1).astype("f4").astype(float) if uniform else clusters(60, 3)
    S, T = (X[np.argsort(np.square(X - Xs.mean(0)).sum(1))] for X in (Xs, Xt))
    scale, scores = rms_distance(Xs, Xt), {}
    for factor in (1e4, 3, 2, 1.5, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.07):
        KS, KT = (rbf(X, T, 1 / (2 * (factor * scale) ** 2)) for X in (S, T))
        for ridge in 10.0 ** (np.arange(-6, 3) / 2):
            errors = []
            for i in range(60):
                A, B = np.delete(KS, i, 0), np.delete(KT, i, 0)
                H = alpha * B.T @ B / 59 + (1 - alpha) * A.T @ A / 59
                theta = np.maximum(np.linalg.solve(H + ridge * np.eye(60), B.mean(0)), 0)
                s, t = KS[i] @ theta, KT[i] @ theta
                errors.append(alpha / 2 * t**2 + (1 - alpha) / 2 * s**2 - t)
            scores[factor, ridge] = np.mean(errors)
    factor, ridge = min(scores, key=scores.__getitem__)
    assert (factor == 1e4) == uniform
    method = cls()
    w = method.weights(Task.from_arrays(Xs, np.arange(60) % 2, Xt)).numpy()
    assert method.certificate_["sigma"] == pytest.approx(factor * scale, rel=1e-5)
    assert method.certificate_["reg"] == pytest.approx(ridge)
    assert (abs(w / w.mean() - 1).max() < 1e-4) == uniform
