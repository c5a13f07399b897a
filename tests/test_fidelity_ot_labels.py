"""Optimal transport of labels, and jointly of features and labels, against POT, enumeration and loops."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import ot
import pytest
import torch

from tests.test_fidelity_ot import cost, pair, uniform, unit_of
from zoo.adapters.feature.jdot import Jdot
from zoo.adapters.feature.ot_label_propagation import OtLabelPropagation
from zoo.task import Task

# JDOT -----------------------------------------------------------------------------------------------------------------


def jdot_value(P, Xs, ys, Xt, W, prior, lam, alpha):
    """The objective by loops."""
    X = Xt.astype(np.float64) - Xt.astype(np.float64).mean(0)
    f, Y, D = X @ W + prior, np.eye(W.shape[1])[ys], alpha * cost(Xs, Xt) / unit_of(Xs, Xt)
    joint = sum(P[i, j] * (D[i, j] + ((Y[i] - f[j]) ** 2).sum()) for i in range(len(Y)) for j in range(len(f)))
    return joint + lam * (X**2).mean() * (W**2).sum()


def jdot_best(P, Xs, ys, Xt, lam, alpha):
    """Its least value for a plan, by numpy's least squares on the stacked problem."""
    n, d = Xt.shape
    X = Xt.astype(np.float64) - Xt.astype(np.float64).mean(0)
    soft = n * P.T @ np.eye(ys.max() + 1)[ys]
    prior = soft.mean(0)
    stacked = np.vstack([X / np.sqrt(n), np.sqrt(lam * (X**2).mean()) * np.eye(d)])
    W = np.linalg.lstsq(stacked, np.vstack([(soft - prior) / np.sqrt(n), np.zeros((d, len(prior)))]), rcond=None)[0]
    return jdot_value(P, Xs, ys, Xt, W, prior, lam, alpha), W


@pytest.mark.reference(
    method="jdot",
    source="Courty et al. 2017 (NeurIPS)",
    compared="least objective over all 720 assignments, by enumeration and least squares, and its classifier",
    differs="a linear classifier with the square loss for all classes; the unit as in ot_sinkhorn",
)
@pytest.mark.parametrize("d", [2, 9])  # 9: more features than samples
def test_jdot_is_the_best_of_all_assignments(d):
    """The objective's least value over plans is at an assignment: all 720 of them are tried."""
    Xs, ys, Xt, _ = pair(6, 6, d=d, classes=2, seed=7)
    method = Jdot(alpha=0.5, lam=0.3).fit(Task.from_arrays(Xs, ys, Xt))
    every = [jdot_best(np.eye(6)[list(p)] / 6, Xs, ys, Xt, 0.3, 0.5) for p in permutations(range(6))]
    best, W = min(every, key=lambda e: e[0])
    assert method.objectives_[-1] == pytest.approx(best, rel=1e-6)
    assert np.ptp([e[0] for e in every]) > 0.05 * best
    np.testing.assert_allclose(method.W_.numpy(), W, atol=1e-5)


@pytest.mark.parametrize("reg", [0.0, 0.1])
def test_jdot_descends(reg):
    Xs, ys, Xt, _ = pair(60, 45, d=5, classes=4, seed=8, apart=1.0)
    method = Jdot(alpha=0.1, lam=0.1, reg=reg, max_iter=30).fit(task := Task.from_arrays(Xs, ys, Xt))
    assert len(method.objectives_) > 2
    assert (np.diff(method.objectives_) < 0).all()
    scores = method.predict(task.Xt)
    np.testing.assert_allclose(scores.sum(1).numpy(), 1, atol=1e-9)
    X = Xt.astype(np.float64) - Xt.astype(np.float64).mean(0)
    f = X @ method.W_.numpy() + method.prior_.numpy()
    np.testing.assert_array_equal(scores.argmax(1).numpy(), f.argmax(1))


# Labels ---------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="ot_label_propagation",
    source="Redko et al. 2019; POT's emd and sinkhorn",
    compared="scores of the target (abs. 5e-3)",
    differs="one source; new points ask their neighbours",
)
@pytest.mark.parametrize("reg", [0.0, 0.05])
def test_labels_travel_by_the_plan(reg):
    Xs, ys, Xt, yt = pair()
    method = OtLabelPropagation(reg=reg).fit(Task.from_arrays(Xs, ys, Xt))
    C = cost(Xs, Xt) / unit_of(Xs, Xt)
    P = (
        ot.sinkhorn(*uniform(50, 30), C, reg, method="sinkhorn_log", stopThr=1e-12)
        if reg
        else ot.emd(*uniform(50, 30), C)
    )
    expected = np.array([[P[ys == c, j].sum() for c in range(3)] for j in range(30)])
    np.testing.assert_allclose(method.scores_t().numpy(), expected / expected.sum(1, keepdims=True), atol=5e-3)
    assert (method.scores_t().argmax(1).numpy() == yt).mean() > 0.8


def test_new_points_take_their_neighbours_scores():
    Xs, ys, Xt, _ = pair()
    method = OtLabelPropagation(k=3).fit(Task.from_arrays(Xs, ys, Xt))
    new = Xt[:5] + 0.1
    for x, got in zip(new, method.predict(torch.from_numpy(new)).numpy(), strict=True):
        D = ((Xt.astype(np.float64) - x) ** 2).sum(1)
        near = np.argsort(D)[:3]
        w = np.exp(-(D[near] - D[near[0]]) / (D[near] - D[near[0]]).mean())
        np.testing.assert_allclose(got, w @ method.scores_t().numpy()[near] / w.sum(), atol=1e-4)
