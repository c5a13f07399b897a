"""LEEP, NCE, LogME and H-score against loops, other libraries, dense Gaussians and worked examples."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import entropy, multivariate_normal
from sklearn.cross_decomposition import CCA
from sklearn.metrics import mutual_info_score

from zoo.ops.transferability import h_score, leep, log_me, nce


def draw(n, seed, *, sources=5, classes=4):
    """Probabilities and labels that have something to do with each other."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n,), generator=rng)
    logits = torch.randn(n, sources, generator=rng, dtype=torch.float64)
    logits[torch.arange(n), (y + 1) % sources] += 1.5
    return logits.softmax(1), y


# LEEP


def test_leep_by_hand():
    """p(y=0|z=0) = 1.2/1.5 and p(y=0|z=1) = 0.8/1.5, so that the three rows get 4/5·.9 + 8/15·.1, and so on."""
    P = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.3, 0.7]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1])
    values = [0.8 * 0.9 + 8 / 15 * 0.1, 0.8 * 0.3 + 8 / 15 * 0.7, 0.2 * 0.3 + 7 / 15 * 0.7]
    assert leep(P, y) == pytest.approx(np.mean(np.log(values)), rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_leep_is_the_definition_in_loops(seed):
    P, y = draw(60, seed)
    n, sources = P.shape
    joint = {(c, z): sum(P[i, z].item() for i in range(n) if y[i] == c) / n for c in range(4) for z in range(sources)}
    mass = [sum(joint[c, z] for c in range(4)) for z in range(sources)]
    rows = [math.log(sum(joint[y[i].item(), z] / mass[z] * P[i, z].item() for z in range(sources))) for i in range(n)]
    assert leep(P, y) == pytest.approx(sum(rows) / n, rel=1e-12)


def test_leep_of_a_model_that_says_nothing_is_minus_the_entropy():
    y = torch.tensor([0, 0, 0, 1, 1, 2])
    assert leep(torch.full((6, 3), 1 / 3), y) == pytest.approx(-entropy([3, 2, 1]), rel=1e-6)


def test_leep_of_certain_probabilities_is_nce():
    z, y = torch.randint(3, (50,), generator=torch.Generator().manual_seed(0)), draw(50, 1)[1]
    one_hot = torch.nn.functional.one_hot(z, 6)  # three source classes that no row has
    assert leep(one_hot, y) == pytest.approx(nce(z, y), rel=1e-12)


# NCE


def test_nce_by_hand():
    """Of 4 rows in z = 0 three are of one class; the one row in z = 1 is certain: -(4/5) H(3/4)."""
    z, y = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([7, 7, 7, 2, 2])
    assert nce(z, y) == pytest.approx(0.8 * (0.75 * math.log(0.75) + 0.25 * math.log(0.25)), rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nce_is_mutual_information_less_entropy(seed):
    P, y = draw(80, seed)
    z = P.argmax(1)
    expected = mutual_info_score(z, y) - entropy(torch.bincount(y))
    assert nce(z, y) == pytest.approx(expected, rel=1e-9)
    assert -entropy(torch.bincount(y)) < nce(z, y) < 0
    loop = sum(
        ((z == a) & (y == c)).sum().item() / 80 * math.log(((z == a) & (y == c)).sum().item() / (z == a).sum().item())
        for a in z.unique()
        for c in y.unique()
        if ((z == a) & (y == c)).any()
    )
    assert nce(z, y) == pytest.approx(loop, rel=1e-9)


# LogME


def dense(F, y, scale):
    """The maximum of log N(y; 0, I/beta + FF'/alpha) / n over alpha and beta, with an n × n covariance."""
    n, K = len(F), F @ F.T

    def loss(logs):
        alpha, beta = np.exp(logs)
        return -multivariate_normal.logpdf(y, np.zeros(n), np.eye(n) / beta + K / alpha) / n

    starts = [(a + math.log(scale**2), b) for a in (-2.0, 2.0, 6.0) for b in (0.0, 3.0)]
    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}
    return -min(minimize(loss, start, method="Nelder-Mead", options=options).fun for start in starts)


@pytest.mark.parametrize(("n", "d", "scale"), [(40, 5, 1.0), (30, 12, 100.0)])
def test_log_me_is_the_maximum_of_the_dense_evidence(n, d, scale):
    rng = np.random.default_rng(d)
    y = np.arange(n) % 3
    F = scale * (rng.normal(size=(n, d)) + 2 * rng.normal(size=(3, d))[y])
    expected = np.mean([dense(F, (y == c).astype(float), scale) for c in range(3)])
    assert log_me(torch.from_numpy(F), torch.from_numpy(y)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("share", "higher"), [(0.45, "small"), (0.03, "large")])
def test_log_me_finds_the_higher_of_two_maxima(share, higher):
    """One direction of scale 100 holds half of y, another of scale 0.01 a share: each has its maximum."""
    n = 100
    y = np.ones(n)
    Q = np.linalg.qr(np.c_[y, np.random.default_rng(0).normal(size=(n, 2))])[0] * np.sqrt(n)  # first column: ± y
    turn = np.linalg.qr(np.c_[np.sqrt([0.5, share, 0.5 - share]), np.eye(3)[:, 1:]])[0]
    U, s = Q @ turn.T / np.sqrt(n), np.array([1e2, 1e-2])
    F = U[:, :2] * s
    assert (U[:, :2].T @ y) ** 2 / n == pytest.approx([0.5, share])
    ratios = np.exp(np.linspace(-20, 20, 40001))
    left = y @ y - ((U[:, :2].T @ y) ** 2 * s**2 / (s**2 + ratios[:, None])).sum(1)
    curve = -np.log1p(s**2 / ratios[:, None]).sum(1) / n / 2 - (np.log(left / n) + 1 + math.log(2 * math.pi)) / 2
    inside = curve[1:-1]
    peaks = 1 + np.flatnonzero((inside > curve[:-2]) & (inside > curve[2:]))
    assert len(peaks) == 2
    assert (curve.argmax() == peaks[0]) == (higher == "small")
    assert log_me(torch.from_numpy(F), torch.zeros(n, dtype=torch.int64)) == pytest.approx(curve.max(), abs=1e-6)


def test_log_me_does_not_hang_on_units_or_the_numbering():
    P, y = draw(50, 3)
    assert log_me(1e6 * P, y) == pytest.approx(log_me(P, y), rel=1e-9)
    assert log_me(P, 10 - 2 * y) == pytest.approx(log_me(P, y), rel=1e-9)


@pytest.mark.parametrize("F", [torch.zeros(8, 3), torch.ones(8, 2), torch.eye(8), torch.randn(8, 40)])
@pytest.mark.parametrize("y", [torch.arange(8) % 2, torch.zeros(8, dtype=torch.int64)])
def test_degenerate_outputs_give_finite_scores(F, y):
    assert math.isfinite(log_me(F, y))
    assert 0 <= h_score(F, y) <= len(y.unique()) - 1 + 1e-9


# H-score


@pytest.mark.parametrize("rank", [4, 6])
def test_h_score_is_the_definition(rank):
    rng = np.random.default_rng(rank)
    y = rng.integers(0, 4, 90)
    F = (
        (rng.normal(size=(90, 6)) + rng.normal(size=(4, 6))[y])
        @ rng.normal(size=(6, rank))
        @ rng.normal(size=(rank, 7))
    )
    G = np.stack([F[y == c].mean(0) for c in range(4)])[y]
    expected = np.trace(np.linalg.pinv(np.cov(F.T), rcond=1e-10) @ np.cov(G.T))
    assert h_score(torch.from_numpy(F), torch.from_numpy(y)) == pytest.approx(expected, rel=1e-8)


def test_h_score_does_not_change_under_affine_maps():
    P, y = draw(120, 5)
    F = P[:, :4].log()
    mix = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert h_score(F @ mix + 3, y) == pytest.approx(h_score(F, y), rel=1e-8)
    assert h_score(1e6 * F, y) == pytest.approx(h_score(F, y), rel=1e-8)


def test_h_score_is_the_sum_of_squared_canonical_correlations():
    P, y = draw(200, 6)
    F = P[:, :4].log()
    labels = torch.nn.functional.one_hot(y).double().numpy()[:, :3]
    U, V = CCA(n_components=3, max_iter=20000, tol=1e-12).fit_transform(F.numpy(), labels)
    expected = sum(np.corrcoef(U[:, k], V[:, k])[0, 1] ** 2 for k in range(3))
    assert h_score(F, y) == pytest.approx(expected, rel=1e-5)
