"""Optimal transport against POT, scipy, closed forms and enumeration."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

import zoo
from zoo.adapters.feature.jdot import Jdot
from zoo.adapters.feature.ot_class import OtClass
from zoo.adapters.feature.ot_emd import OtEmd
from zoo.adapters.feature.ot_label_propagation import OtLabelPropagation
from zoo.adapters.feature.ot_linear import OtLinear
from zoo.adapters.feature.ot_sinkhorn import OtSinkhorn
from zoo.errors import BadInput
from zoo.ops.transport import emd, group_lasso, scale, sinkhorn
from zoo.task import Task

METHODS = ["ot_emd", "ot_sinkhorn", "ot_class", "ot_linear", "jdot", "ot_label_propagation"]
SIZES = [(40, 40), (50, 30), (12, 70)]


def pair(n: int = 50, m: int = 30, d: int = 4, classes: int = 3, seed: int = 0, shift: float = 1.0, apart: float = 4.0):
    """Gaussian classes, the target stretched and moved. Classes far apart make Sinkhorn slow, also POT's."""
    rng = np.random.default_rng(seed)
    centres = apart * rng.normal(size=(classes, d))
    ys, yt = np.arange(n) % classes, np.arange(m) % classes
    Xs = (centres[ys] + rng.normal(size=(n, d))).astype(np.float32)
    Xt = (1.3 * (centres[yt] + rng.normal(size=(m, d))) + shift).astype(np.float32)
    return Xs, ys, Xt, yt


def cost(Xs, Xt):
    return cdist(Xs.astype(np.float64), Xt.astype(np.float64), "sqeuclidean")


def unit_of(Xs, Xt):
    """The unit by its definition: the mean cost between the domains once each is centred."""
    return cost(Xs - Xs.astype(np.float64).mean(0), Xt - Xt.astype(np.float64).mean(0)).mean()


def uniform(*sizes):
    return [np.full(n, 1 / n) for n in sizes]


# Exact ----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="ot_emd",
    source="Courty et al. 2017; POT's emd2",
    compared="cost of the plan, its marginals",
    differs="held-out source samples move as their nearest",
)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_emd_costs_what_pot_says(n, m):
    Xs, ys, Xt, _ = pair(n, m)
    method = OtEmd().fit(Task.from_arrays(Xs, ys, Xt))
    expected = ot.emd2(*uniform(n, m), cost(Xs, Xt)) / unit_of(Xs, Xt)
    assert method.certificate_["cost"] == pytest.approx(expected, rel=1e-9)
    assert method.certificate_["marginal_error"] < 1e-12


def test_emd_of_equal_sizes_is_the_assignment():
    """Independent of POT: each source sample lands on the target sample that scipy assigns it."""
    Xs, ys, Xt, _ = pair(60, 60)
    method = OtEmd().fit(task := Task.from_arrays(Xs, ys, Xt))
    _, columns = linear_sum_assignment(cost(Xs, Xt))
    np.testing.assert_allclose(method.source(task.Xs).numpy(), Xt[columns], rtol=1e-5, atol=1e-5)


def test_emd_of_domains_far_apart_is_that_of_the_centred_ones():
    Xs, ys, Xt, _ = pair(40, 40)
    near, far = (OtEmd().fit(Task.from_arrays(Xs, ys, Xt + by)).shift_ for by in (0.0, 4096.0))
    np.testing.assert_allclose(far.numpy() - 4096, near.numpy(), atol=2e-3)  # float32 features at 4096 are 5e-4 apart


