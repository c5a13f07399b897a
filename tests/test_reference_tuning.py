"""Tuning methods against their authors' formulas: the whole Ω, or the whole fit, on random inputs, written anew."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from zoo import nets, train
from zoo.adapters.parameter.bi_tuning import BiTuning
from zoo.adapters.parameter.bss import Bss
from zoo.adapters.parameter.co_tuning import CoTuning
from zoo.adapters.parameter.delta import Delta
from zoo.adapters.parameter.fine_tune import FineTune
from zoo.adapters.parameter.gradual_unfreeze import GradualUnfreeze
from zoo.adapters.parameter.lp_ft import LpFt
from zoo.adapters.parameter.lwf import Lwf
from zoo.adapters.parameter.stoch_norm import Stochastic
from zoo.learners import Learner
from zoo.task import Task
from zoo.train import Batch, Budget


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def mlp(d=4, classes=3, seed=0):
    torch.manual_seed(seed)
    return nets.build("mlp", (d,), classes)


def tuned(method, model, X, y, **budget):
    learner = Learner(net="mlp", budget=Budget(**budget), seed=0, use="net")
    fields = {"model": copy.deepcopy(model), "Xl": X, "yl": y}
    return method.fit(Task(fields, needs=method.needs, learner=learner, n_classes=3)).model_


# bss ------------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="bss",
    source="Chen et al. 2019, eq. 4; thuml/Batch-Spectral-Shrinkage; thuml/Transfer-Learning-Library: bss.py",
    compared="four steps of SGD on 20 samples, fewer than a batch, with PyTorch's SVD in float64 (rel. 1e-3)",
    differs="the rate is a multiple of the suite's for all parameters",
)
@pytest.mark.parametrize("k", [1, 3])
def test_bss_shrinks_where_the_samples_are_fewer_than_a_batch(k):
    """Before: such a batch held rows twice, so that its smallest singular value, penalty and gradient were 0."""
    X, y, model = draw(20, 4), torch.arange(20) % 3, mlp()
    budget = {"steps": 4, "batch_size": 32, "optimiser": "sgd", "learning_rate": 0.02, "schedule": "constant"}
    found = tuned(Bss(eta=0.05, k=k, rate=1.0), model, X, y, **budget)
    net = copy.deepcopy(model).train()
    opt = torch.optim.SGD(net.parameters(), lr=0.02)
    for _ in range(4):
        z = net.features(X)
        loss = cross_entropy(net.head(z), y) + 0.05 * torch.linalg.svdvals(z.double())[-k:].square().sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
    plain = tuned(FineTune(lower=1.0), model, X, y, **budget)
    for ours, theirs in zip(found.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    far = [float((p - q).detach().abs().max()) for p, q in zip(found.parameters(), plain.parameters(), strict=True)]
    assert max(far) > 1e-3, "and fine_tune ends elsewhere"


# delta ----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="delta",
    source="Li et al. 2019, eq. 4 to 6; lixingjian/DELTA: main.py, channel_evaluation.py",
    compared="Ω: attention by a loop in NumPy, sums over batch and features, L2 of the classifier (rel. 1e-4)",
    differs="f1's outputs stand for the maps of four layers; the classifier that judges them is the source model's",
)
def test_delta_is_the_authors_attention_and_penalty():
    source, X, y = mlp().eval(), draw(15, 4), torch.arange(15) % 3
    with torch.no_grad():
        z = source.features(X)
        gains = []
        for j in range(z.shape[1]):
            without = z.clone()
            without[:, j] = 0
            gains.append(
                float(cross_entropy(source.head(without).double(), y) - cross_entropy(source.head(z).double(), y))
            )
    gains = np.array(gains)
    attention = np.exp((gains - gains.mean()) / gains.std() / 5)
    attention /= attention.sum()
    spread = len(attention) * attention
    assert spread.max() / spread.min() > 1.5, "there is attention"
    method = Delta(alpha=0.01, beta=0.02)
    method.setup(source, SimpleNamespace(Xl=X, yl=y, n_classes=3))
    np.testing.assert_allclose(method.worth_, attention, rtol=1e-3)
    net = mlp(seed=1).eval()
    zl = net.features(X[:6])
    away = np.square((zl - source.features(X[:6])).detach().numpy())
    expected = 0.01 * 0.5 * (spread * away).sum()
    assert method.omega_batch(Batch(xl=X[:6], zl=zl, ll=net.head(zl)), source).item() == pytest.approx(
        expected, rel=1e-4
    )
    squares = sum(float(p.detach().square().sum()) for p in net.head.parameters())
    assert method.omega(net, source).item() == pytest.approx(0.02 * 0.5 * squares, rel=1e-5)


# stoch_norm -----------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="stoch_norm",
    source="Kou et al. 2020, algorithm 1; thuml/StochNorm: stochnorm.py",
    compared="outputs, gradients and moving statistics of both branches, channel by channel, in NumPy (rel. 1e-4)",
    differs="nothing known",
)
@pytest.mark.parametrize("p", [0.0, 1.0, 0.5])
def test_the_branch_of_moving_statistics_has_its_own_gradient(p):
    """Before: the other branch had changed the variance in place by the time of the backward pass."""
    norm, x = nn.BatchNorm1d(5), (3 * draw(12, 5) + 2).requires_grad_()
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    norm.running_mean.copy_(draw(5, seed=2))
    norm.running_var.copy_(draw(5, seed=3).square() + 0.1)
    w, mean, var = (
        norm.weight.detach().numpy().copy(),
        norm.running_mean.numpy().copy(),
        norm.running_var.numpy().copy(),
    )
    up = draw(12, 5, seed=4)
    layer = Stochastic(norm, p).train()
    torch.manual_seed(0)
    out = layer(x)
    (gradient,) = torch.autograd.grad((out * up).sum(), x)
    X, U = x.detach().numpy(), up.numpy()
    m, v = X.mean(0), X.var(0)
    h = (X - m) / np.sqrt(v + norm.eps)
    values = w * (X - mean) / np.sqrt(var + norm.eps), w * h
    slopes = (
        U * w / np.sqrt(var + norm.eps),
        w / np.sqrt(v + norm.eps) * (U - U.mean(0) - h * (U * h).mean(0)),
    )
    from_batch = np.isclose(out.detach().numpy(), values[1], atol=1e-4).all(0)
    assert from_batch.mean() == p or (p == 0.5 and 0 < from_batch.mean() < 1)
    np.testing.assert_allclose(out.detach(), np.where(from_batch, values[1], values[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, np.where(from_batch, slopes[1], slopes[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.running_mean, 0.9 * mean + 0.1 * m, rtol=1e-4)
    np.testing.assert_allclose(norm.running_var, 0.9 * var + 0.1 * v * 12 / 11, rtol=1e-4)


# bi_tuning ------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="bi_tuning",
    source="Zhong et al. 2020, eq. 3 to 6; thuml/Transfer-Learning-Library: tllib/regularization/bi_tuning.py",
    compared="both contrasts by a loop over samples, and the gradient to features and classifier (rel. 1e-4)",
    differs="the batch's keys in place of a queue; keys of a network in evaluation mode",
)
def test_bi_tunings_contrasts_are_the_authors():
    """Before: the contrast of classifiers had no gradient to the features, and no bias."""
    net, y, xl = mlp().eval(), torch.tensor([0, 1, 0, 2, 1, 0, 0]), draw(7, 4)
    nn.init.normal_(net.head.bias)
    method = BiTuning(temperature=0.2, momentum=1.0)
    method.setup(net, None)
    slow, projected = (m.eval() for m in method.slow_)
    zl = draw(7, net.width, seed=5).requires_grad_()
    found = method.omega_batch(Batch(xl=xl, zl=zl, yl=y, net=net), None)

    def unit(v):
        return v / v.norm()

    one = torch.ones(1)
    keys = [slow.features(xl)[j].detach() for j in range(7)]
    w = [unit(torch.cat([net.head.weight[c], net.head.bias[c, None]])).detach() for c in range(3)]
    expected = 0.0
    for i in range(7):
        of_class = [unit(torch.cat([z, one])) @ w[y[i]] for z in (zl[i], *keys)]
        of_samples = [unit(method.project_(zl[i])) @ unit(projected(k)).detach() for k in keys]
        for cosines, good in ((of_class, [True, *(y == y[i])]), (of_samples, y == y[i])):
            log = (torch.stack(cosines) / 0.2).log_softmax(0)
            expected = expected - torch.stack([v for v, g in zip(log, good, strict=True) if g]).mean() / 7
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    ours, theirs = (torch.autograd.grad(x, [zl, net.head.weight], allow_unused=True) for x in (found, expected))
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-3, atol=1e-6)
    assert ours[1] is None
    assert float(torch.autograd.grad(method.omega_batch(Batch(xl=xl, zl=zl, yl=y, net=net), None), zl)[0].norm()) > 0


# lwf, co_tuning -------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="lwf",
    source="Li and Hoiem 2018, eq. 2 and 3; thuml/Transfer-Learning-Library: lwf.py",
    compared="one step of SGD on cross-entropy and distillation, the copied classifier at its rate (rel. 1e-4)",
    differs="nothing known",
)
@pytest.mark.reference(
    method="co_tuning",
    source="You et al. 2020, eq. 4 and algorithm 1; thuml/CoTuning: train.py",
    compared="one step of SGD on both cross-entropies, the copied classifier at the features' rate (rel. 1e-4)",
    differs="the direct estimate of p(y_s | y_t) in place of the reverse one",
)
@pytest.mark.parametrize("method", [Lwf(rate=0.3), CoTuning(rate=0.3)], ids=repr)
def test_the_copied_classifier_learns_at_the_features_rate(method):
    """Before: at the suite's whole rate, 3.3 times theirs."""
    X, y, model = draw(20, 4), torch.arange(20) % 3, mlp()
    tuned(method, model, X, y, steps=1, batch_size=32, optimiser="sgd", learning_rate=0.5)
    before, net = copy.deepcopy(model).eval(), copy.deepcopy(model).train()
    with torch.no_grad():
        logits = before(X)
    copied = copy.deepcopy(net.head)
    z = net.features(X)
    if isinstance(method, Lwf):
        p, log = (logits / 2).softmax(1), (copied(z) / 2).log_softmax(1)
        extra = 4 * (p * (p.log() - log)).sum(1).mean()
    else:
        soft = torch.stack([logits.softmax(1)[y == c].mean(0) for c in range(3)])[y]
        extra = -2.3 * (soft * copied(z).log_softmax(1)).sum(1).mean()
    opt = torch.optim.SGD([*net.parameters(), *copied.parameters()], lr=0.15)
    (cross_entropy(net.head(z), y) + extra).backward()
    opt.step()
    for ours, theirs in ((method.model_, net), (method.source_head_, copied)):
        for a, c in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-6)


