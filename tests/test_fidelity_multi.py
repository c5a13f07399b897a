"""Methods for several sources: the authors' objectives, computed anew, and what they are for.

Steps are of plain SGD, so that what is compared is the gradient of everything that moves. Domains have different class
shares and losses, and batches of target and sources different sizes.
"""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from tests.test_reference_adversarial import Hook, draw
from zoo import nets
from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.darn import Darn, aggregated
from zoo.adapters.feature.m3sda import M3sda, moment_distance
from zoo.adapters.feature.mdan import Mdan
from zoo.errors import BadInput
from zoo.task import Task
from zoo.train import Batch, Budget, Watch, descend

CLASSES, RATE = 5, 0.05


def begun(method, k=3, each=12, m=20):
    """A method set up beside a network, a copy of both, and a batch with equal parts of `k` sources."""
    torch.manual_seed(0)
    net = nets.build("mlp", (5,), CLASSES)
    ds = torch.arange(k).repeat_interleave(each)
    ys = draw(k * each, seed=7).abs().mul(3).long().clamp_max(CLASSES - 1)
    Xs = draw(k * each, 5, seed=3) + ds[:, None] * torch.tensor([1.0, -2, 0, 0, 3])
    fields = {"Xs": Xs, "ys": ys, "ds": ds, "Xt": draw(m, 5, seed=4) + 0.5}
    extra = method.setup(net, Task(fields, needs=method.needs, learner=None, n_classes=CLASSES))
    b = Batch(
        xs=fields["Xs"], ys=ys, ds=ds, n_sources=k, ids=torch.arange(k * each), xt=fields["Xt"], ws=None, step=3,
        progress=0.03, terms={}, budget=Budget(), method=method, penalty=None, amp=torch.enable_grad, watched=True,
        net=net, generator=torch.Generator().manual_seed(5),
    )  # fmt: skip
    return net, extra, *copy.deepcopy((net, extra)), b


def moves_as(method, net, extra, again, other, b, expected):
    """The loss of one step of ours, and the gradients that it goes down, are those of what is expected."""
    loss = descend(net, torch.optim.SGD([*net.parameters(), *extra.parameters()], lr=RATE), b)
    theirs = expected(again, other, b)
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)
    for ours, part in ((net.body, again.body), (net.head, again.head), (extra, other)):
        wanted = torch.autograd.grad(theirs, [*part.parameters()], retain_graph=True)
        found = torch.cat([p.grad.flatten() for p in ours.parameters()])
        assert float(found.abs().max()) > 1e-4
        torch.testing.assert_close(found, torch.cat([g.flatten() for g in wanted]), rtol=1e-3, atol=1e-6)
        for p, q, g in zip(ours.parameters(), part.parameters(), wanted, strict=True):
            torch.testing.assert_close(p.detach(), q.detach() - RATE * g, rtol=1e-4, atol=1e-6)  # downwards


def by_domain(net, D, b):
    """The authors' lists: classification losses, and discriminators' losses of reversed features, of each source.

    All sources pass the network at once; in the authors', which have no batch norm, that changes nothing.
    """
    zs, zt = net.features(b.xs), Hook.apply(net.features(b.xt), 1.0)
    losses, told = [], []
    for i in range(b.n_sources):
        z, y = zs[b.ds == i], b.ys[b.ds == i]
        losses.append(cross_entropy(net.head(z), y))
        s, t = D[i](Hook.apply(z, 1.0)), D[i](zt)
        told.append(
            binary_cross_entropy_with_logits(s, torch.ones_like(s))
            + binary_cross_entropy_with_logits(t, torch.zeros_like(t))
        )
    return torch.stack(losses), torch.stack(told)


