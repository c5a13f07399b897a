"""Methods that adapt to a stream by a teacher of their own, and what all of them do of one class after another."""

from __future__ import annotations

import copy
import math
import random

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch.nn import functional as F

from tests.test_fidelity_stream import CLASSES, WIDTH, affine, batches, begun, close, moved, source, training
from tests.test_reference_adversarial import draw
from zoo import nets
from zoo.adapters import _streaming
from zoo.adapters.feature import cotta as cotta_file
from zoo.adapters.feature import rotta as rotta_file
from zoo.adapters.feature.ada_bn import AdaBn
from zoo.adapters.feature.cotta import Cotta
from zoo.adapters.feature.eata import Eata
from zoo.adapters.feature.lame import Lame
from zoo.adapters.feature.rotta import Memory, Robust, Rotta
from zoo.adapters.feature.sar import Sar
from zoo.adapters.feature.t3a import T3a
from zoo.adapters.feature.tent import Tent
from zoo.errors import Unsupported
from zoo.learners import Learner
from zoo.ops.jitter import jittered
from zoo.task import Task
from zoo.train import Budget

# cotta ----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="cotta", source="Wang et al. 2022, eq. 2 to 8; qinenergy/cotta: cifar/cotta.py",
    compared="scores, student and teacher after each of several steps, written anew (1e-3); views; what returns",
    differs="the suite's optimiser and rate; hue is not changed",
)  # fmt: skip
def test_cotta_learns_what_its_running_mean_says(monkeypatch):
    """Views are darker by the draw, in turn."""
    factors = iter([0.9, 0.6, 0.3] * 3)
    monkeypatch.setattr(cotta_file, "jittered", lambda x, g, flip: next(factors) * x)
    net, rate = source(), 0.02
    method = begun(Cotta(decay=0.8, restore=0.0, confidence=1.0, views=3), net, rate=rate)
    student, teacher = training(net), training(net)
    for X in batches(3):
        with torch.no_grad():
            said = torch.stack([teacher(f * X) for f in (0.9, 0.6, 0.3)]).mean(0)
        close(method.observe(X), said.softmax(1))
        loss = -(said.softmax(1) * student(X).log_softmax(1)).sum(1).mean()
        own = [*student.parameters()]
        for p, t, value in zip(own, teacher.parameters(), moved(own, loss, rate), strict=True):
            p.data = value
            t.data = 0.8 * t.data + 0.2 * value
        for mine, theirs in ((method.model_, student), (method.teacher_, teacher)):
            for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
                close(p, q, rtol=1e-3, atol=1e-4)


def test_cotta_takes_the_batch_itself_where_the_source_is_sure():
    """The student is then its own teacher, so that the gradient is 0."""
    net = source()
    sure, unsure = (begun(Cotta(confidence=c), net) for c in (0.0, 1.0))
    for X in batches(2):
        expected = training(net)(X).softmax(1)
        close(sure.observe(X), expected)
        assert float((unsure.observe(X) - expected).abs().max()) > 0.01


def test_cotta_lets_a_share_of_its_weights_return():
    net, (X, _) = source(), batches()
    start = torch.cat([p.flatten() for p in net.parameters()])
    there = []
    for restore in (0.0, 0.25, 1.0):
        method = begun(Cotta(restore=restore), net)
        method.observe(X)
        now = torch.cat([p.detach().flatten() for p in method.model_.parameters()])
        there.append(float((now == start).double().mean()))
    never, some, all_ = there
    assert all_ == 1.0
    assert (some - never) / (1 - never) == pytest.approx(0.25, abs=0.03)


# rotta ----------------------------------------------------------------------------------------------------------------


def test_robust_norms_move_their_statistics_before_they_use_them():
    net, alpha = source(), 0.05
    for norm, x in ((net.body[2], draw(9, 32, 3, 3)), (net.neck[1], draw(9, 128))):
        ours, x = Robust(copy.deepcopy(norm), alpha), 2 * x + 1
        axes = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        close(ours.eval()(x), norm.eval()(x))
        mean, var = norm.running_mean, norm.running_var
        for _ in range(3):
            mean = (1 - alpha) * mean + alpha * x.mean(axes)
            var = (1 - alpha) * var + alpha * x.var(axes, correction=0)
            expected = (x - mean.view(shape)) / (var.view(shape) + norm.eps).sqrt()
            close(ours.train()(x), expected * norm.weight.view(shape) + norm.bias.view(shape), atol=1e-5)
        close(ours.eval()(x), expected * norm.weight.view(shape) + norm.bias.view(shape), atol=1e-5)


