"""Whole fits against loops written from the authors' code: from the same weights, batches and draws.

Steps are of plain SGD, so that what is compared is the gradient; Adam would make a sign of it.
"""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from zoo import train
from zoo.adapters.feature import mcd, vada
from zoo.adapters.feature.fixmatch import Fixmatch
from zoo.adapters.feature.t3a import T3a
from zoo.adapters.feature.tent import Tent
from zoo.adapters.feature.wdgrl import Wdgrl
from zoo.learners import Learner
from zoo.task import Task

RATE = 0.05


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fitted(method, steps=4, n=60, **budget):
    """A fit of a small network, and what it began with: copies of network and extra module, batches, generators."""
    y = torch.arange(n) % 3
    Xs = draw(n, 4) + 2 * torch.eye(3, 4)[y]
    Xt = draw(n + 7, 4, seed=1) + 2 * torch.eye(3, 4)[torch.arange(n + 7) % 3] + 1
    budget = train.Budget(
        steps=steps, batch_size=16, optimiser="sgd", learning_rate=RATE, schedule="constant", **budget
    )  # fmt: skip
    learner = Learner(net="mlp", budget=budget, seed=0, use="net")
    fields = {"Xs": Xs, "ys": y, "Xt": Xt, "model": learner.fit(Xs, y, 3)}
    seen, setup, step = SimpleNamespace(batches=[], fields=fields), method.setup, getattr(method, "step", train.descend)

    def set_up(net, task):
        seen.extra = setup(net, task)
        return seen.extra

    def take(net, opt, b):
        if not seen.batches:
            seen.first = copy.deepcopy((net, seen.extra))
        state = None if b.generator is None else b.generator.get_state().clone()
        inputs = {k: v.clone() for k, v in vars(b).items() if k in ("xs", "ys", "xt", "xt2")}
        seen.batches.append(SimpleNamespace(**inputs, state=state))
        return step(net, opt, b)

    method.setup, method.step = set_up, take
    seen.method = method.fit(Task(fields, needs=method.needs, learner=learner, n_classes=3))
    return seen


def again(b):
    """The generator as it was before a step's draws."""
    g = torch.Generator()
    g.set_state(b.state)
    return g


def down(loss, parameters, rate):
    """One step of SGD."""
    parameters = list(parameters)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    with torch.no_grad():
        for p, g in zip(parameters, gradients, strict=True):
            if g is not None:
                p -= rate * g


def same_way(ours, theirs, start, rtol=1e-3):
    """How far all parameters went from where they began, relative to the longest way of any."""
    a, b = (
        torch.cat([(p - q).detach().flatten() for p, q in zip(m.parameters(), start.parameters(), strict=True)])
        for m in (ours, theirs)
    )
    assert float(b.abs().max()) > 1e-3
    np.testing.assert_allclose(a, b, rtol=0, atol=rtol * float(b.abs().max()))


def running_mean(average, net, i, decay):
    keep = min(decay, (1 + i) / (10 + i))
    with torch.no_grad():
        for a, p in zip(average.parameters(), net.parameters(), strict=True):
            a.copy_(keep * a + (1 - keep) * p)


@pytest.mark.reference(
    method="wdgrl",
    source="Shen et al. 2018, algorithm 1; RockySJ/WDGRL: amazon/amazon_wd.py",
    compared="four whole steps: five of the critic each (gap, penalty at samples and between), then the network",
    differs="weight decay is the suite's",
)
def test_wdgrl_is_the_authors_loop():
    seen = fitted(Wdgrl())
    net, critic = copy.deepcopy(seen.first)
    assert [m.out_features for m in critic if isinstance(m, nn.Linear)] == [100, 1]
    for b in seen.batches:
        g = again(b)
        hs, ht = net.features(b.xs), net.features(b.xt)
        for _ in range(5):
            alpha = torch.rand(len(hs), 1, generator=g)
            whole = torch.cat([hs, ht, ht + alpha * (hs - ht)]).detach().requires_grad_()
            (gradients,) = torch.autograd.grad(critic(whole).sum(), whole, create_graph=True)
            penalty = (gradients.square().sum(1).sqrt() - 1).square().mean()
            distance = critic(hs.detach()).mean() - critic(ht.detach()).mean()
            down(-distance + 10 * penalty, critic.parameters(), 0.1 * RATE)
        distance = critic(hs).mean() - critic(ht).mean()
        down(cross_entropy(net.head(hs), b.ys) + distance, net.parameters(), 0.1 * RATE)
    same_way(seen.method.critic_, critic, seen.first[1])
    same_way(seen.method.model_, net, seen.first[0])