# mdan -----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="mdan",
    source="Zhao et al. 2018, section 4; KeiraZhao/MDAN: main_amazon.py, model.py (mode dynamic, mu 0.01, gamma 10)",
    compared="one step of SGD of all parts, 2 and 3 sources: log-sum-exp of class and domain losses (rel. 1e-3)",
    differs="two outputs of a discriminator are one logit; one budget and pass for all methods",
)
@pytest.mark.parametrize("k", [2, 3])
def test_mdans_step_is_the_authors(k):
    method = Mdan()

    def theirs(net, D, b):
        losses, domain_losses = by_domain(net, D, b)
        return torch.log(torch.sum(torch.exp(10.0 * (losses + 0.01 * domain_losses)))) / 10.0

    moves_as(method, *begun(method, k), theirs)


@pytest.mark.parametrize("method", [Mdan(), Darn()])
def test_of_one_source_each_is_its_classification_and_one_discriminator(method):
    def theirs(net, D, b):
        losses, domain_losses = by_domain(net, D, b)
        return (losses + 0.01 * domain_losses).sum()

    moves_as(method, *begun(method, 1), theirs)


def test_discriminators_are_linear_unless_asked():
    for method, layers in ((Mdan(), 1), (Darn(), 1), (Mdan(hidden=7), 2)):
        _, D, *_ = begun(method)
        assert len(D) == 3
        assert all(len([m for m in d if isinstance(m, nn.Linear)]) == layers for d in D)


@pytest.mark.parametrize("method", [Mdan(gamma=0.0), Darn(gamma=-1.0), M3sda(n=0), M3sda(order=0)])
def test_parameters_without_meaning_are_refused(method):
    with pytest.raises(BadInput):
        begun(method)


# darn -----------------------------------------------------------------------------------------------------------------


def bisected(z):
    """The authors' weights: a threshold by bisection, so that what is above it has length 1; then of sum 1."""
    low, high = float(z.min()), float(z.max()) + 1.0
    for _ in range(200):
        mid = (low + high) / 2
        alpha = np.maximum(mid - z, 0)
        low, high = (low, mid) if np.linalg.norm(alpha) > 1 else (mid, high)
    return alpha / alpha.sum()


@pytest.mark.parametrize("seed", range(20))
def test_darns_weights_are_the_authors_and_the_least(seed):
    rng = np.random.default_rng(seed)
    g = rng.normal(size=rng.integers(2, 9)) * rng.choice([0.01, 0.5, 3.0])
    found = aggregated(torch.from_numpy(g)).numpy()
    np.testing.assert_allclose(found, bisected(g), atol=1e-7)
    value = found @ g + np.linalg.norm(found)
    for other in rng.dirichlet(np.full(len(g), 0.3), 2000):
        assert value <= other @ g + np.linalg.norm(other) + 1e-12
    best = minimize(
        lambda a: a @ g + np.linalg.norm(a), np.full(len(g), 1 / len(g)), bounds=[(0, 1)] * len(g),
        constraints={"type": "eq", "fun": lambda a: a.sum() - 1}, tol=1e-12,
    )  # fmt: skip
    assert value == pytest.approx(best.fun, abs=1e-6)


@pytest.mark.reference(
    method="darn",
    source="Wen, Greiner, Schuurmans 2020, section 4; junfengwen/DARN: model.py, module.py (mode L2, mu 0.01, gamma 1)",
    compared="one step of SGD of all parts, 2 and 3 sources: weights by bisection, whole Jacobian (rel. 1e-3)",
    differs="discriminators of images are linear as those of vectors; one budget and pass for all methods",
)
@pytest.mark.parametrize(("k", "gamma"), [(2, 1.0), (3, 1.0), (3, 0.1), (3, 20.0)])
def test_darns_step_is_the_authors(k, gamma):
    method = Darn(gamma=gamma)

    def theirs(net, D, b):
        losses, domain_losses = by_domain(net, D, b)
        g = gamma * (losses + 0.01 * domain_losses)
        # Their backward pass has the weights' Jacobian: here by automatic differentiation, on the support.
        support = torch.from_numpy(bisected(g.detach().double().numpy()) > 0)
        h = g[support]
        n, total, squares = len(h), h.sum(), h.square().sum()
        nu = (total + (total.square() - n * (squares - 1)).sqrt()) / n
        alpha = (nu - h) / (nu - h).sum()
        return alpha @ h + alpha.norm()

    moves_as(method, *begun(method, k), theirs)