def test_the_memory_is_the_authors():
    """By a list of (class, sample, entropy, age) that is searched from its beginning, on thousands of arrivals."""
    rng = random.Random(0)
    for size, classes in ((10, 4), (6, 6), (7, 3)):
        ours, kept = Memory(size, classes), []

        def score(entropy, age, size=size, classes=classes):
            return 1 / (1 + math.exp(-age / size)) + entropy / math.log(classes)

        for i in range(1500):
            label = rng.choice(range(classes)) if i % 300 < 100 else (i // 100) % classes
            entropy = rng.random() * math.log(classes)
            ours.add(torch.tensor(float(i)), label, entropy)
            own = [item for item in kept if item[0] == label]
            counts = [sum(item[0] == c for item in kept) for c in range(classes)]
            if len(own) >= size / classes:
                pool = own
            elif len(kept) >= size:
                pool = [item for item in kept if counts[item[0]] == max(counts)]
            else:
                pool = None
            if pool is None:
                kept.append([label, i, entropy, 0])
            else:
                worst = max(pool, key=lambda item: score(item[2], item[3]))
                if score(worst[2], worst[3]) > score(entropy, 0):
                    kept.remove(worst)
                    kept.append([label, i, entropy, 0])
            for item in kept:
                item[3] += 1
            assert sorted(float(x) for x in ours.content()[0]) == sorted(item[1] for item in kept)
        assert len(kept) <= size
        assert sorted(ours.content()[1]) == sorted(item[3] / size for item in kept)


@pytest.mark.reference(
    method="rotta", source="Yuan et al. 2023, eq. 3 to 10; BIT-DA/RoTTA: core/adapter/rotta.py, core/utils",
    compared="scores, student and teacher after each of several steps, written anew (1e-3); memory by search; norms",
    differs="the suite's optimiser and rate; hue is not changed",
)  # fmt: skip
def test_rotta_learns_from_its_memory_what_its_running_mean_says(monkeypatch):
    monkeypatch.setattr(rotta_file, "jittered", lambda x, g, flip: 0.7 * x)
    net, nu, alpha, size = source(kind="mlp"), 0.3, 0.2, 8
    method = begun(Rotta(memory=size, nu=nu, alpha=alpha), net)
    student, teacher = ({"net": copy.deepcopy(net)} for _ in range(2))
    memory = Memory(size, CLASSES)

    def passed(part, X, moves):
        norm = part["net"].body[2]
        h = part["net"].body[1](X)
        if moves:
            norm.running_mean = (1 - alpha) * norm.running_mean + alpha * h.mean(0).detach()
            norm.running_var = (1 - alpha) * norm.running_var + alpha * h.var(0, correction=0).detach()
            mean = norm.running_mean.detach() + alpha * (h.mean(0) - h.mean(0).detach())
            var = norm.running_var + alpha * (h.var(0, correction=0) - h.var(0, correction=0).detach())
        else:
            mean, var = norm.running_mean, norm.running_var
        h = (h - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias
        return part["net"].head(F.relu(h))

    seen = 0
    for X in batches(4, kind="mlp"):
        said = passed(teacher, X, False).detach()
        close(method.observe(X), said.softmax(1), atol=1e-5)
        p = said.softmax(1)
        for x, q in zip(X, p, strict=True):
            memory.add(x, int(q.argmax()), float(-(q * (q + 1e-6).log()).sum()))
            seen += 1
            if seen % size == 0:
                samples, ages = memory.content()
                M = torch.stack(samples)
                target = passed(teacher, M, True).detach().softmax(1)
                logits = passed(student, 0.7 * M, True)
                w = torch.tensor([math.exp(-a) / (1 + math.exp(-a)) for a in ages])
                own = affine(student["net"])
                loss = (w * -(target * logits.log_softmax(1)).sum(1)).mean()
                for q, t, value in zip(own, affine(teacher["net"]), moved(own, loss), strict=True):
                    q.data = value
                    t.data = (1 - nu) * t.data + nu * value
        for mine, theirs in ((method.model_, student["net"]), (method.teacher_, teacher["net"])):
            for q, r in zip(affine(mine), affine(theirs), strict=True):
                close(q, r, rtol=1e-3, atol=1e-5)
    assert seen // size >= 5


# All of them ----------------------------------------------------------------------------------------------------------


ALL = [Tent, Sar, Eata, Cotta, Rotta, AdaBn, T3a, Lame]


def blobs(n, shift, by_class=False, seed=0):
    """Classes about the corners of a cube, in a domain that is moved and stretched."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % CLASSES
    y = y.sort().values if by_class else y[torch.randperm(n, generator=g)]
    X = 2.2 * torch.eye(CLASSES, WIDTH)[y] + torch.randn(n, WIDTH, generator=g)
    return (1 + 0.5 * shift) * X + shift, y


@pytest.fixture(scope="module")
def trained():
    learner = Learner(net="mlp", budget=Budget(steps=400, batch_size=32, learning_rate=2e-3), seed=0, use="net")
    return learner.fit(*blobs(1000, 0.0), CLASSES)


def accuracy(cls, trained, by_class, shift=6.0, n=1280):
    X, y = blobs(n, shift, by_class, seed=3)
    fields = {"Xs": blobs(300, 0.0)[0]} if "Xs" in cls.needs else {}
    budget = Budget(learning_rate=1e-3, batch_size=32, precision="fp32")
    learner = Learner(net="mlp", budget=budget, use="net")
    task = Task({"model": trained, **fields}, needs=cls.needs, learner=learner, n_classes=CLASSES)
    method = cls().fit(task)
    said = torch.cat([method.observe(part) for part in X.split(64)])
    assert torch.allclose(said.double().sum(1), torch.ones(n, dtype=torch.float64), atol=1e-4)
    return float((said.argmax(1) == y).double().mean())


@pytest.mark.slow
def test_one_class_after_another_is_where_tent_fails_and_rotta_and_lame_do_not(trained):
    X, y = blobs(1280, 6.0, seed=3)
    plain = float((trained.predict(X).argmax(1) == y).double().mean())
    mixed, sorted_ = ({cls: accuracy(cls, trained, order) for cls in ALL} for order in (False, True))
    assert mixed[Tent] > plain + 0.03
    assert mixed[Rotta] > plain - 0.01
    for cls in (Tent, Sar, Eata, Cotta):
        assert sorted_[cls] < plain - 0.15, cls
    for cls in (Rotta, Lame):
        assert sorted_[cls] > plain - 0.01, cls


@pytest.mark.parametrize("cls", ALL)
def test_a_network_without_norms_gives_a_reason_or_scores(cls):
    net = nets.build("lenet", (1, 16, 16), CLASSES).eval()
    X = draw(12, 1, 16, 16).abs()
    fields = {"Xs": X} if "Xs" in cls.needs else {}
    if cls in (Lame, T3a, Cotta):
        assert begun(cls(), net, **fields).observe(X).shape == (12, CLASSES)
    else:
        with pytest.raises(Unsupported, match="norm"):
            begun(cls(), net, **fields)


def test_views_are_of_the_batch_and_differ_from_it():
    for x in (draw(6, 3, 12, 12).abs().clamp(max=1), draw(6, 1, 12, 12).abs().clamp(max=1), draw(6, 9)):
        one, other, again = (jittered(x, torch.Generator().manual_seed(s)) for s in (0, 1, 0))
        assert one.shape == x.shape
        assert torch.equal(one, again)
        assert not torch.equal(one, other)
        assert x.dim() == 2 or (float(one.min()) >= 0 and float(one.max()) <= 1)
    x = torch.zeros(1, 1, 15, 15)
    x[..., 2:5] = 1.0  # a bar on the left stays there unless it is mirrored
    sides = [
        bool(
            jittered(x, torch.Generator().manual_seed(s), flip)[..., :7].sum()
            > jittered(x, torch.Generator().manual_seed(s), flip)[..., 8:].sum()
        )
        for flip in (True, False)
        for s in range(20)
    ]
    assert 4 <= sum(sides[:20]) <= 16
    assert all(sides[20:])


def test_bytes_have_views_of_bytes():
    x = (255 * draw(4, 3, 12, 12).abs().clamp(max=1)).to(torch.uint8)
    assert jittered(x, torch.Generator().manual_seed(0)).dtype == torch.uint8


def test_cross_entropies_are_those_of_scipy():
    a, b = draw(6, CLASSES), draw(6, CLASSES, seed=1)
    expected = -(softmax(b.numpy(), 1) * log_softmax(a.numpy(), 1)).sum(1)
    np.testing.assert_allclose(_streaming.cross_entropy(a, b), expected, rtol=1e-5)
