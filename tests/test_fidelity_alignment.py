"""ddc, dan, jan, deep_coral, deep_jdot, mcc, bnm: against loops, NumPy, POT, and properties that are proved."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zoo.adapters.feature.bnm import Bnm
from zoo.adapters.feature.dan import Dan
from zoo.adapters.feature.ddc import Ddc
from zoo.adapters.feature.deep_coral import DeepCoral, coral_loss
from zoo.adapters.feature.deep_jdot import DeepJdot
from zoo.adapters.feature.jan import Jan
from zoo.adapters.feature.mcc import Mcc, confusion
from zoo.ops.mmd import multi_gaussian
from zoo.train import Batch


def draw(*shape, seed=0, shift=0.0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) + shift


def batch(ns=9, nt=7, d=4, classes=3, shift=1.0, dtype=torch.float64):
    return Batch(
        zs=draw(ns, d, dtype=dtype).requires_grad_(),
        zt=draw(nt, d, seed=1, shift=shift, dtype=dtype).requires_grad_(),
        ls=draw(ns, classes, seed=2, dtype=dtype).requires_grad_(),
        lt=draw(nt, classes, seed=3, shift=torch.arange(classes) * shift, dtype=dtype).requires_grad_(),
        ys=torch.arange(ns) % classes,
        progress=0.5,
    )


def arrays(b):
    return (getattr(b, k).detach().numpy() for k in ("zs", "zt", "ls", "lt"))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


ALL = [Ddc(), Dan(), Jan(), DeepCoral(), DeepCoral(layer="features"), DeepJdot(), Mcc(), Bnm()]
READS = {"Ddc": "z", "DeepJdot": "zl", "DeepCoral": "l", "Dan": "zl", "Jan": "zl", "Mcc": "l", "Bnm": "l"}


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_the_gradient_is_not_zero_and_following_it_lowers_omega(method):
    b = batch()
    reads = "z" if getattr(method, "layer", "") == "features" else READS[type(method).__name__]
    names = [k + d for k in reads for d in "st"]
    names = [k for k in names if not (type(method).__name__ in ("Mcc", "Bnm", "DeepJdot") and k == "ls")]
    values = [getattr(b, k) for k in names]
    gradients = torch.autograd.grad(method.omega(b), values)
    for name, g in zip(names, gradients, strict=True):
        assert float(g.abs().max()) > 1e-7, name
    before = method.omega(b).item()
    size = 1e-3 / max(float(g.abs().max()) for g in gradients)
    for k, v, g in zip(names, values, gradients, strict=True):
        setattr(b, k, v - size * g)
    assert method.omega(b).item() < before


@pytest.mark.parametrize("method", [Ddc(), DeepCoral(), DeepCoral(layer="features"), Bnm()], ids=repr)
def test_gradcheck(method, monkeypatch):
    """Numerical derivatives in float64; the methods' own float32 is lifted for it."""
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    b = batch(ns=6, nt=5)
    names = ["zs", "zt", "ls", "lt"]

    def omega(*values):
        for k, v in zip(names, values, strict=True):
            setattr(b, k, v)
        return method.omega(b)

    assert torch.autograd.gradcheck(omega, [getattr(b, k) for k in names])


def differences(f, X, places, step=1e-6):
    """Central differences of a function of an array."""
    found = []
    for i, j in places:
        up, down = X.copy(), X.copy()
        up[i, j] += step
        down[i, j] -= step
        found.append((f(up) - f(down)) / (2 * step))
    return found


def mean_sq_dist(X):
    D = ((X[:, None] - X[None]) ** 2).sum(2)
    return D.sum() / (len(X) * (len(X) - 1))


def five(X, scale):
    D = ((X[:, None] - X[None]) ** 2).sum(2)
    return np.sum([np.exp(-D / (c * scale)) for c in (0.25, 0.5, 1, 2, 4)], 0)


def unbiased(K, n):
    off = K - np.diag(np.diag(K))
    m = len(K) - n
    return off[:n, :n].sum() / (n * (n - 1)) + off[n:, n:].sum() / (m * (m - 1)) - 2 * K[:n, n:].mean()


PLACES = [(0, 0), (2, 1), (3, 2)]


