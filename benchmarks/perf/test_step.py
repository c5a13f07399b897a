"""A training step of the engine against a bare PyTorch loop of the same arithmetic, with fused Adam, in one process."""

import time

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from zoo.adapters.feature.dann import Dann
from zoo.learners import Learner
from zoo.ops.reversal import reverse, warm_up
from zoo.task import Task
from zoo.train import Budget

STEPS, BATCH, D, CLASSES = 300, 64, 800, 10


@pytest.fixture(scope="module")
def data():
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(0)
    return (
        torch.randn(1000, D, generator=g),
        torch.randint(CLASSES, (1000,), generator=g),
        torch.randn(900, D, generator=g),
    )


def mlp():
    """MLP 800-256-10, as ``zoo/nets/mlp.py`` has it."""
    f1 = nn.Sequential(nn.Linear(D, 256), nn.BatchNorm1d(256), nn.ReLU())
    return f1, nn.Linear(256, CLASSES)


def bare(Xs, ys, Xt):
    """What one would write by hand for DANN: no harness, no contract, no checks."""
    f1, f2 = mlp()
    disc = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))
    parameters = [*f1.parameters(), *f2.parameters(), *disc.parameters()]
    opt = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, STEPS)
    is_source = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])
    for i in range(STEPS):
        rows, others = torch.randint(len(Xs), (BATCH,)), torch.randint(len(Xt), (BATCH,))
        zs, zt = f1(Xs[rows]), f1(Xt[others])
        domain = disc(reverse(torch.cat([zs, zt]), warm_up(i / STEPS))).flatten()
        f2(zt)
        loss = cross_entropy(f2(zs), ys[rows]) + binary_cross_entropy_with_logits(domain, is_source)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        schedule.step()


def engine(Xs, ys, Xt):
    task = Task({"Xs": Xs, "ys": ys, "Xt": Xt}, needs=Dann.needs, n_classes=CLASSES, learner=None)
    task.learner = Learner(net="mlp", budget=Budget(steps=STEPS, batch_size=BATCH))
    Dann().fit(task)


def test_dann_step(benchmark, data):
    LIMIT = 1.10
    bare(*data)
    engine(*data)
    pairs = []

    def both():  # one after the other, so that a busy machine slows both
        t0 = time.perf_counter()
        bare(*data)
        t1 = time.perf_counter()
        engine(*data)
        pairs.append((t1 - t0, time.perf_counter() - t1))

    benchmark.pedantic(both, rounds=9)
    plain, ours = (min(p[i] for p in pairs) for i in (0, 1))
    print(f"\ndann step: {1e6 * ours / STEPS:.0f} µs, bare loop {1e6 * plain / STEPS:.0f} µs, ratio {ours / plain:.2f}")
    assert ours / plain < LIMIT
