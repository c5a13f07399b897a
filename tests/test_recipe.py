"""What a suite's recipe and a method's literals do to the optimiser and to the batches."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zoo import feed, nets, train
from zoo.bench.suite import load
from zoo.errors import BadInput
from zoo.nets._torchvision import Backbone
from zoo.ops.adversary import beside

SUITE = "dataset: office31\nnet: mobilenet_v2\nmethods: [source_only]\n"


@pytest.mark.parametrize(
    ("more", "rate"),
    [
        ("weights: default\ntrainable: all\n", 0.1),
        ("weights: default\ntrainable: 'top:2'\nfeatures: source\n", 0.1),
        ("weights: default\ntrainable: head\n", 1.0),
        ("", 1.0),
        ("weights: default\ntrainable: all\nbackbone_rate: 0.3\n", 0.3),
    ],
)
def test_a_pretrained_backbone_that_is_trained_has_a_tenth_of_the_rate(tmp_path, more, rate):
    (tmp_path / "s.yaml").write_text(SUITE + more)
    assert load(str(tmp_path / "s.yaml"), {}).net_budget["backbone_rate"] == rate


@pytest.mark.parametrize("more", ["", "optimiser: sgd\n", "momentum: 0.9\n"])
def test_nesterov_without_momentum_is_bad_input(tmp_path, more):
    (tmp_path / "s.yaml").write_text(SUITE + "nesterov: true\n" + more)
    with pytest.raises(BadInput, match="nesterov"):
        load(str(tmp_path / "s.yaml"), {})


def test_the_end_to_end_suite_has_the_fields_recipe():
    budget = train.Budget(**load("office31_end_to_end", {}).net_budget)
    asked = ("optimiser", "learning_rate", "momentum", "nesterov", "weight_decay", "schedule", "backbone_rate")
    assert [getattr(budget, k) for k in asked] == ["sgd", 0.01, 0.9, True, 1e-3, "annealed", 0.1]
    net = Backbone("mobilenet_v2", 3, bottleneck=8)
    opt = train.optimiser(train.slower(train.parts(net, []), net, 0.1), budget, torch.device("cpu"), beta1=0.5)
    rate = {id(p): g["lr"] for g in opt.param_groups for p in g["params"]}
    assert {rate[id(p)] for p in net.body.parameters()} == {0.01 * 0.1}
    assert {rate[id(p)] for m in (net.neck, net.head) for p in m.parameters()} == {0.01}
    assert all(g["nesterov"] and g["momentum"] == 0.9 for g in opt.param_groups)


def test_the_annealed_schedule_is_ganins(monkeypatch):
    seen, plain = [], train._set_rate

    def spy(opt, *rest):
        plain(opt, *rest)
        seen.append([g["lr"] for g in opt.param_groups])

    monkeypatch.setattr(train, "_set_rate", spy)
    net = nets.build("mlp", (4,), 3)
    method = SimpleNamespace(rates={"features": 1.0, "head": 2.0, "extra": 0.5}, omega=lambda b: b.zs.sum() * 0)
    budget = train.Budget(steps=4, batch_size=4, learning_rate=0.02, schedule="annealed")
    streams = train.Streams(s=(torch.randn(8, 4), torch.arange(8) % 3))
    train.run(net, streams, budget, method=method, modules=[nn.Linear(2, 2)])
    for i, rates in enumerate(seen):
        assert rates == pytest.approx([0.02 * k / (1 + 10 * i / 4) ** 0.75 for k in (1, 2, 0.5)])


def test_a_parameter_of_two_modules_is_in_one_group():
    net = nets.build("mlp", (4,), 3)
    groups = train.parts(net, [net, net.head, nn.Linear(2, 2)])
    own = [id(p) for g in groups for p in g["params"]]
    assert len(own) == len(set(own)) == len(list(net.parameters())) + 2


@pytest.mark.parametrize(("n", "size"), [(5, 5), (1, 2), (8, 8), (19, 8), (64, 8)])
def test_batches_hold_no_row_twice(n, size):
    """A stream with fewer rows than a batch gives all its rows (a single one twice), any other distinct ones."""
    rows = feed._draw(n, train.Budget(steps=50, batch_size=8), torch.device("cpu"), 0, "s")
    assert rows.shape == (50, size)
    assert all(len(set(r)) == min(n, size) for r in rows.tolist())
    counts = rows.flatten().bincount(minlength=n).double()
    assert counts.min() > 0.4 * counts.mean(), "what an epoch leaves out differs from epoch to epoch"


def test_balanced_batches_hold_as_many_of_each_class():
    y = torch.tensor([0] * 40 + [1] * 3 + [2] * 17)
    budget = train.Budget(steps=30, batch_size=10)
    rows = feed._draw_balanced(y, budget, torch.device("cpu"), 0)
    assert all(y[r].bincount().tolist() == [3, 3, 3] for r in rows)
    assert all(len(set(r.tolist())) == 9 for r in rows)
    many = torch.arange(50) % 25
    rows = feed._draw_balanced(many, budget, torch.device("cpu"), 0)
    assert rows.shape == (30, 10)
    assert all(len(set(many[r].tolist())) == 10 for r in rows)
    assert set(many[rows.flatten()].tolist()) == set(range(25))


def test_the_discriminator_beside_a_network_is_the_literatures():
    """2 × 1,024 with dropout .5, Glorot's normal weights; beside small images 1 × 100."""
    layers = list(beside(nets.build("mlp", (4,), 3), 256))
    assert [type(m).__name__ for m in layers] == ["Linear", "ReLU", "Dropout"] * 2 + ["Linear", "Flatten"]
    linear = [m for m in layers if isinstance(m, nn.Linear)]
    assert [m.out_features for m in linear] == [1024, 1024, 1]
    assert layers[2].p == 0.5
    for m in linear[:2]:
        assert float(m.weight.detach().std()) == pytest.approx(
            math.sqrt(2 / (m.in_features + m.out_features)), rel=0.02
        )
        assert float(m.bias.detach().abs().max()) == 0
    for name in ("cnn", "lenet"):
        small = [m for m in beside(nets.build(name, (1, 16, 16), 3), 128) if isinstance(m, nn.Linear)]
        assert [m.out_features for m in small] == [100, 1]


