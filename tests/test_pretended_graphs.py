"""Methods on graphs on the pretended GPU: as on the CPU, but for dropout, whose masks come in an order of its own."""

from __future__ import annotations

import pytest
import torch

from tests.test_pretended_cuda import CPU, CUDA, METHODS, pretended
from zoo import discover
from zoo.check.graphs import toy_graphs
from zoo.learners import Learner
from zoo.nets import gcn
from zoo.task import Task
from zoo.train import Budget

ON_GRAPHS = [name for name, info in METHODS.items() if info.needs & {"As", "At"}]


def scores(name, device):
    info, pair = METHODS[name], toy_graphs(n_s=60, n_t=60)
    use = "net" if info.kind == "deep" else "base"
    fields, graphs = pair.fields(device, use)
    budget = Budget(steps=6, batch_size=16, learning_rate=5e-3, precision="fp32")
    learner = Learner(net="gcn", budget=budget, use=use, device=device, graphs=graphs)
    task = Task(fields, needs=info.needs, learner=learner, n_classes=3, device=device, seed=0)
    method = discover.load(info)().fit(task)
    with torch.no_grad():
        return method.predict(pair.X.to(device), pair.At.to(device)).detach().double().cpu()


@pytest.mark.parametrize("name", ON_GRAPHS)
def test_every_method_on_graphs_as_on_the_cpu(name, monkeypatch):
    monkeypatch.setattr(gcn, "DROPOUT", 0.0)
    with pretended():
        there = scores(name, CUDA)
    torch.testing.assert_close(there, scores(name, CPU), rtol=1e-4, atol=1e-4)
    assert METHODS[name].kind != "deep" or float(there.std()) > 1e-4