def test_held_out_source_samples_move_with_their_nearest():
    Xs, ys, Xt, _ = pair(30, 20)
    method = OtEmd().fit(task := Task.from_arrays(Xs, ys, Xt))
    new = np.random.default_rng(1).normal(size=(15, 4)).astype(np.float32)
    moved = method.source(task.Xs).numpy() - Xs
    expected = [x + moved[np.argmin(((Xs - x) ** 2).sum(1))] for x in new]
    np.testing.assert_allclose(method.source(torch.from_numpy(new)).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(method.source(task.Xs.clone()).numpy(), Xs + moved, atol=1e-5)
    assert method.target(task.Xt) is task.Xt


# Entropic -------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="ot_sinkhorn",
    source="Courty et al. 2017; POT's sinkhorn in the log domain",
    compared="the plan at three regularisations",
    differs="the unit of the cost is the mean one of centred domains, where POT has the largest",
)
@pytest.mark.parametrize(("n", "m"), SIZES)
@pytest.mark.parametrize("reg", [0.5, 0.1, 0.05])
def test_sinkhorn_is_pots_plan(n, m, reg):
    Xs, _, Xt, _ = pair(n, m, apart=1.0)
    C = cost(Xs, Xt) / unit_of(Xs, Xt)
    ours = sinkhorn(torch.from_numpy(C), reg, tol=1e-11, max_iter=50_000)
    theirs = ot.sinkhorn(*uniform(n, m), C, reg, method="sinkhorn_log", stopThr=1e-13, numItermax=50_000)
    np.testing.assert_allclose(ours.P.numpy(), theirs, atol=1e-10)
    assert ours.error < 2e-11


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
def test_sinkhorn_meets_its_tolerance(tol):
    C = torch.from_numpy(cost(*pair(50, 30)[::2]))
    plan = sinkhorn(C, 0.05 * float(C.mean()), tol)
    a, b = plan.P.sum(1) - 1 / 50, plan.P.sum(0) - 1 / 30
    assert plan.error == pytest.approx(float(a.abs().sum() + b.abs().sum()))
    assert plan.error <= tol * (1 + 1e-6)