@pytest.mark.parametrize("joint", [False, True], ids=["dan", "jan"])
def test_the_gradients_of_the_mmds_are_differences_at_fixed_bandwidths(joint):
    b = batch()
    zs, zt, ls, lt = arrays(b)
    n, features, scores = (
        len(zs),
        mean_sq_dist(np.concatenate([zs, zt])),
        mean_sq_dist(softmax(np.concatenate([ls, lt]))),
    )

    def omega(zt, lt):
        Z, P = np.concatenate([zs, zt]), softmax(np.concatenate([ls, lt]))
        if joint:
            return unbiased(five(Z, features) * np.exp(-((P[:, None] - P[None]) ** 2).sum(2) / 1.68), n)
        return unbiased(five(Z, features), n) + unbiased(five(P, scores), n)

    method = Jan() if joint else Dan()
    assert method.omega(b).item() == pytest.approx(omega(zt, lt), rel=1e-9)
    gz, gl = torch.autograd.grad(method.omega(b), [b.zt, b.lt])
    assert [gz[p].item() for p in PLACES] == pytest.approx(differences(lambda x: omega(x, lt), zt, PLACES), rel=1e-5)
    assert [gl[p].item() for p in PLACES] == pytest.approx(differences(lambda x: omega(zt, x), lt, PLACES), rel=1e-5)


def test_mccs_gradient_is_that_at_fixed_weights_of_certainty():
    lt = draw(7, 3)
    p = softmax(lt.numpy() / 2.5)
    w = 1 + np.exp((p * np.log(p)).sum(1))
    w = len(w) * w / w.sum()

    def omega(lt):
        p = softmax(lt / 2.5)
        C = (p * w[:, None]).T @ p
        C = C / C.sum(1, keepdims=True)
        return (C.sum() - np.trace(C)) / 3

    found = lt.clone().requires_grad_()
    confusion(found, 2.5).backward()
    assert [found.grad[p].item() for p in PLACES] == pytest.approx(differences(omega, lt.numpy(), PLACES), rel=1e-6)


# ddc ------------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="ddc",
    source="Tzeng et al. 2014, eq. 1; the MMD of a linear kernel",
    compared="Ω over all pairs, by NumPy",
    differs="nothing known",
)
def test_ddc_is_the_mmd_of_a_linear_kernel():
    """The biased estimate over all pairs with the kernel x'y is the squared distance of the means."""
    b = batch(dtype=torch.float64)
    zs, zt, *_ = arrays(b)
    pairs = (zs @ zs.T).mean() + (zt @ zt.T).mean() - 2 * (zs @ zt.T).mean()
    assert Ddc(weight=0.25).omega(b).item() == pytest.approx(0.25 * pairs, rel=1e-5)


# dan and jan ----------------------------------------------------------------------------------------------------------


def test_squaring_gives_the_five_kernels():
    X = draw(8, 3).numpy()
    D = ((X[:, None] - X[None]) ** 2).sum(2)
    mean = D.sum() / (8 * 7)
    expected = np.sum([np.exp(-D / (c * mean)) for c in (0.25, 0.5, 1, 2, 4)], 0)
    np.testing.assert_allclose(multi_gaussian(torch.from_numpy(X)).numpy(), expected, rtol=1e-12)


