"""CORAL, MMD and gradient reversal against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power
from torch import nn

from zoo.adapters.feature.coral import Coral
from zoo.adapters.feature.dan import Dan
from zoo.adapters.feature.dann import Dann
from zoo.nets.mlp import Mlp
from zoo.ops.mmd import mmd2, multi_gaussian
from zoo.ops.reversal import reverse, warm_up
from zoo.task import Task
from zoo.train import Batch


def correlated(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)).astype(np.float32)


def mapped(reg: float, Xs: np.ndarray, Xt: np.ndarray) -> np.ndarray:
    method = Coral(reg=reg, centre=False)
    method.fit_map(Task.from_arrays(Xs, np.arange(len(Xs)) % 2, Xt))
    return method.source(torch.from_numpy(Xs).double()).numpy()


def test_coral_covariance_becomes_the_targets():
    Xs, Xt = correlated(200, 8, 0), correlated(90, 8, 1)
    expected = np.cov(Xt.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(np.cov(mapped(0.0, Xs, Xt), rowvar=False), expected, atol=1e-8 * np.abs(expected).max())


def test_coral_equals_scipy_roots():
    Xs, Xt = correlated(30, 50, 2), correlated(20, 50, 3)  # more columns than rows
    Cs, Ct = (np.cov(X.astype(np.float64), rowvar=False) + 0.5 * np.eye(50) for X in (Xs, Xt))
    expected = Xs.astype(np.float64) @ fractional_matrix_power(Cs, -0.5) @ fractional_matrix_power(Ct, 0.5)
    np.testing.assert_allclose(mapped(0.5, Xs, Xt), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("reg", [0.0, 1.0])
def test_coral_is_finite_without_full_rank(reg):
    Xs, Xt = correlated(10, 30, 4), correlated(1, 30, 5)
    Xs[:, 3] = Xt[:, 3] = 2.0
    assert np.isfinite(mapped(reg, Xs, Xt)).all()


def brute_mmd2(X: np.ndarray, n: int) -> float:
    """Unbiased multi-kernel MMD by loops over pairs."""
    N = len(X)
    m = N - n
    D = [[float(((X[i] - X[j]) ** 2).sum()) for j in range(N)] for i in range(N)]
    mean = sum(map(sum, D)) / (N * (N - 1))

    def k(i: int, j: int) -> float:
        return sum(math.exp(-D[i][j] / (c * mean)) for c in (0.25, 0.5, 1, 2, 4))

    ss = sum(k(i, j) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    tt = sum(k(i, j) for i in range(n, N) for j in range(n, N) if i != j) / (m * (m - 1))
    return ss + tt - 2 * sum(k(i, j) for i in range(n) for j in range(n, N)) / (n * m)


def test_mmd_equals_loops():
    X = np.concatenate([correlated(17, 5, 6), correlated(23, 5, 7) + 100])  # far from the origin
    ours = float(mmd2(multi_gaussian(torch.from_numpy(X)), 17))
    assert ours == pytest.approx(brute_mmd2(X.astype(np.float64), 17), abs=1e-6)


def test_dan_omega_is_that_mmd_of_features_and_scores():
    g = torch.Generator().manual_seed(0)
    zs, zt, ls, lt = (torch.randn(12, d, generator=g) + s for d, s in ((6, 0), (6, 1), (3, 0), (3, 1)))
    z, p = torch.cat([zs, zt]).numpy(), torch.cat([ls, lt]).softmax(1).numpy()
    omega = Dan(weight=2.0).omega(Batch(zs=zs, zt=zt, ls=ls, lt=lt))
    assert float(omega) == pytest.approx(2 * (brute_mmd2(z, 12) + brute_mmd2(p, 12)), rel=1e-5)


def test_unbiased_mmd_averages_to_zero():
    g = torch.Generator().manual_seed(1)
    draws = torch.randn(1500, 40, 4, generator=g)
    kernels = [multi_gaussian(X) for X in draws]
    unbiased = torch.stack([mmd2(K, 15) for K in kernels])
    biased = torch.stack([mmd2(K, 15, unbiased=False) for K in kernels])
    error = float(unbiased.std()) / math.sqrt(len(draws))
    assert abs(float(unbiased.mean())) < 4 * error
    assert float(biased.mean()) > 40 * error  # so that the line above can fail


def test_mmd_of_equal_rows_has_a_finite_gradient():
    X = torch.zeros(8, 3, requires_grad=True)
    mmd2(multi_gaussian(X), 4).backward()
    assert bool(torch.isfinite(X.grad).all())


def test_reversal_is_minus_lambda_times_the_plain_gradient():
    torch.manual_seed(0)
    z, layer = torch.randn(7, 4), nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    plain, turned = z.clone().requires_grad_(), z.clone().requires_grad_()
    layer(plain).sum().backward()
    below = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    layer(reverse(turned, 0.3)).sum().backward()
    assert float(plain.grad.abs().min()) > 0
    torch.testing.assert_close(turned.grad, -0.3 * plain.grad)
    for p, expected in zip(layer.parameters(), below, strict=True):
        torch.testing.assert_close(p.grad, expected)  # the discriminator itself descends


def test_dann_gradient_reaches_the_features_reversed():
    """Ω's gradient at the features is -λ times that of the discriminator's loss, written out; its own is plain."""
    torch.manual_seed(0)
    method = Dann(weight=0.7)
    D = method.setup(Mlp((3,), 2), None).eval()  # no dropout
    zs, zt = torch.randn(6, 256, requires_grad=True), torch.randn(9, 256, requires_grad=True)
    b = Batch(zs=zs, zt=zt, progress=0.2)
    reversed_ = torch.autograd.grad(method.omega(b), [zs, zt, *D.parameters()])
    p = torch.sigmoid(D(torch.cat([zs, zt])))
    loss = -(p[:6].log().sum() + (1 - p[6:]).log().sum()) / 15
    plain = torch.autograd.grad(loss, [zs, zt, *D.parameters()])
    strength = 0.7 * (2 / (1 + math.exp(-2)) - 1)
    assert warm_up(0.2) * 0.7 == pytest.approx(strength)
    for ours, theirs, factor in zip(reversed_, plain, [-strength] * 2 + [1] * len(list(D.parameters())), strict=True):
        assert float(theirs.abs().sum()) > 0
        torch.testing.assert_close(ours, factor * theirs, rtol=1e-4, atol=1e-7)
