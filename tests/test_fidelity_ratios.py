"""Density ratios against known ratios, SciPy, scikit-learn and explicit loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.stats import gaussian_kde, multivariate_normal, spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KernelDensity as SklearnKde

from zoo.adapters.instance.discriminator import Discriminator
from zoo.adapters.instance.gaussian_density import GaussianDensity
from zoo.adapters.instance.kernel_density import KernelDensity
from zoo.adapters.instance.kliep import Kliep
from zoo.adapters.instance.nearest_neighbor import NearestNeighbor
from zoo.adapters.instance.rulsif import Rulsif
from zoo.adapters.instance.ulsif import Ulsif
from zoo.errors import BadInput
from zoo.ops import densities, ratios
from zoo.task import Task

METHODS = (Kliep, Ulsif, Rulsif, Discriminator, NearestNeighbor, GaussianDensity, KernelDensity)


def task(Xs, Xt) -> Task:
    return Task.from_arrays(Xs, np.arange(len(Xs)) % 2, Xt)


def gaussians(n: int, d: int, seed: int, spread: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source N(0, I), target N(0.5, spread² I), as a Task holds them, and the true ratio at the source samples."""
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=(n, d)).astype("f4"), (0.5 + spread * rng.normal(size=(n, d))).astype("f4")
    p_t = multivariate_normal(np.full(d, 0.5), spread**2).logpdf(Xs)
    return Xs, Xt, np.exp(p_t - multivariate_normal(np.zeros(d)).logpdf(Xs))


def small(n_s=23, n_t=17, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_s, d)).astype("f4"), (0.6 + 0.7 * rng.normal(size=(n_t, d))).astype("f4")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("cls", "spread", "least"),
    [
        (Kliep, 0.8, 0.9),
        (Ulsif, 0.8, 0.9),
        (Rulsif, 0.8, 0.9),
        (Discriminator, 1.0, 0.9),  # its logit is linear: the ratio of equal covariances
        (GaussianDensity, 0.8, 0.97),
        (KernelDensity, 0.8, 0.9),
    ],
)
def test_known_ratio_of_gaussians(cls, spread, least, seed):
    Xs, Xt, ratio = gaussians(1000, 2, seed, spread)
    if cls is Rulsif:
        ratio = ratio / (0.1 * ratio + 0.9)
    w = cls().weights(task(Xs, Xt)).numpy()
    assert spearmanr(w, ratio).statistic >= least
    if cls is not Discriminator:  # values, not only the order
        w, ratio = w / w.mean(), ratio / ratio.mean()
        assert np.square(w - ratio).mean() <= 0.2 * np.square(1 - ratio).mean()


def test_nearest_neighbor_follows_the_ratio():
    """A count of a few samples is noisy; its mean over samples of similar ratio is not."""
    Xs, Xt, ratio = gaussians(2000, 2, 0)
    w = NearestNeighbor(smoothing=0.0).weights(task(Xs, Xt)).numpy()
    bins = np.array_split(np.argsort(ratio), 10)
    means, true = np.array([w[i].mean() for i in bins]), np.array([ratio[i].mean() for i in bins])
    np.testing.assert_allclose(means, true, atol=0.3)
    assert spearmanr(means, true).statistic >= 0.95


def test_kliep_reaches_the_maximum_of_slsqp():
    Xs, Xt = small()
    sigma = 0.9
    method = Kliep(sigma=sigma)
    w = method.weights(task(Xs, Xt)).numpy()
    A, S = (np.exp(-cdist(X, Xt.astype(float), "sqeuclidean") / (2 * sigma**2)) for X in (Xt, Xs))
    mean = S.mean(0)
    found = minimize(
        lambda a: -np.log(A @ a).mean(),
        np.full(len(Xt), 1 / mean.sum()),
        jac=lambda a: -(A / (A @ a)[:, None]).mean(0),
        method="SLSQP",
        bounds=[(0, None)] * len(Xt),
        constraints=[{"type": "eq", "fun": lambda a: mean @ a - 1, "jac": lambda a: mean}],
        options={"ftol": 1e-14, "maxiter": 2000},
    )
    assert found.success, found.message
    D = ratios.design(torch.from_numpy(Xs), torch.from_numpy(Xt), 100)
    _, log_t = ratios.log_basis(D, sigma)
    ours = float((log_t.exp() @ ratios.kliep(D, sigma).beta).log().mean())
    assert ours == pytest.approx(-found.fun, abs=1e-6)
    assert w.mean() == pytest.approx(1, abs=1e-9)
    assert method.certificate_["gap"] <= 1e-8
    np.testing.assert_allclose(w, S @ found.x, atol=2e-3)


