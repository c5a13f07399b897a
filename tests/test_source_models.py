"""Source models trained as source-free methods need them: the loss, the classifier, and who shares which."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from zoo import discover
from zoo.bench.run import Benchmark
from zoo.errors import BadInput
from zoo.learners import Learner
from zoo.train import Budget

PLAIN, SMOOTHED = ("source_only", "t3a", "tent"), ("nrc", "shot")
PLUGIN = '''
from zoo.adapters.base import DeepAdapter


class Mine(DeepAdapter):
    """Does nothing on a source model of its own kind."""

    needs = {needs}
    source_model = {literal}

    def __init__(self) -> None:
        pass

    def omega(self, b):
        return b.zt.sum() * 0
'''


def reference(net, X, y, steps, rate, eps):
    """SGD on the smoothed cross-entropy of SHOT's CrossEntropyLabelSmooth, with a weight-normed classifier by hand."""
    hidden, norm, head = net.body[1], net.body[2], net.head
    w, b, scale, shift = (p.detach().clone().double() for p in (hidden.weight, hidden.bias, norm.weight, norm.bias))
    v = head.direction.detach().clone().double()
    g, c = v.norm(dim=1, keepdim=True), head.bias.detach().clone().double()
    moving = [w, b, scale, shift, g, v, c]
    targets = torch.full((len(y), len(c)), eps / len(c), dtype=torch.double)
    targets[range(len(y)), y] += 1 - eps
    losses = []
    for _ in range(steps):
        for p in moving:
            p.requires_grad_(True)
        h = X.double() @ w.T + b
        h = (h - h.mean(0)) / (h.var(0, correction=0) + norm.eps).sqrt() * scale + shift
        logits = h.relu() @ (g * v / v.square().sum(1, keepdim=True).sqrt()).T + c
        loss = (-targets * (logits - logits.logsumexp(1, keepdim=True))).mean(0).sum()
        losses.append(loss.item())
        found = torch.autograd.grad(loss, moving)
        with torch.no_grad():
            moving = [p.detach() - rate * d for p, d in zip(moving, found, strict=True)]
        w, b, scale, shift, g, v, c = moving
    return losses, g * v / v.norm(dim=1, keepdim=True)


@pytest.mark.reference(
    method="shot",
    source="Liang et al. 2020; tim-learn/SHOT: object/image_source.py, loss.py, network.py (wn)",
    compared="eight steps of the source model: losses under smoothed labels, and the weight-normed classifier",
    differs="the network is the suite's, and the source's 90/10 split for the best epoch is left out",
)
@pytest.mark.reference(
    method="nrc",
    source="Yang et al. 2021; Albert0147/NRC_SFDA: train_src.py",
    compared="the same as for shot: theirs is SHOT's source model",
    differs="the network is the suite's, and the last state is kept, not the best on the source",
)
def test_a_smoothed_weight_normed_source_model_is_the_authors():
    generator = torch.Generator().manual_seed(0)
    X, y = torch.randn(20, 5, generator=generator), torch.arange(20) % 4
    told = []

    class Watching:
        begin, due = (lambda self: None), (lambda self: False)

        def tell(self, step, steps, terms):
            told.append(terms["source"])

    def learner(steps, rate):
        budget = Budget(steps=steps, optimiser="sgd", learning_rate=rate, schedule="constant", label_smoothing=0.1)
        return Learner(budget=budget, use="net", backbone={"weight_norm": True}, watch=Watching())

    start = learner(1, 0.0).fit(X, y, 4)
    told.clear()
    got = learner(8, 0.3).fit(X, y, 4)
    losses, weight = reference(start, X, y, 8, 0.3, 0.1)
    assert told == pytest.approx(losses, rel=1e-5)
    torch.testing.assert_close(got.head.weight.detach().double(), weight, rtol=1e-4, atol=1e-6)
    assert not np.allclose(losses, reference(start, X, y, 8, 0.3, 0.0)[0], rtol=0.01)


