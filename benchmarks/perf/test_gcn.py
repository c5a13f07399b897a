"""An epoch of graph convolutions, forward, backward and the optimiser's step over the whole graph, on one CPU thread.

``pytest benchmarks/perf/test_gcn.py -s`` prints seconds (the least of three, of this process's CPU) for dense features
and for sparse ones, as words are. 50,000 nodes, 500,000 edges; the network is the zoo's ``gcn``.
"""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.nn.functional import cross_entropy

from zoo import nets, train
from zoo.graph import Graph
from zoo.nets._graphs import Graphs
from zoo.train import Budget

NODES, EDGES, CLASSES, LIMIT = 50_000, 500_000, 5, 6.0  # yardsticks


def features(kind):
    rng = np.random.default_rng(0)
    if kind == "dense":
        return rng.normal(size=(NODES, 128)).astype(np.float32)
    return sparse.random(NODES, 7000, density=0.004, format="csr", dtype=np.float32, random_state=rng)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_epoch(kind, figure, yardstick):
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    graph = Graph.build(rng.integers(NODES, size=(int(EDGES * 1.001), 2)), features(kind))
    graph = replace(graph, edges=graph.edges[rng.permutation(len(graph.edges))[:EDGES]])
    assert len(graph.edges) == EDGES
    start = time.process_time()
    graphs = Graphs(t=graph.to("cpu"))
    graphs.matrix("t")
    graphs.x("t")
    once = time.process_time() - start
    net = nets.build("gcn", (), CLASSES, graphs=graphs).train()
    opt = train.optimiser([{"params": list(net.parameters())}], Budget(), torch.device("cpu"))
    x, y = torch.arange(NODES), torch.from_numpy(rng.integers(CLASSES, size=NODES))
    seconds = []
    for _ in range(4):  # the first warms up
        start = time.process_time()
        loss = cross_entropy(net(x), y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        seconds.append(time.process_time() - start)
    print(f"\n{kind}: {min(seconds[1:]):.2f} s an epoch, {once:.2f} s once for the matrices")
    figure(min(seconds[1:]) / yardstick, LIMIT, "epoch")
