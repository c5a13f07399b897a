"""Methods that adapt to a stream: each batch's scores and each step, by the authors' formulas, computed anew.

Steps are of plain SGD, so that what is compared is the gradient of all that moves; networks have statistics, scales and
shifts that are none of those that a batch norm starts with.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn
from torch.nn import functional as F

from tests.test_reference_adversarial import draw
from zoo import nets
from zoo.adapters.feature.ada_bn import AdaBn
from zoo.adapters.feature.eata import Eata
from zoo.adapters.feature.lame import Lame
from zoo.adapters.feature.rotta import Robust
from zoo.adapters.feature.sar import Sar
from zoo.adapters.feature.t3a import T3a
from zoo.adapters.feature.tent import Tent
from zoo.learners import Learner
from zoo.task import Task
from zoo.train import Budget

CLASSES, WIDTH, RATE = 5, 7, 0.5


def source(seed=0, kind="cnn"):
    """A network as if it had been trained: batch norms of the cnn are of images, and of vectors."""
    torch.manual_seed(seed)
    net = nets.build(kind, (1, 8, 8) if kind == "cnn" else (WIDTH,), CLASSES)
    for i, m in enumerate(m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)):
        n = m.num_features
        m.running_mean, m.running_var = 0.1 * draw(n, seed=i), 0.5 + draw(n, seed=i + 10).abs()
        m.weight.data, m.bias.data = 1 + 0.2 * draw(n, seed=i + 20), 0.2 * draw(n, seed=i + 30)
    net.head.weight.data *= 6  # sure of some samples, and of others not
    return net.eval()


def batches(n=2, size=12, kind="cnn"):
    shape = (1, 8, 8) if kind == "cnn" else (WIDTH,)
    return [draw(size, *shape, seed=50 + i).abs().clamp(max=1) for i in range(n)]


def begun(method, net, rate=RATE, **fields):
    """A method that waits for a stream, and what it is not to write into: the source model."""
    budget = Budget(optimiser="sgd", learning_rate=rate, batch_size=16, precision="fp32")
    task = Task(
        {"model": net, **fields}, needs=method.needs, learner=Learner(net="cnn", budget=budget), n_classes=CLASSES
    )
    before = copy.deepcopy(net.state_dict())
    assert method.fit(task) is method
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    return method


def affine(net):
    """Scales and shifts of norms, in order."""
    return [p for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm | Robust) for p in m.parameters()]


def training(net):
    """A copy that normalises by batches; its running statistics are not looked at."""
    return copy.deepcopy(net).train()


def entropies(logits):
    p = logits.softmax(1)
    return -(p * p.log()).sum(1)


def close(found, expected, rtol=1e-4, atol=1e-6):
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=rtol, atol=atol)


def moved(parameters, loss, rate=RATE):
    """What parameters are after a step down a loss, whose gradient is none of zeros."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    assert max(float(g.abs().max()) for g in gradients if g is not None) > 1e-4
    return [p.detach() if g is None else (p - rate * g).detach() for p, g in zip(parameters, gradients, strict=True)]


# tent, t3a, ada_bn ----------------------------------------------------------------------------------------------------


def test_tent_predicts_a_batch_under_its_statistics_and_then_goes_down_its_entropy():
    net, method = source(), None
    method = begun(Tent(), net)
    again = training(net)
    for X in batches(3):
        logits = again(X)
        close(method.observe(X), logits.softmax(1))
        own = affine(again)
        for p, value in zip(own, moved(own, entropies(logits).mean()), strict=True):
            p.data = value
        for p, q in zip(affine(method.model_), own, strict=True):
            close(p, q, rtol=1e-3)
    still = [p for p in method.model_.parameters() if not p.requires_grad]
    assert len(still) == len([*net.parameters()]) - len(affine(net)) > 0


def test_tent_falls_in_entropy_on_a_batch_that_it_sees_again():
    method, (X,) = begun(Tent(), source(), rate=0.05), batches(1)
    seen = [float(entropies(method.observe(X).log()).mean()) for _ in range(15)]
    assert seen[-1] < 0.9 * seen[0]