def test_darn_leaves_a_far_source_out_and_says_so():
    method = Darn(gamma=20.0)
    net, _, _, _, b = begun(method)
    b.ys[b.ds == 1] = (b.ys[b.ds == 1] + 1) % CLASSES
    descend(net, torch.optim.SGD([*net.parameters()], lr=0.0), b)
    weights = [float(b.terms[f"source_{i}"]) for i in range(3)]
    assert sum(weights) == pytest.approx(1)
    with torch.no_grad():
        logits = net(b.xs)
    losses = [float(cross_entropy(logits[b.ds == i], b.ys[b.ds == i])) for i in range(3)]
    assert np.argmax(losses) == np.argmin(weights)
    assert min(weights) == 0


# m3sda ----------------------------------------------------------------------------------------------------------------


def distance(features):
    """Means and central moments up to the fifth of all pairs of domains; as the authors' `msda_regulizer` divides."""
    total = 0.0
    for a, c in itertools.combinations(features, 2):
        total = total + ((a.mean(0) - c.mean(0)) ** 2).sum().sqrt()
        for power in (2, 3, 4, 5):
            moments = [((z - z.mean(0)) ** power).mean(0) for z in (a, c)]
            total = total + ((moments[0] - moments[1]) ** 2).sum().sqrt()
    return total / 6


def test_the_distance_of_moments_is_the_papers():
    zs = [draw(n, 6, seed=n, dtype=torch.float64) * (1 + n / 20) + n / 30 for n in (12, 12, 12, 20)]
    assert moment_distance(zs, 5).item() == pytest.approx(distance(zs).item(), rel=1e-5)
    assert moment_distance([zs[0], zs[0].clone()], 5).item() == 0


def test_the_distance_of_moments_has_a_finite_gradient_where_domains_are_alike():
    z = draw(8, 3).requires_grad_()
    (grad,) = torch.autograd.grad(moment_distance([z, z.clone()], 5), z)
    assert torch.isfinite(grad).all()
    other = (draw(8, 3, seed=2) * 3 + 1).requires_grad_()
    value = moment_distance([z, other], 5)
    (grad,) = torch.autograd.grad(value, other)
    assert float(grad.abs().max()) > 1e-3
    assert moment_distance([z, other - 1e-3 * grad], 5) < value


@pytest.mark.reference(
    method="m3sda",
    source="Peng et al. 2019, section 4; VisionLearningGroup.github.io: M3SDA/code_MSDA_digit/solver_MSDA.py, msda.py",
    compared="steps A, B and four C of SGD, 1 and 3 sources: every parameter after each (abs. 1e-6)",
    differs="all pairs once in central moments, the first that of the paper; step B keeps all sources' losses",
)
@pytest.mark.parametrize("k", [1, 3])
def test_m3sdas_step_is_the_authors(k):
    method = M3sda(weight=0.05)  # by which the moments' part is seen
    net, _, again, C2, b = begun(method, k)
    method.step(net, torch.optim.SGD([*net.parameters(), *method.second_.parameters()], lr=RATE), b)
    C1, G = again.head, again.body
    xs = [(b.xs[b.ds == i], b.ys[b.ds == i]) for i in range(k)]

    def classified(C):
        return sum(cross_entropy(C(again.features(x)), y) for x, y in xs)

    def disagreement():
        z = again.features(b.xt)
        return (C1(z).softmax(1) - C2(z).softmax(1)).abs().mean()

    def move(loss, *modules):
        moving = [p for m in modules for p in m.parameters()]
        for p, g in zip(moving, torch.autograd.grad(loss, moving), strict=True):
            p.data -= RATE * g

    moments = distance([*(again.features(x) for x, _ in xs), again.features(b.xt)])
    move(classified(C1) + classified(C2) + 0.05 * moments, G, C1, C2)
    move(classified(C1) + classified(C2) - disagreement(), C1, C2)
    for _ in range(4):
        move(disagreement(), G)
    for ours, theirs in ((net.body, G), (net.head, C1), (method.second_, C2)):
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
    method.model_ = net
    X = draw(9, 5, seed=9)
    torch.testing.assert_close(method.predict(X), net(X).softmax(1))


