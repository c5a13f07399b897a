"""Density ratios: grids of widths and penalties that contain their optimum, against independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from zoo.adapters.instance.discriminator import Discriminator
from zoo.adapters.instance.kliep import Kliep
from zoo.adapters.instance.rulsif import Rulsif
from zoo.adapters.instance.ulsif import Ulsif
from zoo.task import Task


def rbf(X: np.ndarray, Y: np.ndarray, gamma: float) -> np.ndarray:
    return np.exp(-gamma * cdist(X, Y, "sqeuclidean"))


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
    grid = [30, 10, 5, 3, 2, 1.5, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.07, 0.049, 0.0343, 0.02401, 0.016807, 0.0117649]
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
    for factor in (1e4, 30, 10, 5, 3, 2, 1.5, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.07):
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


@pytest.mark.reference(
    method="discriminator",
    source="Bickel et al. 2009; scikit-learn's LogisticRegression",
    compared="out-of-fold log loss of every penalty by scikit-learn, the choice, and the weights",
    differs="principal components; folds by rank; flattened where the ESS is below 30 %",
)
@pytest.mark.parametrize(
    ("shift", "n", "d", "lowest", "highest"),
    [(0.0, 60, 30, 1e4, 1e4), (0.05, 150, 30, 0.5, 100), (30.0, 40, 3, 1e-8, 1e-5)],
    ids=["nothing to find", "a weak shift", "apart"],
)
def test_discriminator_chooses_a_penalty_inside_its_grid(shift, n, d, lowest, highest):
    rng = np.random.default_rng(4)
    Xs, Xt = (X.astype("f4").astype(float) for X in (rng.normal(size=(n, d)), rng.normal(size=(n, d)) + shift))
    X, y = np.concatenate([Xs, Xt]), np.arange(2 * n) >= n
    centred = X - X.mean(0)
    Z = centred / np.sqrt(centred.var(0, ddof=1).mean())  # a rotation changes nothing
    far = [np.square(Z[part] - Z[:n].mean(0)).sum(1) for part in (~y, y)]
    fold = np.concatenate([np.argsort(np.argsort(f)) % 5 for f in far])

    def odds(reg: float) -> np.ndarray:
        z = np.empty(2 * n)
        for i in range(5):
            kept = fold != i
            model = LogisticRegression(C=1 / (reg * kept.sum()), tol=1e-12, max_iter=100_000).fit(Z[kept], y[kept])
            z[~kept] = model.decision_function(Z[~kept])
        return z

    losses = {reg: log_loss(y, 1 / (1 + np.exp(-odds(reg)))) for reg in 10.0 ** np.arange(4, -9, -1)}
    best = min(losses, key=losses.__getitem__)
    assert lowest <= best <= highest  # beyond the old grid's ends, 10 and 1e-4, or inside it
    method = Discriminator(ess=0.0)
    w = method.weights(Task.from_arrays(Xs, np.arange(n) % 2, Xt)).numpy()
    assert method.certificate_["reg"] == pytest.approx(best)
    assert method.certificate_["log_loss"] == pytest.approx(losses[best], abs=1e-5)
    if shift < 1:
        expected = np.exp(odds(best)[:n])
        np.testing.assert_allclose(w / w.mean(), expected / expected.mean(), rtol=2e-3)