def test_kliep_gap_is_a_bound():
    """Stopped early, what is missing to the maximum is no more than the certificate says."""
    D = ratios.design(*map(torch.from_numpy, small(60, 50)), 30)
    _, log_t = ratios.log_basis(D, 0.8)

    def value(beta):
        return float((log_t.exp() @ beta).log().mean())

    best = value(ratios.mixture(log_t)[0])
    for steps in (1, 3, 5):
        beta, gap = ratios.mixture(log_t, steps=steps)
        assert float(beta.sum()) == pytest.approx(1)
        assert -1e-9 <= best - value(beta) <= gap + 1e-9


def test_kliep_cross_validation_by_loops():
    D = ratios.design(*map(torch.from_numpy, small(40, 31)), 12)
    sigma, total = 0.9, 0.0
    S, T = (np.exp(-d.numpy() / (2 * sigma**2)) for d in (D.source, D.target))
    S, T = S / S.mean(0), T / S.mean(0)
    centres = [(2 * i + 1) * 31 // 24 for i in range(12)]
    for i in range(5):
        kept = np.array([j % 5 != i for j in range(31)])
        P = T[:, [j % 5 != i for j in centres]]
        beta = np.full(P.shape[1], 1 / P.shape[1])
        for _ in range(20_000):  # expectation maximisation, monotone and slow
            beta = beta * (P[kept] / (P[kept] @ beta)[:, None]).mean(0)
        total += np.log(P[~kept] @ beta).sum()
    assert ratios.held_out(D, sigma, 5, tol=1e-9) == pytest.approx(total / 31, abs=1e-4)


def test_kliep_chooses_no_width_that_only_fits_the_centres():
    """Without a shift the ratio is 1; a narrow width in many dimensions must not look better."""
    rng = np.random.default_rng(0)
    method = Kliep()
    w = method.weights(task(rng.normal(size=(200, 400)), rng.normal(size=(200, 400)))).numpy()
    assert method.certificate_["ess"] >= 0.95 * 200
    assert abs(w - 1).max() <= 0.5


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("sizes", [(23, 17), (17, 23), (15, 40)])
def test_leave_one_out_by_loops(alpha, sizes):
    D = ratios.design(*map(torch.from_numpy, small(*sizes)), 11)
    S, T = (np.exp(-d.numpy() / (2 * 0.9**2)) for d in (D.source, D.target))
    (n_s, b), n_t = S.shape, len(T)
    n = min(n_s, n_t)
    pairs = [((2 * i + 1) * n_s // (2 * n), (2 * i + 1) * n_t // (2 * n)) for i in range(n)]
    for reg in (1e-3, 0.3, 10.0):
        scores = []
        for i, j in pairs:
            Sk, Tk = np.delete(S, i, 0), np.delete(T, j, 0)
            H = alpha * Tk.T @ Tk / len(Tk) + (1 - alpha) * Sk.T @ Sk / len(Sk)
            theta = np.maximum(np.linalg.solve(H + reg * np.eye(b), Tk.mean(0)), 0)
            rs, rt = S[i] @ theta, T[j] @ theta
            scores.append(alpha / 2 * rt**2 + (1 - alpha) / 2 * rs**2 - rt)
        ours = ratios.loo_scores(torch.from_numpy(S), torch.from_numpy(T), alpha, (reg,))[0]
        assert ours == pytest.approx(np.mean(scores), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_least_squares_weights_by_numpy(alpha):
    Xs, Xt = small()
    cls = Rulsif(alpha=alpha, sigma=0.9, reg=0.05) if alpha else Ulsif(sigma=0.9, reg=0.05)
    w = cls.weights(task(Xs, Xt)).numpy()
    S, T = (np.exp(-cdist(X, Xt.astype(float), "sqeuclidean") / (2 * 0.81)) for X in (Xs, Xt))
    H = alpha * T.T @ T / len(T) + (1 - alpha) * S.T @ S / len(S)
    theta = np.maximum(np.linalg.solve(H + 0.05 * np.eye(len(T)), T.mean(0)), 0)
    np.testing.assert_allclose(w, S @ theta, atol=1e-9)


def test_least_squares_takes_the_best_of_the_grid():
    D = ratios.design(*map(torch.from_numpy, small(60, 50)), 20)
    best = ratios.least_squares(D, 0.1)
    scores = {
        (s, r): ratios.least_squares(D, 0.1, s, r).score
        for s in (f * D.scale for f in (ratios.UNIFORM, *ratios.FACTORS, 0.07, 0.049))
        for r in ratios.RIDGES
    }
    assert (best.sigma, best.ridge) == min(scores, key=scores.__getitem__)
    assert best.score == pytest.approx(min(scores.values()))


@pytest.mark.parametrize("reg", [1.0, 0.01, 1e-4])
@pytest.mark.parametrize("apart", [0.3, 5.0], ids=["overlapping", "separable"])
def test_logistic_is_scikit_learns(reg, apart):
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.normal(size=(80, 4)) + apart * y[:, None]
    ours = densities.logistic(torch.from_numpy(X), torch.from_numpy(y).double(), reg).numpy()
    theirs = LogisticRegression(C=1 / (reg * 80), tol=1e-12, max_iter=20_000).fit(X, y)
    np.testing.assert_allclose(ours[:-1], theirs.coef_[0], atol=2e-4, rtol=2e-4)
    np.testing.assert_allclose(ours[-1], theirs.intercept_[0], atol=5e-4, rtol=5e-4)


def test_discriminator_by_scikit_learn():
    """Every source sample judged by a model of scikit-learn that was fitted without its fold."""
    Xs, Xt = small(60, 45)
    reg = 0.01
    w = Discriminator(reg=reg, ess=0.0).weights(task(Xs, Xt)).numpy()
    X = np.concatenate([Xs, Xt]).astype(float)
    centred = X - X.mean(0)
    Z = centred / np.sqrt(centred.var(0, ddof=1).mean())  # a rotation changes nothing
    fold = []
    for part in (centred[:60], centred[60:]):
        distance = np.square(part - centred[:60].mean(0)).sum(1)
        fold.append(np.argsort(np.argsort(distance)) % 5)
    fold, y = np.concatenate(fold), np.arange(105) >= 60
    odds = np.empty(105)
    for i in range(5):
        kept = fold != i
        model = LogisticRegression(C=1 / (reg * kept.sum()), tol=1e-12, max_iter=20_000).fit(Z[kept], y[kept])
        odds[~kept] = np.exp(model.decision_function(Z[~kept]))
    np.testing.assert_allclose(w, odds[:60] / odds[:60].mean(), rtol=2e-3)


def test_discriminator_does_not_see_what_it_judges():
    """Where there is no shift and d > n, a model judging its own samples would tell the domains apart perfectly."""
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(2, 60, 200))
    method = Discriminator(k=100, ess=0.0)
    w = method.weights(task(Xs, Xt)).numpy()
    assert method.certificate_["log_loss"] == pytest.approx(math.log(2), abs=0.05)
    assert w.max() / w.mean() < 1.5


@pytest.mark.reference(
    method="nearest_neighbor",
    source="Loog 2012, with Laplace smoothing",
    compared="counts by a loop over target samples",
    differs="nothing known",
)
def test_nearest_neighbor_by_loops():
    Xs, Xt = small(40, 70)
    w = NearestNeighbor().weights(task(Xs, Xt)).numpy()
    counts = np.ones(40)
    for x in Xt:
        counts[min(range(40), key=lambda i: float(np.square(Xs[i].astype(float) - x).sum()))] += 1
    np.testing.assert_array_equal(w, counts)
    chunked = ratios.nearest_counts(torch.from_numpy(Xs), torch.from_numpy(Xt), chunk=7).numpy()
    np.testing.assert_array_equal(chunked + 1, counts)


@pytest.mark.parametrize("shape", [(50, 5), (8, 12), (300, 1)])
def test_ledoit_wolf_is_scikit_learns(shape):
    X = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1)
    mean, C = densities.ledoit_wolf(torch.from_numpy(X))
    np.testing.assert_allclose(mean, X.mean(0), atol=1e-12)
    np.testing.assert_allclose(C, ledoit_wolf(X)[0], atol=1e-9)


@pytest.mark.reference(
    method="gaussian_density",
    source="Shimodaira 2000; scipy.stats.multivariate_normal, scikit-learn's ledoit_wolf",
    compared="weights of 60 source samples",
    differs="shrunk covariances; principal components; flattened where the ESS is below 30 %",
)
def test_gaussian_density_by_scipy():
    Xs, Xt = small(60, 45)
    w = GaussianDensity(ess=0.0).weights(task(Xs, Xt)).numpy()
    X = np.concatenate([Xs, Xt]).astype(float)
    values, vectors = np.linalg.eigh(np.cov(X.T))
    S, T = ((A - X.mean(0)) @ vectors / np.sqrt(values) for A in (Xs.astype(float), Xt.astype(float)))
    p = [multivariate_normal(A.mean(0), ledoit_wolf(A)[0]).pdf(S) for A in (T, S)]
    expected = p[0] / p[1]
    np.testing.assert_allclose(w, expected / expected.mean(), rtol=1e-5)


def test_log_kde_is_scikit_learns():
    Xs, Xt = (torch.from_numpy(a).double() for a in small(50, 30))
    theirs = SklearnKde(bandwidth=0.4).fit(Xt.numpy()).score_samples(Xs.numpy())
    ours = densities.log_kde(Xs, Xt, 0.16 * torch.eye(3, dtype=torch.float64), chunk=7)
    np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_kernel_density_is_scipys():
    Xs, Xt = small(60, 45)
    w = KernelDensity(ess=0.0).weights(task(Xs, Xt)).numpy()
    source = gaussian_kde(Xs.T.astype(float))
    own = 1 / np.sqrt(np.linalg.det(2 * np.pi * source.covariance))  # of each sample's own Gaussian, which is left out
    expected = gaussian_kde(Xt.T.astype(float))(Xs.T) / ((60 * source(Xs.T) - own) / 59)
    np.testing.assert_allclose(w, expected / expected.mean(), rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_temper_keeps_the_effective_sample_size(seed):
    log_w = torch.from_numpy(np.random.default_rng(seed).normal(size=200) * 300)
    w, power = ratios.temper(log_w, 0.3)
    assert ratios.ess(w) == pytest.approx(60, rel=1e-6)  # the largest such power: it holds with equality
    assert 0 < power < 1
    np.testing.assert_allclose((w / w.max()).log(), power * (log_w - log_w.max()), atol=1e-9)
    assert ratios.temper(log_w / 1e4, 0.3)[1] == 1


@pytest.mark.parametrize("cls", METHODS)
def test_units_and_the_order_of_the_target_do_not_matter(cls):
    Xs, Xt = small(80, 61, 5)
    w = cls().weights(task(Xs, Xt))
    w = w / w.mean()
    again = cls().weights(task(Xs, Xt[np.random.default_rng(0).permutation(61)]))
    np.testing.assert_allclose(again / again.mean(), w, atol=1e-7)
    scaled = cls().weights(task(Xs * np.float32(2**20), Xt * np.float32(2**20)))  # exact in float32
    np.testing.assert_allclose(scaled / scaled.mean(), w, atol=1e-6)


def _awkward():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)).astype("f4")
    constant = X.copy()
    constant[:, 1] = 7
    yield "single target sample", X, X[:1] + 1
    yield "few source samples", X[:5], rng.normal(size=(400, 4))
    yield "few target samples", rng.normal(size=(400, 4)), X[:5]
    yield "d > n", rng.normal(size=(20, 300)), 1 + rng.normal(size=(25, 300))
    yield "duplicate rows", np.repeat(X[:20], 3, 0), np.repeat(X[30:40], 4, 0)
    yield "constant column", constant, 0.5 + constant
    yield "column constant in the target", X, constant
    yield "equal target rows", X, np.repeat(X[:1], 30, 0)
    yield "far apart", X, 1e4 + X
    yield "large features", 1e6 * X, 1e6 * (X[:40] + 1)


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize(("Xs", "Xt"), [pytest.param(a, b, id=name) for name, a, b in _awkward()])
def test_awkward_samples(cls, Xs, Xt):
    w = cls().weights(task(Xs, Xt))
    assert bool(torch.isfinite(w).all())
    assert float(w.min()) >= 0
    assert ratios.ess(w) >= 1


@pytest.mark.parametrize(
    ("cls", "bad"),
    [
        *((cls, {"how": "magic"}) for cls in METHODS),
        *((cls, {"b": 0}) for cls in (Kliep, Ulsif, Rulsif)),
        *((cls, {"sigma": -1.0}) for cls in (Kliep, Ulsif, Rulsif)),
        *((cls, {"reg": -1.0}) for cls in (Ulsif, Rulsif, Discriminator)),
        *((cls, {"k": 0}) for cls in (Discriminator, GaussianDensity, KernelDensity)),
        *((cls, {"ess": 1.5}) for cls in (Discriminator, GaussianDensity, KernelDensity)),
        (Rulsif, {"alpha": 1.0}),
        (NearestNeighbor, {"smoothing": -0.1}),
    ],
)
def test_refuses(cls, bad):
    name = cls.__module__.rsplit(".", 1)[1]
    with pytest.raises(BadInput, match=f"^{name}: "):
        cls(**bad).fit(task(*small()))