# What they are for ----------------------------------------------------------------------------------------------------


class Curves(Watch):
    """The terms of each interval."""

    def __init__(self):
        self.seen = []

    def tell(self, step, steps, terms):
        self.seen.append(terms)


class Equal(DeepAdapter):
    """All sources alike, no adaptation."""

    def omega(self, b):
        return b.zs.new_zeros(())


def fitted(method, sources, target=None, **budget):
    """A method fitted to sources (X, y) and a target, and its curves."""
    X, y = (np.concatenate([s[i] for s in sources]) for i in (0, 1))
    ds = np.repeat(np.arange(len(sources)), [len(s[1]) for s in sources])
    budget = {"steps": 200, "batch_size": 48, "learning_rate": 3e-3, **budget}
    task = Task.from_arrays(X, y, (target or sources[0])[0], ds=ds, **budget)
    task.learner.watch = Curves()
    return method.fit(task), task.learner.watch.seen


def right(method, X, y):
    return float((method.predict(torch.from_numpy(X)).argmax(1).numpy() == y).mean())


def domain(rng, n=240, shift=0.0, column=0, noise=0.8):
    """Two classes that are apart in one column, on data moved in the last."""
    y = rng.integers(0, 2, n)
    X = rng.normal(size=(n, 4)) * noise
    X[:, column] += 2 * y
    X[:, 3] += shift
    return X.astype(np.float32), y


@pytest.mark.slow
def test_darn_ignores_sources_whose_labels_say_nothing():
    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        clean, *noisy = (domain(rng, shift=s) for s in (0.0, 0.5, -0.5))
        sources = [clean, *((X, rng.integers(0, 2, len(y))) for X, y in noisy)]
        target = domain(rng, shift=0.2)
        (ours, curves), (plain, _) = (fitted(m, sources, target) for m in (Darn(gamma=10.0), Equal()))
        assert curves[-1]["source_0"] > 0.9
        gains.append(right(ours, *target) - right(plain, *target))
    assert np.mean(gains) > 0.02


@pytest.mark.slow
def test_mdan_serves_the_worst_source():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        *sources, (X, y) = (domain(rng) for _ in range(3))
        sources.append((X, 1 - y))  # which two of three outvote
        worst = []
        for method in (Mdan(), Equal()):
            net = fitted(method, sources)[0].model_
            with torch.no_grad():
                losses = [cross_entropy(net(torch.from_numpy(X)), torch.from_numpy(y)) for X, y in sources]
            worst.append(float(torch.stack(losses).max()))
        assert worst[0] < worst[1] - 0.1


@pytest.mark.slow
def test_m3sda_draws_the_moments_of_all_domains_together():
    for seed in range(2):
        rng = np.random.default_rng(seed)
        sources, target = [domain(rng, shift=s) for s in (0.0, 1.5)], domain(rng, shift=3.0)
        apart = []
        for method in (M3sda(weight=0.2), M3sda(weight=0.0), Equal()):
            made, _ = fitted(method, sources, target)
            zs = [made.model_.embed(torch.from_numpy(X)) for X, _ in (*sources, target)]
            apart.append(float(distance(zs)))
            assert right(made, *target) > 0.8
        assert apart[0] < min(apart[1:]) / 2
