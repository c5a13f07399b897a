"""Device tests without a GPU: a tensor made without a device meets the meta device, and raises."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zoo import discover, nets, train
from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.dann import Dann
from zoo.graph import Graph
from zoo.nets._graphs import Graphs

DEEP = {n: discover.load(m) for n, m in discover.methods().items() if m.kind == "deep"}
ON_GRAPHS = {n for n, cls in DEEP.items() if cls.needs & {"As", "At"}}
MOVES = sorted(n for n, cls in DEEP.items() if not cls.host_sync)  # the others' plans are tested with their methods
SHAPES = {"mlp": (5,), "cnn": (1, 8, 8)}
NOT_ON_GRAPHS = {"vada", "fixmatch", "tent"}  # the first two change samples, and the network has no batch norm


def rehearse(
    method: DeepAdapter, net_name: str, forward: str | None = None, labelled: bool = True
) -> list[torch.Tensor]:
    """Two steps of the training loop on the meta device; returns what moved.

    No device context and no patched default: only what the adapter makes itself could end elsewhere.
    """
    shape, n = SHAPES.get(net_name, ()), 12
    graph = Graph(torch.empty(20, 2, dtype=torch.int64, device="meta"), torch.empty(n, 5, device="meta"))
    options = {"graphs": Graphs(graph, graph)} if net_name == "gcn" else {}
    net = nets.build(net_name, shape, 3, **options).to("meta")

    def rows(*size: int) -> torch.Tensor:
        return torch.empty(n, *size, device="meta", dtype=torch.int64 if options else None)

    def labels() -> torch.Tensor:
        return torch.empty(n, dtype=torch.int64, device="meta")

    if forward:
        method.forward = forward
    X, y = rows(*shape), labels()
    task = SimpleNamespace(
        device=torch.device("meta"), n_classes=3, generator=None, model=copy.deepcopy(net), Xs=X, ys=y, Xt=X, Xl=X, yl=y
    )
    vars(task).update(
        ds=labels(), n_sources=2, As=graph, At=graph, learner=SimpleNamespace(budget=train.Budget(steps=0))
    )
    extra = method.setup(net, task)
    net.to("meta")
    modules = [] if extra is None else [extra.to("meta")]
    streams = train.Streams(
        s=(rows(*shape), labels()) if "Xs" in method.needs else None,
        t=rows(*shape),
        l=(rows(*shape), labels()) if labelled else None,
    )
    if "ds" in method.needs:
        streams.ds, streams.n_sources = task.ds, task.n_sources
    budget = train.Budget(steps=2, batch_size=8)
    train.run(net, streams, budget, method=method, task=task, modules=modules)
    grads = [p.grad for m in (net, *modules) for p in m.parameters() if p.requires_grad]
    # A method with steps of its own moves its parts in turn, and leaves the gradients of the last.
    return [g for g in grads if g is not None] if hasattr(method, "step") else grads


# Each under its own forward pass in every run; the other one is a matter of the engine.
PASSES = [
    pytest.param(name, forward, marks=() if forward == DEEP[name].forward else pytest.mark.faults)
    for name in MOVES
    for forward in ("joint", "separate")
    if name not in ON_GRAPHS
]


@pytest.mark.parametrize("net", SHAPES)
@pytest.mark.parametrize(("method", "forward"), PASSES)
def test_on_meta(method, forward, net):
    grads = rehearse(DEEP[method](), net, forward)
    assert grads
    assert all(g is not None and g.device.type == "meta" for g in grads)


@pytest.mark.parametrize("method", sorted(set(MOVES) - NOT_ON_GRAPHS))
def test_on_graphs(method):
    """Every penalty of the zoo runs on nodes of graphs as it is."""
    grads = rehearse(DEEP[method](), "gcn")
    assert grads
    assert all(g is not None and g.device.type == "meta" for g in grads)


@pytest.mark.parametrize("method", [name for name in MOVES if "Xl" not in DEEP[name].needs and name not in ON_GRAPHS])
def test_needs_no_labelled_target(method):
    assert all(g is not None for g in rehearse(DEEP[method](), "mlp", labelled=False))


class _OmegaOnTheCpu(DeepAdapter):
    def omega(self, b: train.Batch) -> torch.Tensor:
        return (b.zs.mean(0)[:3] + torch.zeros(3)).sum()


class _TargetsOnTheCpu(Dann):
    def omega(self, b: train.Batch) -> torch.Tensor:
        logits = self.discriminator_(torch.cat([b.zs, b.zt]))
        return nn.functional.binary_cross_entropy_with_logits(logits, torch.ones(len(logits)))


class _ModuleNotReturned(Dann):
    def setup(self, net: nets.Net, task: object) -> None:
        super().setup(net, task)


@pytest.mark.parametrize("wrong", [_OmegaOnTheCpu, _TargetsOnTheCpu, _ModuleNotReturned])
def test_the_test_fails_where_it_should(wrong):
    with pytest.raises((RuntimeError, ValueError), match=r"meta|device"):
        rehearse(wrong(), "mlp")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", [name for name in MOVES if name not in ON_GRAPHS])
def test_on_cuda(method, precision):
    g = torch.Generator().manual_seed(0)
    net = nets.build("mlp", (5,), 3).cuda()
    X, y = torch.randn(40, 5, generator=g).cuda(), (torch.arange(40) % 3).cuda()
    adapter = DEEP[method]()
    task = SimpleNamespace(device=torch.device("cuda"), n_classes=3, generator=None, model=copy.deepcopy(net))
    extra = adapter.setup(net, task)
    modules = [] if extra is None else [extra.cuda()]
    budget = train.Budget(steps=3, batch_size=16, precision=precision)
    train.run(net, train.Streams(s=(X, y), t=X + 1), budget, method=adapter, task=task, modules=modules)
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())
