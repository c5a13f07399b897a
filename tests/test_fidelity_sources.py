"""Weights of sources and combinations of their classifiers, computed anew by scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from tests.test_fidelity_multi import domain, right
from zoo.adapters.feature.jdot import Jdot
from zoo.adapters.feature.wjdot import Wjdot, spread
from zoo.adapters.instance.domain_aggregation import DomainAggregation
from zoo.adapters.instance.kmm import Kmm
from zoo.adapters.instance.msda_kmm import MsdaKmm
from zoo.errors import BadInput
from zoo.ops.graphs import knn_graph
from zoo.task import Task

# msda_kmm -------------------------------------------------------------------------------------------------------------


def two_near_and_far(seed=0, n=90):
    """Sources near the target, and far from it with labels the other way round; a third of few samples between."""
    rng = np.random.default_rng(seed)
    near, between = domain(rng, n), domain(rng, n // 3, shift=1.0)
    X, y = domain(rng, n, shift=2.0)
    return [near, (X, 1 - y), between], domain(rng, n, shift=0.2)


def least_on_simplex(of):
    """Where a function of three weights of sum 1 is least, by SLSQP."""
    whole = {"type": "eq", "fun": lambda z: z.sum() - 1}
    return minimize(of, np.full(3, 1 / 3), bounds=[(0, 1)] * 3, tol=1e-14, constraints=whole)


def task_of(sources, target, **how):
    X, y = (np.concatenate([s[i] for s in sources]) for i in (0, 1))
    return Task.from_arrays(X, y, target[0], ds=np.repeat(np.arange(len(sources)), [len(s[1]) for s in sources]), **how)


@pytest.mark.reference(
    method="msda_kmm",
    source="Sun et al. 2011 (2SW-MDA), section 3, computed by scikit-learn and scipy's SLSQP",
    compared="source weights to 1e-4, sample weights of each source those of kmm to 1e-8, on 3 sources of unlike size",
    differs="no labelled target samples; classes one-hot for ±1; the graph, which is left open, of 10 neighbours",
)
@pytest.mark.parametrize("seed", range(3))
def test_two_stage_weights_are_the_papers(seed):
    sources, target = two_near_and_far(seed)
    method, task = MsdaKmm(), task_of(sources, target)
    w = method.fit(task).weights_.numpy()
    H, own = [], []
    for X, y in sources:
        alpha = Kmm().fit(Task.from_arrays(X, y, target[0])).weights_.numpy()
        model = LogisticRegression(max_iter=1000).fit(X.astype(float), y, sample_weight=alpha)
        H.append(2 * model.predict(target[0].astype(float)) - 1)  # the paper's -1 and 1
        own.append(alpha)
    H = np.stack(H, 1)
    W = knn_graph(task.Xt, 10).to_dense().numpy()

    def change(beta):  # over all pairs of target samples
        f = H @ beta
        return ((f[:, None] - f[None]) ** 2 * W).sum() / len(f)

    best = least_on_simplex(change)
    beta = np.array([method.certificate_[f"source_{i}"] for i in range(3)])
    assert change(beta) <= best.fun + 1e-6
    np.testing.assert_allclose(beta, best.x, atol=1e-3)
    for i, alpha in enumerate(own):  # β_s / n_s Σ α
        mine = w[task.ds.numpy() == i]
        np.testing.assert_allclose(mine, beta[i] * alpha / len(alpha) * len(w), rtol=1e-6, atol=1e-8)
    assert w.mean() == pytest.approx(1)


def test_two_stage_weights_of_one_source_are_kmms():
    sources, target = two_near_and_far()
    one = task_of(sources[:1], target)
    torch.testing.assert_close(MsdaKmm().fit(one).weights_, Kmm().fit(one).weights_.double())


def test_two_stage_weights_leave_a_contrary_source_out():
    shares, gains = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        large, _ = domain(rng, 200, shift=0.6, noise=0.4)
        sources = [domain(rng, 100, noise=0.4), (large, rng.integers(0, 2, 200))]  # whose labels say nothing
        target = domain(rng, 150, shift=0.3, noise=0.4)
        task = task_of(sources, target)
        method = MsdaKmm().fit(task)
        shares.append(method.certificate_["source_0"])  # of 1/3 of the samples
        plain = task.learner.fit(task.Xs, task.ys, 2)
        gains.append(right(method, *target) - float((plain.predict(task.Xt).argmax(1).numpy() == target[1]).mean()))
    assert min(shares) > 0.5
    assert np.mean(shares) > 0.8
    assert np.mean(gains) > 0.02


# domain_aggregation ---------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="domain_aggregation",
    source="Mansour et al. 2008, section 3; Cortes et al. 2021: scikit-learn's classifiers, scipy's SLSQP",
    compared="scores of 90 target samples from 3 sources of unlike size, and the mixture, to 1e-4",
    differs="the mixture is the target's most likely, where Cortes et al. balance the sources' errors",
)
@pytest.mark.parametrize("seed", range(3))
def test_the_combination_is_the_papers(seed):
    sources, target = two_near_and_far(seed)
    method, task = DomainAggregation(), task_of(sources, target)
    found = method.fit(task).predict(task.Xt).numpy()
    X, Xt, ds = np.concatenate([X for X, _ in sources]).astype(float), target[0].astype(float), task.ds.numpy()
    q = LogisticRegression(max_iter=1000).fit(X, ds).predict_proba(Xt)
    ratio = q / (np.bincount(ds) / len(ds))  # proportional to D_i(x)
    best = least_on_simplex(lambda z: -np.log(ratio @ z).mean())
    np.testing.assert_allclose(method.z_.numpy(), best.x, atol=1e-3)
    h = [LogisticRegression(max_iter=1000).fit(X.astype(float), y).predict_proba(Xt) for X, y in sources]
    weight = ratio * method.z_.numpy()
    expected = sum(weight[:, i, None] * h[i] for i in range(3)) / weight.sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_combination_serves_a_mixture_that_no_fixed_one_serves():
    # Mansour et al. (2008), two sources on apart inputs, each right at home and wrong abroad.
    rng = np.random.default_rng(0)
    left, right_ = domain(rng, 200), domain(rng, 200, shift=6.0)
    right_ = (right_[0], 1 - right_[1])
    parts = [domain(rng, 90), domain(rng, 30, shift=6.0)]
    target = np.concatenate([parts[0][0], parts[1][0]]), np.concatenate([parts[0][1], 1 - parts[1][1]])
    task = task_of([left, right_], target)
    method = DomainAggregation().fit(task)
    assert method.certificate_["source_0"] == pytest.approx(0.75, abs=0.03)
    assert right(method, *target) > 0.85
    scores = [m.predict(task.Xt).numpy() for m in method.models_]
    for share in np.linspace(0, 1, 11):
        fixed = (share * scores[0] + (1 - share) * scores[1]).argmax(1)
        assert (fixed == target[1]).mean() < right(method, *target) - 0.1


def test_the_combination_of_one_source_is_its_classifier():
    sources, target = two_near_and_far()
    task = task_of(sources[:1], target)
    plain = task.learner.fit(task.Xs, task.ys, 2)
    torch.testing.assert_close(DomainAggregation().fit(task).predict(task.Xt), plain.predict(task.Xt).double())


def test_the_mixture_is_the_targets_or_equal():
    sources, target = two_near_and_far()
    assert DomainAggregation("equal").fit(task_of(sources, target)).z_.tolist() == [1 / 3] * 3
    with pytest.raises(BadInput, match="mixture is 'target' or 'equal', got 'source'"):
        DomainAggregation("source").fit(task_of(sources, target))


# wjdot ----------------------------------------------------------------------------------------------------------------


def begun_at(d, k, seed=0):
    """The classifier that a method drew, anew."""
    generator = torch.Generator().manual_seed(seed)
    return ((2 * torch.rand(d + 1, k, generator=generator, dtype=torch.float64) - 1) / d**0.5).numpy()


@pytest.mark.reference(
    method="wjdot",
    source="Turrisi et al. 2022 and their `WJDOT.py`: POT's plans, Adam by formula, the simplex by SLSQP",
    compared="classifier and source weights after 6 steps, 3 sources of unlike size, to 1e-6",
    differs="squared distances in the unit of `ot_sinkhorn`; it ends early by the samples that it adapts to",
)
@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_the_steps_of_weighted_joint_transport_are_the_authors(beta):
    sources, target = two_near_and_far(n=45)
    # No parts of both sides weigh the same, so that plan and potentials are the only ones.
    sources = [(X[:k], y[:k]) for (X, y), k in zip(sources, (41, 13, 37), strict=True)]
    target = target[0][:43], target[1][:43]
    task = task_of(sources, target)
    X, y = (np.concatenate([s[i] for s in sources]) for i in (0, 1))
    X, Xt, Y, n = X.astype(float), target[0].astype(float), np.eye(2)[y], np.array([len(s[1]) for s in sources])
    unit = X.var(0).sum() + Xt.var(0).sum()
    share = np.repeat(np.eye(3) / n, n, axis=0)
    W, alpha = begun_at(Xt.shape[1], 2, task.generator.initial_seed()), np.full(3, 1 / 3)
    m, v, rate, ones = np.zeros_like(W), np.zeros_like(W), 0.05, np.c_[Xt, np.ones(len(Xt))]
    for step in range(1, 7):
        f = 1 / (1 + np.exp(-ones @ W))
        M = ot.dist(X, Xt) / unit + ot.dist(Y, beta * f)
        P, log = ot.emd(share @ alpha, ot.unif(len(Xt)), M, log=True)
        slope = ones.T @ (2 * beta * (beta * f * P.sum(0)[:, None] - P.T @ Y) * f * (1 - f))
        m, v = 0.9 * m + 0.1 * slope, 0.999 * v + 0.001 * slope**2
        W = W - rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
        there = alpha - rate * share.T @ log["u"]
        alpha = least_on_simplex(lambda z, there=there: ((z - there) ** 2).sum()).x
    method = Wjdot(beta, lr=rate, max_iter=6).fit(task)
    np.testing.assert_allclose(method.W_.numpy(), W, atol=1e-6)
    np.testing.assert_allclose([method.certificate_[f"source_{i}"] for i in range(3)], alpha, atol=1e-6)


def test_weighted_joint_transport_leaves_a_source_out_whose_labels_lie():
    # As in their simulations: the weight goes to the sources that are near, which pooling and one joint plan cannot.
    ours, pooled, joint = [], [], []
    for seed in range(3):
        sources, target = two_near_and_far(seed, n=60)
        task = task_of(sources, target)
        method = Wjdot(3.0, lr=0.05, max_iter=200).fit(task)
        weights = [method.certificate_[f"source_{i}"] for i in range(3)]
        assert weights[0] == max(weights) > 0.5
        assert weights[1] < 0.15
        assert method.objectives_[-1] < method.objectives_[0]
        ours.append(right(method, *target))
        pooled.append((task.learner.fit(task.Xs, task.ys, 2).predict(task.Xt).argmax(1).numpy() == target[1]).mean())
        joint.append(right(Jdot().fit(task), *target))
    assert np.mean(ours) > np.mean(pooled) + 0.1
    assert np.mean(ours) > np.mean(joint) + 0.1


def test_weighted_joint_transport_ends_at_the_tightest_classes():
    sources, target = two_near_and_far(n=45)

    def fitted(steps, patience):
        """From one beginning: a task's generator goes on from fit to fit."""
        return Wjdot(max_iter=steps, patience=patience).fit(task_of(sources, target))

    X = task_of(sources, target).Xt.double()
    ended, whole = fitted(400, 5), fitted(400, 400)
    n = int(ended.certificate_["iterations"])
    assert n < whole.certificate_["iterations"] == 400
    spreads = [spread(X, fitted(steps, 400).predict(X).argmax(1), 2) for steps in range(1, n + 1)]
    assert n == np.flatnonzero(spreads == np.min(spreads))[-1] + 1 + 6
    assert spread(X, ended.predict(X).argmax(1), 2) == min(spreads) < spreads[-1]


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"lr": 0.0}, {"max_iter": 0}, {"patience": -1}])
def test_weighted_joint_transport_says_what_is_wrong(wrong):
    with pytest.raises(BadInput, match="wjdot: beta and lr are above 0"):
        Wjdot(**wrong).fit(task_of(*two_near_and_far()))