@pytest.fixture
def planned(server, surf, suite_file):
    def call(methods, **options):
        given = {"methods": list(methods), "data_root": surf, "executor": "local"}
        return Benchmark(str(suite_file), **given | options)

    return call


def keys(benchmark):
    """Keys of source models by method, each by source and seed."""
    found = {}
    for c in benchmark.plan.cells:
        if c.use == "net":
            found.setdefault(c.row.label, {})[c.source, c.seed] = c.model
    return found


def test_methods_of_equal_needs_share_a_source_model(planned, tmp_path):
    benchmark = planned((*PLAIN, *SMOOTHED), out=tmp_path / "run", steps=150)
    by = keys(benchmark)
    frame = benchmark.run().frame()
    benchmark.close()
    assert by["tent"] == by["t3a"] == by["source_only"]
    assert by["shot"] == by["nrc"]
    plain, smoothed = set(by["tent"].values()), set(by["shot"].values())
    assert not plain & smoothed
    assert {p.stem for p in (tmp_path / "run" / "cache").glob("*.npz")} == plain | smoothed
    assert set(frame[frame.method.isin(PLAIN + SMOOTHED)].status) == {"ok"}
    for key in plain | smoothed:
        with np.load(tmp_path / "run" / "cache" / f"{key}.npz") as arrays:
            assert ("head.weight" in arrays) == (key in plain)
            assert ("head.length" in arrays) == (key in smoothed)
            n = len(arrays["head.bias"])
            losses = np.array(json.loads(str(arrays["__curves__"]))["loss"])
        rest = 0.1 / n
        least = -(0.9 + rest) * math.log(0.9 + rest) - (n - 1) * rest * math.log(rest)  # the smoothed labels' entropy
        assert (losses[-1] > least) == (key in smoothed), (losses[-1], least)


def test_what_a_source_model_needs_decides_the_cell_and_the_artefact(planned, tmp_path):
    file, ids, models = tmp_path / "mine.py", [], []
    for literal in ("{}", "{'label_smoothing': 0.1, 'weight_norm': True}", "{'label_smoothing': 0.2}"):
        file.write_text(PLUGIN.format(needs="{'model', 'Xt'}", literal=literal))
        benchmark = planned(["source_only", "shot", "mine"], plugins=[file])
        benchmark.close()
        ids.append({c.id for c in benchmark.plan.cells if c.row.label == "mine"})
        models.append(keys(benchmark))
    assert not (ids[0] & ids[1] | ids[1] & ids[2] | ids[0] & ids[2])
    assert models[0]["mine"] == models[0]["source_only"]
    assert models[1]["mine"] == models[1]["shot"]
    assert not set(models[2]["mine"].values()) & {*models[2]["shot"].values(), *models[2]["source_only"].values()}


@pytest.mark.parametrize(
    ("needs", "literal", "says"),
    [
        ("{'Xs', 'ys', 'Xt'}", "{'label_smoothing': 0.1}", "it gets none, as its needs do not name 'model'"),
        ("{'model', 'Xt'}", "{'label_smoothing': 1.0}", "label_smoothing is a float from 0.0 to below 1.0, got 1.0"),
        ("{'model', 'Xt'}", "{'label_smoothing': 'a'}", "label_smoothing is a float from 0.0 to below 1.0, got 'a'"),
        ("{'model', 'Xt'}", "{'weight_norm': 1}", "weight_norm is True or False, got 1"),
        ("{'model', 'Xt'}", "{'smoothing': 0.1}", "there are label_smoothing and weight_norm, not 'smoothing'"),
        ("{'model', 'Xt'}", "0.1", "has to be a dict literal"),
    ],
)
def test_an_odd_need_is_bad_input(tmp_path, needs, literal, says):
    (tmp_path / "mine.py").write_text(PLUGIN.format(needs=needs, literal=literal))
    with pytest.raises(BadInput, match="mine.py:9: .*" + says):
        discover.methods([tmp_path / "mine.py"])