def test_jan_is_the_joint_mmd_of_loops():
    b = batch()
    zs, zt, ls, lt = arrays(b)
    Z, P = np.concatenate([zs, zt]), softmax(np.concatenate([ls, lt]))
    n, m = len(zs), len(zt)
    D = ((Z[:, None] - Z[None]) ** 2).sum(2)
    scale = D.sum() / ((n + m) * (n + m - 1))

    def k(i, j):
        features = np.sum([math.exp(-D[i, j] / (c * scale)) for c in (0.25, 0.5, 1, 2, 4)])
        return features * math.exp(-((P[i] - P[j]) ** 2).sum() / 1.68)

    ss = sum(k(i, j) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    tt = sum(k(n + i, n + j) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    st = sum(k(i, n + j) for i in range(n) for j in range(m)) / (n * m)
    assert Jan().omega(b).item() == pytest.approx(ss + tt - 2 * st, rel=1e-9)


def test_jan_sees_a_shift_of_the_joint_law_that_dan_cannot():
    """Features and scores have the same marginals in both domains, but go together differently."""
    z, p = draw(400, 1).sign() + 0.1 * draw(400, 1, seed=5), 6 * torch.eye(2, dtype=torch.float64)
    side = (z[:, 0] > 0).long()
    b = Batch(zs=z, zt=z.flip(0), ls=p[side], lt=p[1 - side.flip(0)], progress=0.5)
    assert abs(Dan().omega(b).item()) < 0.1
    assert Jan().omega(b).item() > 1.0


# deep_coral -----------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="deep_coral",
    source="Sun and Saenko 2016, eq. 1; numpy.cov",
    compared="Ω of scores, and of features",
    differs="nothing known",
)
def test_coral_loss_is_numpys():
    b = batch()
    zs, zt, ls, lt = arrays(b)
    for layer, X, Y in (("scores", ls, lt), ("features", zs, zt)):
        expected = ((np.cov(X.T) - np.cov(Y.T)) ** 2).sum() / (4 * X.shape[1] ** 2)
        assert DeepCoral(weight=2.0, layer=layer).omega(b).item() == pytest.approx(2 * expected, rel=1e-5)


def test_coral_does_not_see_a_translation_and_scales_with_the_fourth_power():
    X, Y = draw(50, 4), 2 * draw(50, 4, seed=1)
    assert coral_loss(X, Y + 7).item() == pytest.approx(coral_loss(X, Y).item())
    assert coral_loss(3 * X, 3 * Y).item() == pytest.approx(81 * coral_loss(X, Y).item())
    assert coral_loss(X, X + 1).item() == pytest.approx(0, abs=1e-12)


# deep_jdot ------------------------------------------------------------------------------------------------------------


def test_deep_jdot_steps_on_a_device_with_a_given_plan():
    """host_sync exempts it from the meta device because of POT alone: with a constant plan it runs there."""

    class Planned(DeepJdot):
        def plan(self, C):
            return torch.full_like(C, 1 / C.numel())

    def meta(*shape):
        return torch.empty(*shape, device="meta", requires_grad=True)

    b = Batch(zs=meta(4, 3), zt=meta(5, 3), lt=meta(5, 2), ys=torch.empty(4, dtype=torch.int64, device="meta"))
    omega = Planned().omega(b)
    omega.backward()
    assert omega.device.type == b.zs.grad.device.type == b.lt.grad.device.type == "meta"


# mcc ------------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="mcc",
    source="Jin et al. 2020, eq. 3 to 8",
    compared="the loss by loops over samples and classes",
    differs="nothing known",
)
def test_mcc_is_the_papers_loops():
    lt = draw(7, 3).numpy()
    T = 2.5
    Y = softmax(lt / T)
    H = [-sum(p * math.log(p) for p in row) for row in Y]
    W = [7 * (1 + math.exp(-h)) / sum(1 + math.exp(-g) for g in H) for h in H]
    C = [[sum(W[i] * Y[i, j] * Y[i, k] for i in range(7)) for k in range(3)] for j in range(3)]
    C = [[C[j][k] / sum(C[j]) for k in range(3)] for j in range(3)]
    expected = sum(C[j][k] for j in range(3) for k in range(3) if j != k) / 3
    assert confusion(torch.from_numpy(lt), T).item() == pytest.approx(expected)


def test_mcc_lies_between_certainty_and_indifference():
    """0 where each sample is certain of a class (all classes named), 1 - 1/classes where it is indifferent."""
    certain = 1000 * torch.eye(4)[torch.arange(12) % 4]
    assert confusion(certain, 2.5).item() == pytest.approx(0, abs=1e-6)
    assert confusion(torch.zeros(12, 4), 2.5).item() == pytest.approx(3 / 4)


# bnm ------------------------------------------------------------------------------------------------------------------


def test_bnm_is_numpys_nuclear_norm():
    b = batch()
    *_, lt = arrays(b)
    assert Bnm(weight=2.0).omega(b).item() == pytest.approx(-2 * np.linalg.norm(softmax(lt), "nuc") / 3, rel=1e-5)


@pytest.mark.parametrize("classes", [3, 40])
def test_bnm_keeps_the_papers_bounds(classes):
    """|P|_F <= |P|_* <= sqrt(rank) |P|_F (eq. 6), and certain, balanced scores attain sqrt(n · min(n, classes))."""
    lt = 3 * draw(12, classes)
    P = softmax(lt.numpy())
    norm = -min(12, classes) * Bnm().omega(Batch(lt=lt)).item()
    frobenius = np.linalg.norm(P)
    assert frobenius - 1e-6 <= norm <= math.sqrt(min(12, classes)) * frobenius + 1e-6
    balanced = 1000 * torch.eye(classes)[torch.arange(12) % classes]
    best = -min(12, classes) * Bnm().omega(Batch(lt=balanced)).item()
    assert best == pytest.approx(math.sqrt(12 * min(12, classes)), rel=1e-5)
    assert norm < best


def test_bnms_gradient_is_finite_where_singular_values_meet_or_vanish():
    for lt in (torch.zeros(6, 3), 1000 * torch.eye(3)[torch.arange(6) % 3], torch.ones(4, 9)):
        lt = lt.requires_grad_()
        Bnm().omega(Batch(lt=lt)).backward()
        assert torch.isfinite(lt.grad).all()