def test_labels_of_the_source_are_smoothed():
    net, method = nets.build("mlp", (4,), 3), SimpleNamespace(label_smoothing=0.1, omega=lambda b: b.ls.sum() * 0)
    ls, ys = torch.randn(6, 3), torch.arange(6) % 3
    b = train.Batch(ls=ls, ys=ys, ws=None, method=method, penalty=None)
    smooth = 0.9 * torch.eye(3)[ys] + 0.1 / 3
    expected = -(smooth * ls.log_softmax(1)).sum(1).mean()
    assert float(train.objective(net, b)) == pytest.approx(float(expected), rel=1e-5)


def test_a_running_mean_is_what_the_network_ends_with():
    X, y = torch.randn(40, 4), torch.arange(40) % 3
    method, seen = SimpleNamespace(ema=0.6, omega=lambda b: b.zs.sum() * 0), []

    def step(net, opt, b):
        loss = train.descend(net, opt, b)
        seen.append(net.head.weight.detach().clone())
        return loss

    method.step = step
    net = nets.build("mlp", (4,), 3)
    mean = net.head.weight.detach().clone()
    train.run(net, train.Streams(s=(X, y)), train.Budget(steps=12, batch_size=8), method=method)
    for i, w in enumerate(seen):
        keep = min(0.6, (1 + i) / (10 + i))
        mean = keep * mean + (1 - keep) * w
    assert not torch.allclose(seen[-1], mean)
    torch.testing.assert_close(net.head.weight.detach(), mean, rtol=1e-4, atol=1e-6)
