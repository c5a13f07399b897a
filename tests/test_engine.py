"""The training loop: resuming bit for bit, divergence, learning curves, what stays on another device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from zoo import checkpoint, nets, train
from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.dann import Dann
from zoo.bench.run import Results
from zoo.errors import Diverged
from zoo.learners import Learner
from zoo.task import Task
from zoo.vault.watch import Told


def data(n=90, shape=(1, 8, 8), dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    X = torch.rand(n, *shape, generator=g)
    return (255 * X).to(dtype) if dtype == torch.uint8 else X.to(dtype), torch.randint(3, (n,), generator=g)


class Dropping(Dann):
    """A method with every kind of state: a module, a running tensor, a number, random draws, a mean, and dropout."""

    refresh_every = 7
    ema = 0.9

    def setup(self, net, task):
        self.mean_, self.calls_ = torch.zeros(net.width), 0
        return nn.Sequential(super().setup(net, task), nn.Dropout(0.5))

    def refresh(self, net, task):
        self.centre_ = net.embed(task.Xt).mean(0)

    def omega(self, b):
        self.mean_ = 0.9 * self.mean_ + 0.1 * b.zt.detach().mean(0)
        self.calls_ += 1
        noise = torch.randn(b.zt.shape, generator=b.generator)
        drift = (b.zt + 0.1 * noise - self.mean_ - self.centre_).square().mean()
        return super().omega(b) + nn.functional.dropout(b.zs, 0.5).mean() + 0.1 * self.calls_ / 30 * drift


class Killed(Exception):
    pass


class Recording(Told):
    """Keeps the state after the step at which it is due, and, where asked, is killed there."""

    def __init__(self, at=None, state=None):
        super().__init__(lambda message: None, 0.0, state)
        self.at, self.states, self.told_of = at, {}, []

    def tell(self, step, steps, terms):
        super().tell(step, steps, terms)
        self.told_of.append(step)

    def keep(self, state):
        step = checkpoint.notes(state)["step"]
        self.states[step] = state
        if step == self.at:
            raise Killed


def fit(watch, optimiser="adam", net="cnn", method=None, dtype=torch.float32, labelled=True):
    Xs, ys = data(dtype=dtype)
    Xt, yt = data(seed=1, dtype=dtype)
    budget = train.Budget(steps=30, batch_size=8, optimiser=optimiser, momentum=0.9)
    fields = {"Xs": Xs, "ys": ys, "Xt": Xt} | ({"Xl": Xt[:9], "yl": yt[:9]} if labelled else {})
    method = method or Dropping()
    needs = method.needs | ({"Xl", "yl"} if labelled else set())
    learner = Learner(net=net, budget=budget, seed=3, use="net", watch=watch)
    method.fit(Task(fields, needs=needs, learner=learner, n_classes=3, seed=3))
    return method


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("at", [1, 13, 14, 29])
def test_a_killed_training_goes_on_bit_for_bit(at, optimiser):
    whole = Recording()
    expected = fit(whole, optimiser)
    first = Recording(at)
    with pytest.raises(Killed):
        fit(first, optimiser)
    torch.manual_seed(99)  # the global generator is elsewhere in another process
    second = Recording(state=first.states[at])
    found = fit(second, optimiser)
    for a, b in zip(expected.model_.state_dict().values(), found.model_.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(expected.mean_, found.mean_)
    assert found.calls_ == expected.calls_ == 30
    assert second.told_of == [s for s in whole.told_of if s > at], "the steps before were not done again"
    assert second.curves == whole.curves
    assert whole.curves["step"] == list(range(1, 31))


def test_augmented_views_go_on_too():
    """Crops and flips draw from generators of their own."""
    X, y = data(shape=(3, 16, 16), dtype=torch.uint8)
    budget = train.Budget(steps=8, batch_size=8, augment="crop_flip")

    class Small(nets.Net):
        def __init__(self):
            super().__init__()
            self.width, self.body, self.head = 4, nn.Linear(3 * 14 * 14, 4), nn.Linear(4, 3)

        def features(self, x):
            return self.body(x.float().flatten(1) / 255)

    def trained(watch):
        torch.manual_seed(0)
        net = Small()
        train.run(net, train.Streams(s=(X, y)), budget, watch=watch)
        return net

    first = Recording(5)
    with pytest.raises(Killed):
        trained(first)
    expected, found = trained(Recording()), trained(Recording(state=first.states[5]))
    assert all(torch.equal(a, b) for a, b in zip(expected.parameters(), found.parameters(), strict=True))


def test_a_state_of_another_network_is_refused():
    first = Recording(13)
    with pytest.raises(Killed):
        fit(first)
    with pytest.raises(RuntimeError, match="state_dict"):
        fit(Recording(state=first.states[13]), net="mlp")


def test_watching_changes_nothing():
    a, b = fit(Recording()), fit(None)
    assert all(torch.equal(x, y) for x, y in zip(a.model_.parameters(), b.model_.parameters(), strict=True))


class _NaN(DeepAdapter):
    """Ω that becomes NaN at step 12, or infinite."""

    def __init__(self, value=float("nan")):
        self.value = value

    def omega(self, b):
        return b.zs.mean() * 0 + (self.value if b.step == 12 else 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_is_seen_within_an_interval(value):
    Xs, ys = data()
    budget = train.Budget(steps=100, batch_size=8)  # an interval is 5 steps
    task = Task(
        {"Xs": Xs, "ys": ys, "Xt": Xs}, needs=_NaN.needs, n_classes=3, learner=Learner(net="cnn", budget=budget)
    )
    with pytest.raises(Diverged, match="by step 15"):
        _NaN(value).fit(task)


def test_the_loop_looks_at_the_device_once_an_interval(monkeypatch):
    """What waits for a device: item, tolist, bool, float, cpu and numpy of a tensor."""
    looks = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        plain = getattr(torch.Tensor, name)

        def spy(self, *args, plain=plain, name=name, **options):
            looks.append(name)
            return plain(self, *args, **options)

        monkeypatch.setattr(torch.Tensor, name, spy)
    Xs, ys = data()
    net = nets.build("cnn", (1, 8, 8), 3)
    method = Dann()
    extra = method.setup(net, None)
    streams = train.Streams(s=(Xs, ys), t=Xs, l=(Xs, ys))
    train.run(net, streams, train.Budget(steps=200, batch_size=8), method=method, modules=[extra])
    assert len([x for x in looks if x == "tolist"]) == 200 // 10
    assert set(looks) == {"tolist"}


def test_curves_are_the_loss_and_its_terms():
    watch = Recording()
    fit(watch, method=Dann())
    assert set(watch.curves) == {"step", "loss", "source", "target", "omega", "domain_accuracy"}
    terms = [sum(watch.curves[k][i] for k in ("source", "target", "omega")) for i in range(30)]
    assert np.allclose(terms, watch.curves["loss"], rtol=1e-3)  # an interval is one step here
    assert all(0 <= a <= 1 for a in watch.curves["domain_accuracy"])


def test_data_elsewhere_give_the_same_batches(monkeypatch):
    """Photographs that do not fit the device are gathered ahead by a thread."""
    X, y = data(40)
    streams = train.Streams(s=(X, y), t=X, ws=torch.rand(40))
    budget = train.Budget(steps=9, batch_size=8)
    device = torch.device("cpu")
    here = train.Feed(streams, budget, 0, device)
    monkeypatch.setattr(train.Feed, "is_here", lambda self, X: False)
    elsewhere = train.Feed(streams, budget, 0, device)
    assert elsewhere.thread is not None
    for i in range(9):
        a, b = vars(here(i)), vars(elsewhere(i))
        assert a.keys() == b.keys()
        for k in ("xs", "ys", "ids", "ws", "xt", "idt"):
            assert torch.equal(a[k], b[k])


def test_cuda_modes_are_left_as_they_were():
    before = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    cuda = torch.device("cuda")
    with train.modes(train.Budget(), cuda):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert torch.get_float32_matmul_precision() == "high"
    with train.modes(train.Budget(deterministic=False, precision="fp32"), cuda):
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
        assert torch.get_float32_matmul_precision() == "highest"
    assert (torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()) == before


@pytest.mark.faults  # the compiler takes half a minute
def test_compiled_is_the_same_training():
    Xs, ys = data()

    def trained(compile):
        torch.manual_seed(0)
        net = nets.build("mlp", (1, 8, 8), 3)
        # Not Adam, which makes steps of the rounding errors of a bias that batch norm takes away.
        budget = train.Budget(steps=10, batch_size=8, optimiser="sgd", learning_rate=0.1, compile=compile)
        train.run(net, train.Streams(s=(Xs, ys)), budget)
        assert "features" not in vars(net)
        return net

    for a, b in zip(trained(False).parameters(), trained(True).parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def lines(folder):
    return [json.loads(r) for f in folder.glob("records/*.jsonl") for r in f.read_text().splitlines()]


@pytest.mark.faults
def test_a_killed_command_goes_on_inside_its_cell(tmp_path):
    """``kill -9`` of the whole command while a network trains; its checkpoint is picked up by the same command."""
    command = [sys.executable, "-m", "zoo.cli", "run", "quickstart", "--methods", "dann", "--seeds", "1"]
    command += ["--pairs", "typeface:optdigits", "--steps", "600", "--workers", "1"]
    env = {**os.environ, "ZOO_CHECKPOINT": "0.3"}
    whole, out = tmp_path / "whole", tmp_path / "run"
    subprocess.run([*command, "--out", str(whole)], check=True, capture_output=True)
    process = subprocess.Popen([*command, "--out", str(out)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found, deadline = [], time.monotonic() + 120

    def late():
        return [f for f in found if checkpoint.notes(f.read_bytes())["step"] >= 200]

    while not late():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
        found = list(out.glob("checkpoints/*.safetensors"))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    again = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert Results(out).table(cost=False) == Results(whole).table(cost=False)
    key = {r["cell"]: (r["predictions_sha256"], r["curves"]) for r in lines(whole)}
    assert {r["cell"]: (r["predictions_sha256"], r["curves"]) for r in lines(out)} == key
    assert not list(out.glob("checkpoints/*")), "an ended cell leaves no checkpoint"


def test_records_hold_learning_curves(zoo, tmp_path):
    """Of every trained network; of source_only those of the source model, which it is."""
    options = ("--methods", "coral,dann,source_only", "--seeds", 1, "--steps", 40, "--pairs", "typeface:optdigits")
    assert zoo("run", "quickstart", *options, "--out", tmp_path / "run").code == 0
    for r in lines(tmp_path / "run"):
        trained = r["learner"] == "cnn"
        assert bool(r["curves"]) == trained, r["method"]
        if trained:
            assert r["curves"]["step"][-1] == 40
            assert ("domain_accuracy" in r["curves"]) == (r["method"] == "dann")
            assert r["curves"]["loss"][-1] < r["curves"]["loss"][0]


def test_a_network_with_nothing_to_move_is_unsupported():
    """A source-free method that holds the classifier, over features that are frozen: one line, not torch's."""
    from zoo.adapters.feature.shot import Shot
    from zoo.errors import Unsupported

    X, _ = data()
    learner = Learner(net="cnn", budget=train.Budget(steps=5, batch_size=16), use="net")
    net = nets.build("cnn", (1, 8, 8), 3).requires_grad_(False)
    task = Task({"Xt": X, "model": net}, needs=Shot.needs, learner=learner, n_classes=3)
    with pytest.raises(Unsupported, match="no weight is left to move"):
        Shot().fit(task)
