"""Feature augmentation, marginalised denoising, DASVM and location-scale MMD against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.svm import SVC, LinearSVC

from zoo.adapters.feature.augment import Augment, source, target
from zoo.adapters.feature.dasvm import Dasvm, Machine
from zoo.adapters.feature.mmd_ls import MmdLs
from zoo.adapters.feature.msda import Msda
from zoo.errors import BadInput
from zoo.ops.denoising import denoiser, scatter
from zoo.ops.location_scale import match, mmd2, penalty, strided
from zoo.task import Task


def classes(n: int, d: int, seed: int, C: int = 3, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % C
    return (rng.normal(size=(n, d)) + 2 * np.eye(C, d)[y] + shift).astype(np.float32), y


# augment --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5,), (2, 3)])  # images are flattened
def test_augmented_kernel_is_doubled_within_a_domain_and_plain_across(shape):
    """Daumé III 2007, section 3.2."""
    rng = np.random.default_rng(0)
    S, T = (torch.from_numpy(rng.normal(size=(n, *shape))) for n in (4, 6))
    K = torch.cat([S, T]).flatten(1) @ torch.cat([S, T]).flatten(1).T
    same = torch.block_diag(torch.ones(4, 4), torch.ones(6, 6))
    Z = torch.cat([source(S), target(T)])
    torch.testing.assert_close(Z @ Z.T, K * (1 + same))


@pytest.mark.reference(
    method="augment",
    source="Daumé III 2007, section 3.2; scikit-learn's SVC on the precomputed kernel",
    compared="decisions of 300 target samples",
    differs="the suite's classifier in place of an SVM",
)
def test_augment_equals_an_svm_on_that_kernel():
    """The kernel form needs no augmented features at all: a precomputed kernel gives the same decisions."""
    (Xs, ys), (Xl, yl), (X, _) = classes(60, 4, 0, 2), classes(10, 4, 1, 2, 1.5), classes(300, 4, 2, 2, 1.5)
    U, dom = np.concatenate([Xs, Xl]).astype(float), np.repeat([0, 1], [60, 10])
    K = U @ U.T * (1 + (dom[:, None] == dom))
    kernel = SVC(kernel="precomputed").fit(K, np.concatenate([ys, yl]))
    expected = kernel.predict(X.astype(float) @ U.T * (1 + dom))

    class Linear:
        weighted = True

        def fit(self, X, y, n_classes):
            self.svm = SVC(kernel="linear").fit(X.double().numpy(), y.numpy())
            return self

        def predict(self, X):
            return torch.eye(2)[torch.from_numpy(self.svm.predict(X.double().numpy()))]

    task = Task.from_arrays(Xs, ys, None, Xl, yl)
    task.learner = Linear()
    ours = Augment().fit(task).predict(torch.from_numpy(X)).argmax(1).numpy()
    np.testing.assert_array_equal(ours, expected)
    plain = SVC(kernel="linear").fit(U, np.concatenate([ys, yl])).predict(X)
    assert (plain != expected).mean() > 0.01  # so that the line above can fail


# msda -----------------------------------------------------------------------------------------------------------------


def mixed(n: int, d: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / math.sqrt(d) + 0.3


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_denoiser_is_the_limit_of_least_squares_on_corrupted_copies(p):
    X, copies = mixed(30, 4, 0), 20_000
    rng = np.random.default_rng(1)
    A = np.concatenate([np.tile(X, (copies, 1)) * (rng.random((copies * 30, 4)) >= p), np.ones((copies * 30, 1))], 1)
    monte_carlo = np.linalg.solve(A.T @ A, A.T @ np.tile(X, (copies, 1))).T
    W = denoiser(scatter(torch.from_numpy(X)), p).numpy()
    np.testing.assert_allclose(W, monte_carlo, atol=0.01)
    assert np.abs(W - np.eye(4, 5)).max() > 0.1


def test_denoiser_minimises_the_expected_error_over_all_corruptions():
    """The loss summed over all 2^3 masks with their probabilities, by autograd: its gradient at W is 0."""
    X, p = torch.from_numpy(mixed(12, 3, 2)), 0.4
    W = denoiser(scatter(X), p).requires_grad_()
    loss = torch.zeros((), dtype=torch.float64)
    for bits in range(8):
        mask = torch.tensor([bits >> i & 1 for i in range(3)], dtype=torch.float64)
        chance = math.prod(p if m == 0 else 1 - p for m in mask)
        loss = loss + chance * (X - torch.cat([X * mask, torch.ones(12, 1)], 1) @ W.T).square().sum()
    (gradient,) = torch.autograd.grad(loss, W)
    assert float(gradient.abs().max()) < 1e-6 * loss.item()


@pytest.mark.reference(
    method="msda",
    source="Chen et al. 2012, figure 1",
    compared="input and two layers, by explicit matrices",
    differs="inputs are divided by their root mean square",
)
def test_msda_stacks_the_input_and_every_layer():
    (Xs, ys), (Xt, _) = classes(40, 5, 3), classes(30, 5, 4)
    method = Msda(p=0.3, layers=2)
    method.fit_map(Task.from_arrays(Xs, ys, Xt))
    pooled = np.concatenate([Xs, Xt]).astype(float)
    h = [pooled / np.sqrt((pooled**2).mean())]
    for _ in range(2):  # Chen et al. 2012, figure 1, by explicit matrices
        B = np.concatenate([h[-1], np.ones((70, 1))], 1).T
        q = np.array([0.7] * 5 + [1.0])
        S = B @ B.T
        Q = np.where(np.eye(6, dtype=bool), np.diag(S) * q, S * np.outer(q, q))
        h.append(np.tanh((S[:-1] * q) @ np.linalg.inv(Q) @ B).T)
    ours = method.source(torch.from_numpy(pooled)).numpy()
    assert ours.shape == (70, 15)
    np.testing.assert_allclose(ours, np.concatenate(h, 1), atol=1e-6)


def test_msda_follows_the_units():
    (Xs, ys), (Xt, _) = classes(40, 5, 3), classes(30, 5, 4)
    one, million = Msda(), Msda()
    one.fit_map(Task.from_arrays(Xs, ys, Xt))
    million.fit_map(Task.from_arrays(1e6 * Xs, ys, 1e6 * Xt))
    X = torch.from_numpy(Xt).double()
    torch.testing.assert_close(one.target(X), million.target(1e6 * X), rtol=0, atol=1e-5)


# dasvm ----------------------------------------------------------------------------------------------------------------


def test_dasvm_without_a_shift_is_the_plain_svm_nearly_everywhere():
    (Xs, ys), (Xt, _), (X, _) = classes(300, 6, 0), classes(300, 6, 1), classes(600, 6, 2)
    method = Dasvm().fit(Task.from_arrays(Xs, ys, Xt))
    ours = method.predict(torch.from_numpy(X)).argmax(1).numpy()
    plain = LinearSVC(C=1.0, random_state=0, max_iter=10_000).fit(Xs, ys).predict(X)
    assert (ours == plain).mean() > 0.95


@pytest.mark.parametrize(("degrees", "spread"), [(40, 1.5), (60, 1.0)])
def test_dasvm_follows_a_drift(degrees, spread):
    """Two Gaussians turned: the source's line cuts through both classes of the target, the band between them does not.

    By 60 degrees and a spread of 1.5 the pseudo-labels themselves go wrong (83 %, the source's SVM 75 %).
    """
    rng, turn = np.random.default_rng(0), np.deg2rad(degrees)
    R = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def draw(n):
        y = np.arange(n) % 2
        X = rng.normal(size=(n, 2)) * [0.5, spread]
        X[:, 0] += np.where(y == 1, 2, -2)
        return X.astype(np.float32), y

    (Xs, ys), (Xt, yt) = draw(300), draw(300)
    Xt = (Xt @ R.T).astype(np.float32)
    method = Dasvm().fit(Task.from_arrays(Xs, ys, Xt))
    ours = (method.predict(torch.from_numpy(Xt)).argmax(1).numpy() == yt).mean()
    assert ours > 0.99
    assert ours > LinearSVC(C=1.0, random_state=0).fit(Xs, ys).score(Xt, yt) + 0.08


@pytest.mark.reference(
    method="dasvm",
    source="Bruzzone and Marconcini 2010, section 4; scikit-learn's LinearSVC",
    compared="the last hyperplane, that of an SVM on the pseudo-labelled target alone (abs. 1e-2); not the way there",
    differs="a share of the source leaves in each round, theirs as many samples as join; one constant C",
)
def test_dasvm_ends_on_target_samples_only():
    """The final hyperplane is that of an SVM on pseudo-labelled target samples, and on no source sample."""
    (Xs, ys), (Xt, _) = classes(200, 4, 5, 2), classes(160, 4, 6, 2, 0.3)
    Xs, Xt = Xs.astype(float), Xt.astype(float)
    machine = Machine(Xs, np.where(ys == 1, 1, -1), Xt).run(C=1.0, rho=0.1, beta=0.03, T=50)
    assert machine.converged
    assert not machine.kept.any()
    used = machine.label != 0
    svm = LinearSVC(C=1.0, tol=1e-8, dual=False).fit(Xt[used], machine.label[used])
    np.testing.assert_allclose(machine.w, np.append(svm.coef_[0], svm.intercept_), atol=1e-2)
    now = np.sign(Xt @ machine.w[:-1] + machine.w[-1])
    assert (machine.label[used] != now[used]).mean() <= 0.03 + 1 / used.sum()
    assert 10 <= machine.rounds <= 20  # a tenth of the source goes a round


def test_dasvm_keeps_the_source_of_a_class_that_the_target_lacks():
    (Xs, ys), (Xt, yt) = classes(150, 4, 7), classes(150, 4, 8)
    method = Dasvm().fit(Task.from_arrays(4 * Xs, ys, 4 * Xt[yt == 0]))
    scores = method.predict(torch.from_numpy(4 * Xt))
    assert bool(torch.isfinite(scores).all())
    assert (scores.argmax(1).numpy() == yt).mean() > 0.6


@pytest.mark.parametrize("C", [2])  # of one class there is nothing to tell apart: arrays refuse it
def test_dasvm_with_few_classes_gives_scores(C):
    (Xs, ys), (Xt, yt) = classes(60, 4, 0, C), classes(60, 4, 1, C)
    scores = Dasvm().fit(Task.from_arrays(Xs, ys, Xt)).predict(torch.from_numpy(Xt))
    assert scores.shape == (60, C)
    assert (scores.argmax(1).numpy() == yt).mean() > 0.85


# mmd_ls ---------------------------------------------------------------------------------------------------------------


def test_mmd2_equals_loops():
    X, Y = mixed(7, 3, 0), mixed(9, 3, 1) + 0.5

    def k(a, b):
        return math.exp(-0.4 * sum((s - t) ** 2 for s, t in zip(a, b, strict=True)))

    mean = [sum(k(a, b) for a in A for b in B) / (len(A) * len(B)) for A, B in ((X, X), (X, Y), (Y, Y))]
    ours = mmd2(torch.from_numpy(X), torch.from_numpy(Y), 0.4, mean[2])
    assert float(ours) == pytest.approx(mean[0] - 2 * mean[1] + mean[2], abs=1e-12)


def test_gradient_of_the_objective_equals_finite_differences():
    X, T = torch.from_numpy(mixed(12, 3, 2)), torch.from_numpy(mixed(10, 3, 3) + 0.7)
    Y = torch.eye(2, dtype=torch.float64)[torch.arange(12) % 2]
    g = torch.Generator().manual_seed(0)
    start = [torch.randn(2, 3, generator=g, dtype=torch.float64).requires_grad_() for _ in range(2)]
    torch.autograd.gradcheck(lambda W, B: mmd2(X * (Y @ W) + Y @ B, T, 0.2) + 0.3 * penalty(W, B, Y.mean(0)), start)


@pytest.mark.reference(
    method="mmd_ls",
    source="Zhang et al. 2013, section 4; SciPy's L-BFGS-B with differences for gradients",
    compared="least value of the objective (abs. 1e-4)",
    differs="labels in place of the labels' kernel; without the reweighting of LS-GeTarS",
)
def test_match_reaches_what_scipy_reaches():
    from scipy.optimize import minimize

    (X, y), (T, _) = classes(40, 3, 4, 2), classes(30, 3, 5, 2, 0.6)
    X, T = torch.from_numpy(X).double(), torch.from_numpy(T).double()
    Y = torch.eye(2, dtype=torch.float64)[torch.from_numpy(y)]
    own = float(mmd2(T, T, 0.2)) * -1
    before = float(mmd2(X, T, 0.2, own))

    def value(v):
        W, B = torch.from_numpy(v).reshape(2, 2, 3)
        moved = X * (Y @ W) + Y @ B
        return float(mmd2(moved, T, 0.2, own)) / before + 0.1 * float(penalty(W, B, Y.mean(0)))

    theirs = minimize(value, np.r_[np.ones(6), np.zeros(6)], method="L-BFGS-B")  # differences, no gradient
    ours = match(X, Y, T, 0.2, 0.1, 50)
    assert value(torch.stack(ours).numpy().ravel()) == pytest.approx(theirs.fun, abs=1e-4)
    assert theirs.fun < 0.7


def test_mmd_ls_recovers_a_location_scale_shift():
    """Each class has its own shift and scale; samples of the target are new ones."""
    w, b = np.array([[1.3, 0.8], [0.7, 1.2]]), np.array([[1.0, -0.5], [-0.5, 1.0]])
    rng = np.random.default_rng(0)

    def draw(n):
        y = np.arange(n) % 2
        return rng.normal(size=(n, 2)) + np.where(y == 1, 4, -4)[:, None], y

    (Xs, ys), (Xt, yt) = draw(600), draw(600)
    Xt = w[yt] * Xt + b[yt]
    method = MmdLs(reg=1e-4, steps=50)
    task = Task.from_arrays(Xs, ys, Xt)
    method.fit_map(task)
    moved = method.source(task.Xs).double().numpy()
    expected = w[ys] * Xs + b[ys]
    assert np.abs(moved - expected).mean() < 0.2
    assert np.abs(Xs - expected).mean() > 1.0
    assert method.certificate_["mmd2_after"] < 0.1 * method.certificate_["mmd2_before"]


def test_mmd_ls_moves_held_out_source_samples_with_their_neighbours_class():
    (Xs, ys), (Xt, _) = classes(60, 4, 9), classes(50, 4, 10, 3, 0.8)
    method, task = MmdLs(), Task.from_arrays(Xs, ys, Xt)
    method.fit_map(task)
    held = torch.from_numpy(classes(20, 4, 11)[0])
    nearest = [int(((Xs - x) ** 2).sum(1).argmin()) for x in held.numpy()]
    moved = task.Xs.clone()
    moved[nearest[:1]] = held[:1]  # a known class: that of the sample it replaces
    method.Xs_ = moved
    torch.testing.assert_close(method.source(held[:1]), method.source(moved)[nearest[:1]])
    np.testing.assert_array_equal(method.target(held).numpy(), held.numpy())


def test_pull_towards_no_change_wins_where_it_is_strong():
    (Xs, ys), (Xt, _) = classes(60, 4, 9), classes(50, 4, 10, 3, 0.8)
    method, task = MmdLs(reg=1e6), Task.from_arrays(Xs, ys, Xt)
    method.fit_map(task)
    torch.testing.assert_close(method.source(task.Xs), task.Xs, rtol=0, atol=1e-4)


def test_strided_mmd_ls_is_close_to_the_whole_and_ignores_the_order():
    (Xs, ys), (Xt, _) = classes(900, 3, 12), classes(900, 3, 13, 3, 0.8)
    whole, some, turned = MmdLs(), MmdLs(limit=450), MmdLs(limit=450)
    for method, T in ((whole, Xt), (some, Xt), (turned, Xt[::-1].copy())):
        method.fit_map(Task.from_arrays(Xs, ys, T))
    assert some.certificate_["used"] == 0.5
    X = torch.from_numpy(Xs[:100]).double()
    a, b, c = (m.source(X) for m in (whole, some, turned))
    torch.testing.assert_close(b, c, rtol=0, atol=1e-6)
    assert float((a - b).abs().mean()) < 0.3 * float((a - X).abs().mean())


def test_strided_keeps_class_shares():
    y = torch.arange(1000) % 10
    X = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    rows = strided(X, 100, y)
    assert len(rows.unique()) == 100
    assert torch.bincount(y[rows]).tolist() == [10] * 10


def test_same_samples_stay():
    X, y = classes(30, 4, 14)
    task = Task.from_arrays(X, y, X)
    method = MmdLs()
    method.fit_map(task)
    torch.testing.assert_close(method.source(task.Xs), task.Xs)


# all ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Msda(), Dasvm(), MmdLs()], ids=["msda", "dasvm", "mmd_ls"])
def test_threads_change_nothing(method):
    (Xs, ys), (Xt, _) = classes(300, 40, 15), classes(250, 40, 16, 3, 0.5)
    threads, scores = torch.get_num_threads(), []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            task = Task.from_arrays(Xs, ys, Xt)
            method.fit(task)
            scores.append(method.predict(task.Xt) if isinstance(method, Dasvm) else method.source(task.Xs.double()))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(*scores, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Msda(p=1.0), "msda: 0 <= p < 1"),
        (Msda(layers=0), "layers is at least 1"),
        (Dasvm(rho=0.0), "dasvm: .* 0 < rho <= 1"),
        (Dasvm(C=-1.0), "C is above 0"),
        (MmdLs(reg=-1.0), "mmd_ls: reg and gamma are at least 0"),
        (MmdLs(limit=1), "limit at least 2"),
    ],
)
def test_out_of_range(method, words):
    (Xs, ys), (Xt, _) = classes(12, 3, 0), classes(12, 3, 1)
    with pytest.raises(BadInput, match=words):
        method.fit(Task.from_arrays(Xs, ys, Xt))