@pytest.mark.reference(
    method="fixmatch",
    source="Sohn et al. 2020, eq. 3 and 4; google-research/fixmatch: fixmatch.py",
    compared="six whole steps of one pass over source, weak and strong views; threshold; the mean of decay .999",
    differs="a batch of the suite's size in place of seven unlabelled samples a labelled one; the mean's first steps "
    "are shorter; distortions of our own for CTAugment; the suite's optimiser",
)
@pytest.mark.parametrize("threshold", [0.6, 0.95])
def test_fixmatch_is_the_authors_loop(threshold):
    seen = fitted(Fixmatch(threshold=threshold), steps=6)
    assert (Fixmatch().weight, Fixmatch().threshold, Fixmatch.ema) == (1.0, 0.95, 0.999)
    net, _ = copy.deepcopy(seen.first)
    mean, counted = copy.deepcopy(net), []
    for i, b in enumerate(seen.batches):
        assert not torch.equal(b.xt, b.xt2)
        n = len(b.xs)
        logits = net(torch.cat([b.xs, b.xt, b.xt2]))
        weak, strong = logits[n:].chunk(2)
        score, label = weak.softmax(1).detach().max(1)
        mask = (score >= threshold).float()
        counted += mask.tolist()
        loss = cross_entropy(logits[:n], b.ys) + (cross_entropy(strong, label, reduction="none") * mask).mean()
        down(loss, net.parameters(), RATE)
        running_mean(mean, net, i, 0.999)
    assert 0 < np.mean(counted) < 1
    same_way(seen.method.model_, mean, seen.first[0])


@pytest.mark.reference(
    method="mcd",
    source="Saito et al. 2018, section 3.3; mil-tokyo/MCD_DA: classification/solver.py",
    compared="four whole steps A, B and four times C, without dropout; predictions by both classifiers",
    differs="the mean of scores in place of the sum of logits; no class-balance term, which their VisDA script adds",
)
def test_mcd_is_the_authors_loop(monkeypatch):
    monkeypatch.setattr(mcd, "DROPOUT", 0.0)
    seen = fitted(mcd.Mcd())
    G, second = copy.deepcopy(seen.first)
    first, features = G.head, G.body

    def learnt(b):
        z = features(b.xs)
        return cross_entropy(first(z), b.ys) + cross_entropy(second(z), b.ys)

    def apart(b):
        z = features(b.xt)
        return (first(z).softmax(1) - second(z).softmax(1)).abs().mean()

    classifiers = [*first.parameters(), *second.parameters()]
    for b in seen.batches:
        down(learnt(b), [*features.parameters(), *classifiers], RATE)
        down(learnt(b) - apart(b), classifiers, RATE)
        for _ in range(4):
            down(apart(b), features.parameters(), RATE)
    same_way(seen.method.model_, G, seen.first[0])
    same_way(seen.method.second_, second, seen.first[1])


def perturbed(net, x, logits, radius, g, probe):
    """The authors' perturb_image and vat_loss, whose cross-entropy is the divergence and a constant."""
    p = logits.softmax(1).detach()
    eps = nn.functional.normalize(torch.randn(x.shape, generator=g, dtype=x.dtype), dim=1) * probe
    eps.requires_grad_()
    loss = -(p * net(x + eps).log_softmax(1)).sum(1).mean()
    (adverse,) = torch.autograd.grad(loss, eps)
    moved = x + radius * nn.functional.normalize(adverse, dim=1, eps=0)
    return -(p * net(moved).log_softmax(1)).sum(1).mean()


def length(x):
    """The unit of radius and probe: what normalising each input by itself makes √d of."""
    return float((x.var(0, correction=0).mean() * x.shape[1]).sqrt())


@pytest.mark.reference(
    method="vada",
    source="Shu et al. 2018, eq. 2 to 8; RuiShu/dirt-t: codebase/models/extra_layers.py (vat_loss)",
    compared="the divergence after the worst perturbation, with the authors' probe, in float64",
    differs="the probe is a hundredth of the inputs' deviation, theirs 1e-6, which float32 rounds away (loss: 1 %)",
)
def test_vadas_perturbation_is_the_authors(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 3)).double(), 2 * draw(12, 6).double()
    logits, radius = net(x), 0.3
    theirs = perturbed(net, x, logits, radius * length(x), torch.Generator().manual_seed(1), 1e-6)
    p = logits.softmax(1)
    theirs = (theirs + (p * p.log()).sum(1).mean()).item()
    default = vada.worst(net, x, logits, radius, torch.Generator().manual_seed(1)).item()
    assert abs(default / theirs - 1) < 0.01
    monkeypatch.setattr(vada, "PROBE", 1e-6 / length(x))
    assert vada.worst(net, x, logits, radius, torch.Generator().manual_seed(1)).item() == pytest.approx(
        theirs, rel=1e-5
    )