# lp_ft, gradual_unfreeze ----------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="lp_ft",
    source="Kumar et al. 2022, section 3.4; AnanyaKumar/transfer_learning: two trainings, one after the other",
    compared="the rate at each step: a whole schedule for the probe, and one for the tuning",
    differs="both phases share the suite's steps, and Adam its moments",
)
@pytest.mark.reference(
    method="gradual_unfreeze",
    source="Howard and Ruder 2018, sections 3.2 and 3.3; fastai: courses/dl2/imdb_scripts/train_clas.py",
    compared="the rate at each step: a whole schedule for each phase, a group at 1 / 2.6 of the one above",
    differs="the suite's schedule in place of the slanted triangle; all phases share the suite's steps",
)
@pytest.mark.parametrize(("method", "starts"), [(LpFt(probe=0.5), [0, 0.5]), (GradualUnfreeze(share=0.5), [0, 0.5])])
def test_each_phase_has_a_schedule_of_its_own(method, starts, monkeypatch):
    seen, plain = [], train._set_rate

    def spy(opt, *rest):
        plain(opt, *rest)
        seen.append(max(g["lr"] for g in opt.param_groups))

    monkeypatch.setattr(train, "_set_rate", spy)
    tuned(method, mlp(), draw(20, 4), torch.arange(20) % 3, steps=20, batch_size=32, learning_rate=0.01)
    ends = [*starts[1:], 1]
    for i, rate in enumerate(seen):
        at = i / 20
        phase = sum(s <= at for s in starts) - 1
        share = (at - starts[phase]) / (ends[phase] - starts[phase])
        assert rate == pytest.approx(0.01 * (1 + np.cos(np.pi * share)) / 2, abs=1e-9)
