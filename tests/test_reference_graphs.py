"""Methods on graphs against their authors' code, written down with dense matrices and loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, log_expit

from zoo.adapters.relational.struct_reweight import StructReweight
from zoo.adapters.relational.udagcn import Udagcn
from zoo.check.graphs import toy_graphs
from zoo.graph import Graph
from zoo.learners import Learner
from zoo.nets import build
from zoo.nets._graphs import Graphs
from zoo.ops.convolution import adjacency
from zoo.task import Task
from zoo.train import Batch, Budget


def task_of(pair, method):
    fields, graphs = pair.fields("cpu", "net")
    budget = Budget(steps=60, batch_size=32, learning_rate=5e-3, precision="fp32")
    learner = Learner(net="gcn", budget=budget, use="net", seed=0, graphs=graphs)
    return Task(fields, needs=method.needs, learner=learner, n_classes=3, seed=0)


def domains_by_hand(
    z: np.ndarray, n: int, layers: list[tuple[np.ndarray, np.ndarray]], kept: np.ndarray | float = 1.0
) -> tuple[float, np.ndarray]:
    """Both domains' mean cross-entropies of a discriminator of one hidden layer, added, and the gradient in z.

    `kept` multiplies the hidden units: what dropout does.
    """
    (V, a), (w, b) = layers
    h = z @ V.T + a
    logit = (kept * np.maximum(h, 0)) @ w[0] + b[0]
    loss = -log_expit(logit[:n]).mean() - log_expit(-logit[n:]).mean()
    slope = np.concatenate([(expit(logit[:n]) - 1) / n, expit(logit[n:]) / (len(z) - n)])
    return loss, (slope[:, None] * w[0] * kept * (h > 0)) @ V


def seen_by(method, z: np.ndarray, n: int, progress: float, **more) -> tuple[float, np.ndarray]:
    """Ω of a batch, and its gradient in the features."""
    at = torch.from_numpy(z).requires_grad_()
    loss = method.omega(Batch(zs=at[:n], zt=at[n:], progress=progress, **more))
    (grad,) = torch.autograd.grad(loss, at)
    return float(loss.detach()), grad.numpy()


def layers_of(module) -> list[tuple[np.ndarray, np.ndarray]]:
    parameters = [p.detach().numpy() for p in module.parameters()]
    return list(zip(parameters[::2], parameters[1::2], strict=True))


@pytest.mark.reference(
    method="struct_reweight",
    source="Liu et al. 2023, StruRW-Adv; the authors' StruRW_Adv/models.py, train_nni.py and Utils/edge_rw.py",
    compared="the whole Ω and its gradient in the features for 5 source and 13 target nodes, over progress",
    differs="the suite's network; no labels of target validation nodes",
)
@pytest.mark.parametrize(("progress", "strength"), [(0.0, 0.0), (0.1, 0.1), (0.2, 0.2), (0.9, 0.2)])
def test_struct_reweight_omega_is_the_authors(progress, strength):
    method = StructReweight()
    method.setup(build("gcn", (), 3, graphs=Graphs(t=toy_graphs().At)), task_of(toy_graphs(), StructReweight))
    method.discriminator_.double()
    z = np.random.default_rng(0).normal(size=(18, 64))
    wanted, slope = domains_by_hand(z, 5, layers_of(method.discriminator_))
    loss, grad = seen_by(method, z, 5, progress)
    assert loss == pytest.approx(wanted)
    np.testing.assert_allclose(grad, -strength * slope, atol=1e-12)


def drawn(n: int, y: np.ndarray, B: np.ndarray, seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    edges = np.argwhere(np.triu(rng.random((n, n)) < B[y][:, y], 1))
    return Graph.build(edges, rng.normal(size=(n, 4)).astype(np.float32))


@pytest.mark.reference(
    method="struct_reweight",
    source="the authors' GCN_reweight (StruRW_Adv/models.py) and calculate_reweight (Utils/edge_rw.py)",
    compared="the source's reweighted propagation matrix, by loops; a pair of classes without target edges, one absent",
    differs="self-loops of the suite's network, which keep their weight",
)
def test_struct_reweight_multiplies_the_plain_graphs_messages():
    rng = np.random.default_rng(1)
    ys, guessed = rng.integers(0, 4, 40), rng.integers(0, 3, 60)  # the target is guessed to have no class 3
    B_s, B_t = np.full((4, 4), 0.3), np.full((4, 4), 0.15)
    B_t[0, 1] = B_t[1, 0] = 0  # no such edge in the target
    source, target = drawn(40, ys, B_s, 2), drawn(60, guessed, B_t, 3)
    A_s, A_t = np.zeros((40, 40)), np.zeros((60, 60))
    for A, g in ((A_s, source), (A_t, target)):
        for u, v in g.edges:
            A[u, v] = A[v, u] = 1
    degree = A_s.sum(1) + 1
    wanted = np.zeros((40, 40))
    for i in range(40):
        wanted[i, i] = 1 / degree[i]
        for j in np.flatnonzero(A_s[i]):
            with np.errstate(invalid="ignore"):
                p_s, p_t = (
                    A[np.ix_(y == ys[i], y == ys[j])].sum() / ((y == ys[i]).sum() * (y == ys[j]).sum())
                    for A, y in ((A_s, ys), (A_t, guessed))
                )
            ratio = p_t / p_s if np.isfinite(p_t / p_s) else 1.0
            wanted[i, j] = (0.5 + 0.5 * ratio) / np.sqrt(degree[i] * degree[j])

    class Guess:
        def predict(self, x):
            return torch.eye(4)[torch.from_numpy(guessed)]

    As, At = source.to("cpu"), target.to("cpu")
    fields = {"Xs": ~torch.arange(40), "ys": torch.from_numpy(ys), "Xt": torch.arange(60), "As": As, "At": At}
    budget = Budget(steps=60, batch_size=32, learning_rate=5e-3, precision="fp32")
    learner = Learner(net="gcn", budget=budget, use="net", seed=0, graphs=Graphs(s=As, t=At))
    task = Task(fields, needs=StructReweight.needs, learner=learner, n_classes=4, seed=0)
    method = StructReweight()
    net = build("gcn", (), 4, graphs=learner.graphs)
    method.setup(net, task)
    for _ in range(3):  # after 0, 20 and 40 of 60 steps: none has two thirds behind it
        assert (method.edges_ == 1).all()
        method.refresh(Guess(), task)
    method.refresh(Guess(), task)
    S = adjacency(replace(As, weights=method.edges_))
    np.testing.assert_allclose((S @ torch.eye(40)).numpy(), wanted, atol=1e-6)
    assert len(set(np.round(method.edges_.tolist(), 4))) > 4
    assert method.edges_.min() == 0.5  # such edges as the target lacks


@pytest.mark.reference(
    method="udagcn",
    source="Wu et al. 2020, sections 4.2 to 4.4; the authors' UDAGCN_demo.py",
    compared="the whole Ω and its gradient in the features for 5 source and 13 target nodes, over progress",
    differs="PPMI as the paper's; no term of the weights' means",
)
@pytest.mark.parametrize(("progress", "strength"), [(0.0, 0.0), (0.03, 0.03), (0.5, 0.05), (1.0, 0.05)])
def test_udagcn_omega_is_the_authors(progress, strength):
    method = Udagcn()
    pair = toy_graphs()
    method.setup(build("gcn", (), 3, graphs=Graphs(t=pair.At)), task_of(pair, Udagcn))
    method.discriminator_.double()
    rng = np.random.default_rng(0)
    z, lt = rng.normal(size=(18, 64)), rng.normal(size=(13, 3))
    p = np.exp(lt) / np.exp(lt).sum(1, keepdims=True)
    entropy, passed = -(p * np.log(p)).sum(1).mean(), []
    (drop,) = (m for m in method.discriminator_ if isinstance(m, torch.nn.Dropout))
    drop.register_forward_hook(lambda m, given, out: passed.append(out.detach().numpy() != 0))
    loss, grad = seen_by(method, z, 5, progress, lt=torch.from_numpy(lt))
    layers = layers_of(method.discriminator_)
    lit = z @ layers[0][0].T + layers[0][1] > 0
    assert 0.8 < passed[0][lit].mean() < 0.97  # theirs keeps nine tenths
    wanted, slope = domains_by_hand(z, 5, layers, passed[0] / 0.9)
    assert loss == pytest.approx(wanted + 0.01 * progress * entropy)
    np.testing.assert_allclose(grad, -strength * slope, atol=1e-12)
