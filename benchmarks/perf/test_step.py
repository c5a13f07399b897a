"""A training step of the engine against a bare PyTorch loop of the same arithmetic, with fused Adam, in one process.

The bare loops are what one would write by hand: no harness, no contract, no checks, no curves. They call the same
functions for Ω, so that the ratio is the engine's alone; what the penalties cost is the second test.
"""

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from zoo import nets
from zoo.adapters.feature.cdan import Cdan
from zoo.adapters.feature.dan import Dan
from zoo.adapters.feature.dann import Dann
from zoo.adapters.feature.jan import Jan
from zoo.learners import Learner
from zoo.ops.mmd import mmd2, multi_gaussian
from zoo.ops.multilinear import certainty, outer
from zoo.ops.reversal import reverse, warm_up
from zoo.task import Task
from zoo.train import Budget

LIMIT, LIMIT_MMD = 1.05, 1.3
BATCH, CLASSES, ROUNDS = 64, 10, 5
SHAPES, STEPS = {"mlp": (800,), "lenet": (1, 28, 28)}, {"mlp": 1000, "lenet": 60}
METHODS = {"source_only": None, "dan": Dan, "dann": Dann, "cdan": Cdan, "jan": Jan}
GRID = [(n, m) for n in SHAPES for m in ("source_only", "dan", "dann", "cdan")]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def samples(net):
    g = torch.Generator().manual_seed(0)
    shape = SHAPES[net]
    return (
        torch.randn(1000, *shape, generator=g),
        torch.randint(CLASSES, (1000,), generator=g),
        torch.randn(900, *shape, generator=g),
    )


def layers(net):
    """The arithmetic of ``zoo/nets/NET.py``."""
    if net == "mlp":
        return nn.Sequential(nn.Linear(800, 256), nn.BatchNorm1d(256), nn.ReLU()), nn.Linear(256, CLASSES)
    f1 = nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(20, 50, 5), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(),
        nn.Linear(800, 500), nn.ReLU(), nn.Dropout(0.5),
    )  # fmt: skip
    return f1.to(memory_format=torch.channels_last), nn.Linear(500, CLASSES)


def bare(net, method, Xs, ys, Xt):
    f1, f2 = layers(net)
    hidden, width = {"dann": (100, f2.in_features), "cdan": (256, 1024)}.get(method, (0, 0))
    if method == "cdan" and f2.in_features * CLASSES <= 4096:
        width = f2.in_features * CLASSES
    disc = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1)) if width else nn.Identity()
    maps = torch.randn(f2.in_features, width), torch.randn(CLASSES, width)
    parameters = [p for part in (f1, f2, disc) for p in part.parameters()]
    steps, opt = STEPS[net], torch.optim.Adam(parameters, lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    is_source = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])
    for i in range(steps):
        rows, others = torch.randint(len(Xs), (BATCH,)), torch.randint(len(Xt), (BATCH,))
        if method == "source_only":
            loss = cross_entropy(f2(f1(Xs[rows])), ys[rows])
        elif method == "dann":
            zs, zt = f1(Xs[rows]), f1(Xt[others])
            f2(zt)
            domain = disc(reverse(torch.cat([zs, zt]), warm_up(i / steps))).flatten()
            loss = cross_entropy(f2(zs), ys[rows]) + binary_cross_entropy_with_logits(domain, is_source)
        else:
            z = f1(torch.cat([Xs[rows], Xt[others]]))
            logits = f2(z)
            loss = cross_entropy(logits[:BATCH], ys[rows])
            if method == "dan":
                loss = loss + mmd2(multi_gaussian(z), BATCH) + mmd2(multi_gaussian(logits.softmax(1)), BATCH)
            else:
                z, p = reverse(z, warm_up(i / steps)), logits.detach().softmax(1)
                joint = outer(z, p) if z.shape[1] * CLASSES <= 4096 else (z @ maps[0]) * (p @ maps[1]) / width**0.5
                loss = loss + binary_cross_entropy_with_logits(disc(joint).flatten(), is_source, certainty(p, BATCH))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        schedule.step()