def test_little_entropy_is_the_exact_plan():
    Xs, _, Xt, _ = pair(40, 40)
    C = torch.from_numpy(cost(Xs, Xt) / unit_of(Xs, Xt))
    exact = float((emd(C).P * C).sum())
    gaps = [float((sinkhorn(C, reg, max_iter=20_000).P * C).sum()) - exact for reg in (0.1, 0.01, 0.001)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 1e-3 * exact


def test_much_entropy_is_the_product_and_its_barycentre_the_target_mean():
    Xs, ys, Xt, _ = pair()
    plan = sinkhorn(torch.from_numpy(cost(Xs, Xt)), 1e9)
    np.testing.assert_allclose(plan.P.numpy(), 1 / (50 * 30), rtol=1e-5)
    method = OtSinkhorn(reg=1e8).fit(task := Task.from_arrays(Xs, ys, Xt))
    np.testing.assert_allclose(method.source(task.Xs).numpy(), np.tile(Xt.mean(0), (50, 1)), atol=1e-4)


@pytest.mark.parametrize("reg", [1e-1, 1e-3, 1e-6, 1e-12])
def test_sinkhorn_is_finite_where_plain_scalings_are_not(reg):
    """One target row is alone and far away, and so are the domains: exp(-C / reg) is 0 throughout."""
    Xs, _, Xt, _ = pair()
    Xt[0] += 1e4
    C = torch.from_numpy(cost(Xs, Xt + 1e4) / unit_of(Xs, Xt))
    assert float((-C / reg).exp().sum()) == 0 or reg > 1e-3
    plan = sinkhorn(C, reg, max_iter=200)
    assert bool(torch.isfinite(plan.P).all())
    assert float(plan.P.sum()) == pytest.approx(1, abs=1e-9)
    rows, columns = plan.P.sum(1) - 1 / 50, plan.P.sum(0) - 1 / 30
    assert min(float(rows.abs().max()), float(columns.abs().max())) < 1e-12  # one side always holds
    assert plan.error <= 1e-4 or (reg < 1e-3 and plan.iterations == 200)  # the other is reported, not promised


def test_log_steps_end_where_plain_scalings_end():
    """Small `reg`, far rows: steps in the log domain are taken, and the plan is POT's in the log domain."""
    Xs, _, Xt, _ = pair(12, 9, apart=1.0)
    Xt[0] += 30
    C = cost(Xs, Xt) / unit_of(Xs, Xt)
    ours = sinkhorn(torch.from_numpy(C), 1e-3, tol=1e-10, max_iter=100_000)
    theirs = ot.sinkhorn(*uniform(12, 9), C, 1e-3, method="sinkhorn_log", stopThr=1e-12, numItermax=100_000)
    np.testing.assert_allclose(ours.P.numpy(), theirs, atol=1e-7)


@pytest.mark.parametrize(("factor", "by"), [(1e6, 0.0), (1e-6, 0.0), (1.0, 32.0)])
def test_the_default_means_the_same_in_any_unit_and_place(factor, by):
    Xs, ys, Xt, _ = pair(apart=1.0)
    plain, other = (OtSinkhorn(tol=1e-9, max_iter=100_000) for _ in range(2))
    plain.fit(Task.from_arrays(Xs, ys, Xt))
    other.fit(Task.from_arrays(factor * Xs, ys, factor * Xt + by))
    np.testing.assert_allclose((other.shift_.numpy() - by) / factor, plain.shift_.numpy(), atol=1e-3)
    assert float(scale(torch.from_numpy(Xs), torch.from_numpy(Xt + 100))) == pytest.approx(unit_of(Xs, Xt), rel=1e-5)


def test_threads_do_not_matter():
    rng = np.random.default_rng(3)
    C = torch.from_numpy(cost(rng.normal(size=(400, 20)), rng.normal(size=(300, 20)) + 1))
    before, plans = torch.get_num_threads(), []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            plans.append(sinkhorn(C, 0.02 * float(C.mean())).P)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(plans[0].numpy() * 400, plans[1].numpy() * 400, atol=1e-8)


# Classes --------------------------------------------------------------------------------------------------------------


def group_value(P, C, ys, reg, eta):
    groups = sum(np.linalg.norm(P[ys == c, j]) for c in np.unique(ys) for j in range(P.shape[1]))
    return (P * C).sum() + reg * (P[P > 0] * np.log(P[P > 0])).sum() + eta * groups


@pytest.mark.reference(
    method="ot_class",
    source="Courty et al. 2017; POT's sinkhorn_l1l2_gl",
    compared="the objective's value, by the formula, and against POT's, which stops above the optimum (1 %)",
    differs="steps end at a duality gap; the unit as in ot_sinkhorn",
)
@pytest.mark.parametrize("eta", [0.1, 1.0])
def test_group_lasso_is_not_worse_than_pots(eta):
    """POT's line search leaves the entropy out of its cost, so it stops above the optimum of what it states.

    That ours is the optimum is the next test's to say.
    """
    Xs, ys, Xt, _ = pair(45, 30, seed=2, apart=1.0)
    C, reg = cost(Xs, Xt) / unit_of(Xs, Xt), 0.1
    ours, value, gap = group_lasso(torch.from_numpy(C), torch.from_numpy(np.eye(3)[ys]), reg, eta, 1e-8, 2000)
    more = {"numItermax": 500, "numInnerItermax": 20_000, "stopInnerThr": 1e-10}
    theirs = ot.da.sinkhorn_l1l2_gl(uniform(45)[0], ys, uniform(30)[0], C, reg, eta, **more)
    assert value == pytest.approx(group_value(ours.P.numpy(), C, ys, reg, eta), rel=1e-9)
    assert value <= group_value(theirs, C, ys, reg, eta) + 1e-6
    assert value == pytest.approx(group_value(theirs, C, ys, reg, eta), abs=0.01)
    assert gap < 1e-6
    plain = sinkhorn(torch.from_numpy(C), reg, tol=1e-10).P.numpy()
    assert value < group_value(plain, C, ys, reg, eta) - 3e-4  # so that the comparison says something


@pytest.mark.parametrize("eta", [0.1, 1.0])
def test_group_lasso_is_stationary(eta):
    """At the optimum, and only there as it is convex, the gradient is ``u_i + v_j``: nothing is left after centring."""
    Xs, ys, Xt, _ = pair(45, 30, seed=2, apart=1.0)
    C = cost(Xs, Xt) / unit_of(Xs, Xt)

    def left(P):
        norms = np.array([[np.linalg.norm(P[ys == ys[i], j]) for j in range(30)] for i in range(45)])
        G = C + 0.1 * np.log(P) + eta * P / norms
        return np.abs(G - G.mean(0) - G.mean(1, keepdims=True) + G.mean()).max()

    plan, _, _ = group_lasso(torch.from_numpy(C), torch.from_numpy(np.eye(3)[ys]), 0.1, eta, 1e-10, 5000)
    assert plan.error < 1e-8
    assert left(plan.P.numpy()) < 1e-2 * left(sinkhorn(torch.from_numpy(C), 0.1, tol=1e-10).P.numpy())


def test_group_lasso_without_its_term_is_sinkhorn():
    Xs, ys, Xt, _ = pair()
    ours, plain = (m.fit(Task.from_arrays(Xs, ys, Xt)) for m in (OtClass(eta=0.0), OtSinkhorn()))
    np.testing.assert_allclose(ours.shift_.numpy(), plain.shift_.numpy(), atol=1e-2)


def test_group_lasso_keeps_classes_apart():
    Xs, ys, Xt, _ = pair(60, 40, seed=4, apart=1.0)
    C, Y = torch.from_numpy(cost(Xs, Xt) / unit_of(Xs, Xt)), torch.from_numpy(np.eye(3)[ys])

    def groups_and_purity(eta):
        P = group_lasso(C, Y, 0.1, eta, 1e-6, 500)[0].P
        mass = Y.T @ P
        return float((Y.T @ P.square()).sqrt().sum()), float((mass.max(0).values / mass.sum(0)).mean())

    found = [groups_and_purity(eta) for eta in (0.0, 0.1, 1.0)]
    assert found[0][0] > found[1][0] > found[2][0]
    assert found[0][1] < found[1][1] < found[2][1]


# Linear ---------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="ot_linear",
    source="Bures-Wasserstein map: scipy.linalg.sqrtm; POT's bures_wasserstein_mapping",
    compared="map, mapped rows and their covariance",
    differs="a ridge, 0 in this test",
)
def test_linear_map_is_the_closed_form_and_pots():
    rng = np.random.default_rng(5)
    Xs, Xt = (rng.normal(size=(n, 6)) @ rng.normal(size=(6, 6)) + rng.normal(size=6) for n in (200, 150))
    Xs, Xt = Xs.astype(np.float32), Xt.astype(np.float32)
    method = OtLinear(reg=0.0).fit(Task.from_arrays(Xs, np.arange(200) % 2, Xt))
    S, T = (np.cov(X.astype(np.float64), rowvar=False) for X in (Xs, Xt))
    half = sqrtm(S).real
    A = np.linalg.inv(half) @ sqrtm(half @ T @ half).real @ np.linalg.inv(half)
    np.testing.assert_allclose(method.map_.numpy(), A, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(A @ S @ A, T, rtol=1e-6, atol=1e-8)  # and so the covariance becomes the target's
    ms, mt = Xs.astype(np.float64).mean(0), Xt.astype(np.float64).mean(0)
    theirs, b = ot.gaussian.bures_wasserstein_mapping(ms, mt, S, T)
    np.testing.assert_allclose(method.map_.numpy(), theirs, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        method.source(torch.from_numpy(Xs).double()).numpy(), Xs @ theirs + b, rtol=1e-5, atol=1e-5
    )


def test_linear_map_of_few_samples_is_finite():
    rng = np.random.default_rng(6)
    Xs, Xt = rng.normal(size=(10, 40)).astype(np.float32), rng.normal(size=(1, 40)).astype(np.float32)
    for reg in (0.0, 1.0):
        method = OtLinear(reg=reg).fit(task := Task.from_arrays(Xs, np.arange(10) % 2, Xt))
        assert np.isfinite(method.source(task.Xs).numpy()).all()


# All ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        OtSinkhorn(reg=0.0),
        OtSinkhorn(tol=0.0),
        OtSinkhorn(max_iter=0),
        OtClass(reg=-1.0),
        OtClass(eta=-0.1),
        OtLinear(reg=-1.0),
        Jdot(lam=0.0),
        Jdot(alpha=-1.0),
        OtLabelPropagation(k=0),
        OtLabelPropagation(reg=-1.0),
    ],
    ids=repr,
)
def test_out_of_range_is_one_line(method):
    Xs, ys, Xt, _ = pair(20, 10)
    with pytest.raises(BadInput, match=r"^(ot_\w+|jdot): .+, got [^\n]+$"):
        method.fit(Task.from_arrays(Xs, ys, Xt))