def test_t3a_is_the_authors_stream():
    """Their loop: supports of all that came, cut to the k of least entropy a class, and the batch scored by these."""
    net, k = source(kind="mlp"), 3
    method = begun(T3a(k=k), net)
    W = net.head.weight.detach().double()
    supports, labels = W, (W @ W.T + net.head.bias.double()).argmax(1)
    entropy = entropies(W @ W.T + net.head.bias.double())
    for X in batches(6, kind="mlp"):
        z = net.embed(X).double()
        logits = z @ W.T + net.head.bias.double()
        supports = torch.cat([supports, z]).detach()
        labels, entropy = torch.cat([labels, logits.argmax(1)]), torch.cat([entropy, entropies(logits)]).detach()
        keep = torch.cat([(own := (labels == c).nonzero()[:, 0])[entropy[own].argsort()[:k]] for c in range(CLASSES)])
        supports, labels, entropy = supports[keep], labels[keep], entropy[keep]
        centres = F.normalize(F.normalize(supports, dim=1).T @ F.one_hot(labels, CLASSES).double(), dim=0)
        close(method.observe(X), (z @ centres).softmax(1), rtol=1e-5)
        assert len(method.support_[0]) <= k * CLASSES


def test_ada_bn_has_the_mean_statistics_of_the_batches_so_far():
    net, method = source(kind="mlp"), begun(AdaBn(), source(kind="mlp"))
    linear, norm = net.body[1], net.body[2]
    means, variances = [], []
    for X in batches(4, kind="mlp"):
        h = linear(X)
        means.append(h.mean(0))
        variances.append(h.var(0))
        mean, var = torch.stack(means).mean(0), torch.stack(variances).mean(0)
        h = F.relu((h - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias)
        close(method.observe(X), net.head(h).softmax(1))


# lame -----------------------------------------------------------------------------------------------------------------


def affinities(z, kind, k):
    """By loops over pairs."""
    n = len(z)
    far = np.array([[np.linalg.norm(a - b) for b in z] for a in z])
    if kind == "linear":
        return z @ z.T
    if kind == "knn":
        return np.array([[float(j in np.argsort(np.where(np.arange(n) == i, np.inf, far[i]))[:k]) for j in range(n)]
                         for i in range(n)])  # fmt: skip
    width = np.mean([np.sort(row)[k - 1] for row in far])
    return np.exp(-(far**2) / (2 * width**2))


@pytest.mark.reference(
    method="lame", source="Boudiaf et al. 2022, eq. 4 to 6; fiveai/LAME: src/adaptation/lame.py",
    compared="scores of a batch by the authors' steps in numpy, for their three affinities (1e-4); the energy falls",
    differs="nothing",
)  # fmt: skip
@pytest.mark.parametrize("kind", ["rbf", "knn", "linear"])
def test_lame_takes_the_authors_steps(kind):
    net = source(kind="mlp")
    method = begun(Lame(affinity=kind), net)
    for X in batches(2, size=20, kind="mlp"):
        z = F.normalize(net.embed(X), dim=1).detach().double().numpy()
        unary = -np.log(net.predict(X).double().numpy() + 1e-10)
        W, Y, energies = affinities(z, kind, 5), softmax(-unary, 1), []
        for _ in range(100):
            pull = W @ Y
            Y = softmax(pull - unary, 1)
            energies.append((unary * Y - pull * Y + Y * np.log(np.clip(Y, 1e-20, None))).sum())
            if len(energies) > 2 and abs(energies[-1] - energies[-2]) <= 1e-8 * abs(energies[-2]):
                break
        np.testing.assert_allclose(method.observe(X).numpy(), Y, rtol=1e-3, atol=1e-4)
        assert energies[-1] < energies[0]


def test_lame_gives_a_batch_of_one_class_its_majority():
    """The paper's case: near samples of one class of which some are mistaken; nothing is carried to the next batch."""
    net = source(kind="mlp")
    X = draw(30, WIDTH, seed=1) * 0.05 + draw(1, WIDTH, seed=2)
    before = net.predict(X)
    guess = before.mean(0).argmax()
    net.head.bias.data -= (
        0.999
        * (net.head.bias.data[guess] + (before.log()[:, guess] - before.log().topk(2, 1).values[:, 1]).mean())
        * F.one_hot(guess, CLASSES)
    )
    unsure = net.predict(X).argmax(1)
    first = begun(Lame(), net)
    found = first.observe(X).argmax(1)
    assert len(unsure.unique()) > 1
    assert len(found.unique()) == 1
    other, *_ = batches(1, kind="mlp")
    close(first.observe(other), begun(Lame(), net).observe(other), rtol=0, atol=0)


# sar ------------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="sar", source="Niu et al. 2023, eq. 2 to 4; mr-eggplant/SAR: sar.py, sam.py",
    compared="scores, and scales and shifts after each of several steps, by two passes written anew (1e-3); the reset",
    differs="the suite's optimiser and rate",
)  # fmt: skip
def test_sar_goes_down_the_gradient_at_the_point_uphill_of_sure_samples():
    net, margin, rho = source(), 0.85, 0.3
    method = begun(Sar(margin=margin, rho=rho, reset=0.0), net)
    again, limit = training(net), margin * math.log(CLASSES)
    left_out = 0
    for X in batches(3, size=16):
        logits = again(X)
        close(method.observe(X), logits.softmax(1))
        h, own = entropies(logits), affine(again)
        start = [p.detach().clone() for p in own]
        gradients = torch.autograd.grad(h[h < limit].mean(), own)
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        for p, g in zip(own, gradients, strict=True):
            p.data = p.data + rho * g / norm
        second = entropies(again(X))[h < limit]
        left_out += int((h >= limit).sum()) + int((second >= limit).sum())
        gradients = torch.autograd.grad(second[second < limit].mean(), own)
        for p, q, g, s in zip(affine(method.model_), own, gradients, start, strict=True):
            q.data = s - RATE * g
            close(p, q, rtol=1e-3, atol=1e-5)
    assert left_out