def engine(net, method, Xs, ys, Xt):
    learner = Learner(net=net, use="net", budget=Budget(steps=STEPS[net], batch_size=BATCH))
    if METHODS[method] is None:
        learner.fit(Xs, ys, CLASSES)
        return
    task = Task({"Xs": Xs, "ys": ys, "Xt": Xt}, needs=Dann.needs, n_classes=CLASSES, learner=learner)
    METHODS[method]().fit(task)


def alternate(benchmark, *functions):
    """Best seconds of each, run one after the other in turn, so that a busy machine slows all."""
    times = []

    def turn():
        took = []
        for f in functions:
            start = time.perf_counter()
            f()
            took.append(time.perf_counter() - start)
        times.append(took)

    benchmark.pedantic(turn, rounds=ROUNDS, warmup_rounds=1)
    times = times[1:]
    return [min(t[i] for t in times) for i in range(len(functions))]


@pytest.mark.parametrize(("net", "method"), GRID)
def test_step(benchmark, figure, net, method):
    data = samples(net)
    plain, ours = alternate(benchmark, lambda: bare(net, method, *data), lambda: engine(net, method, *data))
    print(f"\n{net} {method}: {1e6 * ours / STEPS[net]:.0f} µs a step, bare loop {1e6 * plain / STEPS[net]:.0f} µs")
    figure(ours / plain, LIMIT)


@pytest.mark.parametrize("net", SHAPES)
def test_mmd_step(benchmark, figure, net):
    data = samples(net)
    times = alternate(benchmark, *(lambda m=m: engine(net, m, *data) for m in ("dann", "dan", "jan")))
    dan, jan = times[1] / times[0], times[2] / times[0]
    print(
        f"\n{net}: a dan step is {dan:.2f}, a jan step {jan:.2f} of a dann step ({1e6 * times[0] / STEPS[net]:.0f} µs)"
    )
    figure(max(dan, jan), LIMIT_MMD)


@pytest.mark.parametrize("net", SHAPES)
def test_floor(benchmark, net):
    """Operations and bytes of a dann step, and the time below which no loop can do them on this machine.

    Operations: matrix products and convolutions, forward and backward. Bytes: fused Adam reads a parameter, its
    gradient and two moments and writes three of them back; backward writes the gradient, forward and backward read
    the parameter. Both rates are measured here, on one thread: a product of 1024³, a copy of 256 MB.
    """
    Xs, ys, Xt = samples(net)
    model = nets.build(net, SHAPES[net], CLASSES)
    method = Dann()
    disc = method.setup(model, SimpleNamespace(n_classes=CLASSES))
    counter = FlopCounterMode(display=False)
    with counter:
        zs, zt = model.features(Xs[:BATCH]), model.features(Xt[:BATCH])
        logits = disc(torch.cat([zs, zt]))
        (cross_entropy(model.head(zs), ys[:BATCH]) + logits.square().mean()).backward()
    n_bytes = 4 * 10 * sum(p.numel() for m in (model, disc) for p in m.parameters())
    A, big = torch.randn(1024, 1024), torch.randn(32 * 2**20)
    product, copy = alternate(benchmark, lambda: A @ A, lambda: big.clone())
    compute, memory = counter.get_total_flops() / (2 * 1024**3 / product), n_bytes / (2 * 4 * big.numel() / copy)
    start = time.perf_counter()
    engine(net, "dann", Xs, ys, Xt)
    step = (time.perf_counter() - start) / STEPS[net]
    print(
        f"\n{net} dann: {counter.get_total_flops() / 1e6:.0f} M operations ({1e6 * compute:.0f} µs at "
        f"{2 * 1024**3 / product / 1e9:.0f} GFLOP/s), {n_bytes / 1e6:.1f} MB ({1e6 * memory:.0f} µs); "
        f"a step takes {1e6 * step:.0f} µs"
    )
    assert max(compute, memory) < step