def test_a_class_that_the_target_lacks():
    Xs, ys, Xt, yt = pair(60, 45)
    Xt = Xt[yt != 2]
    for cls in (OtEmd, OtSinkhorn, OtClass, OtLinear, Jdot, OtLabelPropagation):
        scores = cls().fit(task := Task.from_arrays(Xs, ys, Xt)).predict(task.Xt)
        assert scores.shape == (30, 3)
        assert bool(torch.isfinite(scores).all())


@pytest.mark.faults
def test_office_caltech(office_caltech, tmp_path):
    """All 12 pairs end at the defaults, and on average above 1-NN without adaptation; jdot on three of them."""

    def accuracies(methods, **options):
        frame = zoo.run("office_caltech", methods=methods, data_root=office_caltech, **options).frame()
        assert (frame.status == "ok").all()
        return 100 * frame.pivot(index=["source", "target"], columns="method", values="accuracy")

    table = accuracies([m for m in METHODS if m != "jdot"], out=tmp_path / "all")
    assert table.shape == (12, 6)
    assert bool(table.notna().all(axis=None))
    means = table.mean()
    assert means.pop("source_only") == pytest.approx(31.4, abs=0.05)
    assert (means > 31.4).all(), means
    three = ["caltech:dslr", "amazon:webcam", "dslr:webcam"]
    table = accuracies(["jdot"], pairs=three, out=tmp_path / "jdot")
    assert table.shape == (3, 2)
    assert (table.jdot > table.source_only).all(), table