def test_sar_begins_anew_where_its_mean_loss_has_collapsed():
    net, (X, _) = source(), batches()
    method = begun(Sar(margin=1.0, reset=100.0), net)
    first = method.observe(X)
    close(method.observe(X), first, rtol=0, atol=0)  # each step is undone
    never = begun(Sar(margin=1.0, reset=0.0), net)
    never.observe(X)
    assert float((never.observe(X) - first).abs().max()) > 1e-3


def test_sar_stands_still_where_no_sample_is_sure():
    method, (X, _) = begun(Sar(margin=1e-6), source()), batches()
    close(method.observe(X), method.observe(X), rtol=0, atol=0)


# eata -----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="eata", source="Niu et al. 2022, eq. 2 to 9; mr-eggplant/EATA: eata.py, main.py",
    compared="Fisher information, scores, and scales and shifts after each of several steps, written anew (1e-3)",
    differs="the suite's optimiser and rate; F on source samples without labels; the paper's figures for CIFAR-10",
)  # fmt: skip
def test_eata_goes_down_the_entropy_of_sure_and_new_samples_and_is_held_back():
    net, margin, similarity, weight = source(), 0.9, 0.8, 30.0
    Xs = draw(40, 1, 8, 8, seed=9).abs()
    method = begun(Eata(margin=margin, similarity=similarity, weight=weight), net, Xs=Xs)
    g = torch.Generator().manual_seed(Task({}, needs=(), learner=None, n_classes=2).generator.initial_seed())
    rows = torch.randperm(40, generator=g)
    again, limit, mean = training(net), margin * math.log(CLASSES), None
    own, fisher = affine(again), [0.0 for _ in affine(again)]
    parts = [Xs[rows[i : i + 16]] for i in (0, 16, 32)]
    for part in parts:
        logits = again(part)
        loss = F.nll_loss(logits.log_softmax(1), logits.argmax(1))
        fisher = [f + q**2 / 3 for f, q in zip(fisher, torch.autograd.grad(loss, own), strict=True)]
    start, redundant = [p.detach().clone() for p in own], 0
    for X in batches(4, size=16):
        logits = again(X)
        close(method.observe(X), logits.softmax(1))
        h, p = entropies(logits), logits.softmax(1)
        counts = h < limit
        if mean is not None:
            cosine = (p @ mean) / (p.norm(dim=1) * mean.norm())
            redundant += int((counts & (cosine.abs() >= similarity)).sum())
            counts = counts & (cosine.abs() < similarity)
        assert counts.any()
        kept = p[counts].mean(0).detach()
        mean = kept if mean is None else 0.9 * mean + 0.1 * kept
        loss = (h[counts] / (h[counts].detach() - limit).exp()).mean()
        loss = loss + weight * sum((f * (q - s) ** 2).sum() for f, q, s in zip(fisher, own, start, strict=True))
        for q, value in zip(own, moved(own, loss), strict=True):
            q.data = value
        for q, r in zip(affine(method.model_), own, strict=True):
            close(q, r, rtol=1e-3, atol=1e-5)
    assert redundant


def test_eata_stays_near_the_source_where_the_penalty_is_large():
    Xs, start = draw(40, 1, 8, 8, seed=9).abs(), affine(source())
    far = []
    for weight in (0.0, 1e3):
        method = begun(Eata(margin=1.0, similarity=1.1, weight=weight), source(), rate=1e-2, Xs=Xs)
        for X in batches(60):
            method.observe(X)
        far.append(sum(float((p - s).detach().abs().sum()) for p, s in zip(affine(method.model_), start, strict=True)))
    assert far[1] < 0.8 * far[0]