@pytest.mark.reference(
    method="vada",
    source="Shu et al. 2018, eq. 2 to 8; RuiShu/dirt-t: codebase/models/dirtt.py, run_dirtt.py (--tw, --dw, --sw)",
    compared="four whole steps of all terms on discriminator and network; the mean of decay .998 that predicts",
    differs="the discriminator learns in the same step from the same batch, theirs before it from another; "
    "running statistics are of all passes; radius .063 for .0631; the mean's first steps are shorter",
)
@pytest.mark.parametrize("target", [0.01, 1.0])  # theirs; and one under which its terms weigh
def test_vada_is_the_authors_loop(target):
    seen = fitted(vada.Vada(certain=target))
    assert (vada.Vada().certain, vada.Vada.ema, vada.Vada.beta1) == (0.01, 0.998, 0.5)
    net, D = copy.deepcopy(seen.first)
    mean = copy.deepcopy(net)
    told = nn.functional.binary_cross_entropy_with_logits
    for i, b in enumerate(seen.batches):
        g, n = again(b), len(b.xs)
        es, et = net.features(b.xs), net.features(b.xt)
        ps, pt = net.head(es), net.head(et)
        vat = [
            perturbed(net, x, p, 3.5 / 32 / 3**0.5 * length(x), g, vada.PROBE * length(x))
            for x, p in ((b.xs, ps), (b.xt, pt))
        ]
        ones, zeros = torch.ones(n), torch.zeros(n)
        disc = 0.5 * (told(D(es.detach()), ones) + told(D(et.detach()), zeros))
        domain = 0.5 * (told(D(es), zeros) + told(D(et), ones))
        q = pt.softmax(1)
        entropy = -(q * pt.log_softmax(1)).sum(1).mean()
        main = 0.01 * domain + cross_entropy(ps, b.ys) + vat[0] + target * (entropy + vat[1])
        gradients = torch.autograd.grad(disc, list(D.parameters()))
        down(main, net.parameters(), RATE)
        with torch.no_grad():
            for p, slope in zip(D.parameters(), gradients, strict=True):
                p -= RATE * slope
        running_mean(mean, net, i, 0.998)
    same_way(seen.method.model_, mean, seen.first[0])
    same_way(seen.method.discriminator_, D, seen.first[1])


@pytest.mark.reference(
    method="tent",
    source="Wang et al. 2021, section 3; DequanWang/tent: tent.py",
    compared="one step on the entropy a batch, under the batch's statistics, of scales and shifts alone",
    differs="the last batch is filled up with samples seen before; predictions after all steps, under the whole "
    "target's statistics",
)
def test_tent_is_the_authors_loop():
    seen = fitted(Tent(), steps=100)
    model, net = seen.fields["model"], copy.deepcopy(seen.first[0])
    assert len(seen.batches) == math.ceil(67 / 16)
    norm = net.body[2].train()
    norm.running_mean.fill_(1e3)  # not what it goes by
    for b in seen.batches:
        logits = net.head(net.body[3](norm(net.body[1](b.xt))))
        entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean(0)
        down(entropy, [norm.weight, norm.bias], RATE)
    same_way(seen.method.model_.body[2], norm, model.body[2])
    for i in (1, -1):
        ours, theirs = ((m.body[1], m.head)[i].state_dict() for m in (seen.method.model_, model))
        assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


@pytest.mark.reference(
    method="t3a",
    source="Iwasawa and Matsuo 2021, eq. 3 to 6; matsuolab/T3A: domainbed/adapt_algorithms.py",
    compared="a whole fit and its predictions of new samples by NumPy: supports of least entropy, centres, scores",
    differs="the whole target at once; predictions do not change the supports",
)
@pytest.mark.parametrize("k", [1, 5, 20])
def test_t3a_is_numpys(k):
    learner = Learner(net="mlp", budget=train.Budget(steps=60, batch_size=32), seed=0, use="net")
    y = torch.arange(90) % 3
    model = learner.fit(draw(90, 4) + 2 * torch.eye(3, 4)[y], y, 3)
    Xt, new = draw(80, 4, seed=1) + 2 * torch.eye(3, 4)[torch.arange(80) % 3] + 1, draw(20, 4, seed=2)
    method = T3a(k=k).fit(Task({"model": model, "Xt": Xt}, needs=T3a.needs, learner=learner, n_classes=3))
    W, bias = (p.detach().double().numpy() for p in model.head.parameters())
    zt, z = (model.embed(X).double().numpy() for X in (Xt, new))
    supports = np.concatenate([W, zt])
    logits = supports @ W.T + bias
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    entropy, label = -(p * np.log(p)).sum(1), p.argmax(1)
    centres = []
    for c in range(3):
        own = np.flatnonzero(label == c)
        kept = supports[own[np.argsort(entropy[own])][:k]]
        total = (kept / np.linalg.norm(kept, axis=1, keepdims=True)).sum(0)
        centres.append(total / np.linalg.norm(total))
    assert np.bincount(label).min() > k or k == 20
    scores = np.exp(z @ np.array(centres).T)
    np.testing.assert_allclose(method.predict(new), scores / scores.sum(1, keepdims=True), rtol=1e-4)
