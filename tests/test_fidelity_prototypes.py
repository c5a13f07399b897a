"""Graphs of class prototypes: each part against loops, closed forms, or what its paper proves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import nn

from tests.test_fidelity_samples import C, batch, draw, fit, network
from zoo.adapters.relational.prototype_graph import PrototypeGraph, affinity, disagreement, heard, means, nodes
from zoo.train import Batch


def test_messages_are_a_loop():
    P, Z = draw(6, 4).numpy(), draw(5, 4, seed=1).numpy()
    cosine = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)  # noqa: E731
    passed = np.zeros_like(P)
    for i in range(6):
        edges = {j: np.exp((cosine(P[i], P[j]) - 1) / 0.3) for j in range(6) if j != i}
        passed[i] = 0.6 * P[i] + 0.4 * sum(a * P[j] for j, a in edges.items()) / sum(edges.values())
    np.testing.assert_allclose(nodes(torch.from_numpy(P), 0.4, 0.3), passed, rtol=1e-9)
    A = np.array([[np.exp((cosine(z, p) - 1) / 0.3) for p in P] for z in Z])
    np.testing.assert_allclose(affinity(torch.from_numpy(Z), torch.from_numpy(P), 0.3), A, rtol=1e-9)
    expected = [0.6 * z + 0.4 * np.average(passed, axis=0, weights=a) for z, a in zip(Z, A, strict=True)]
    found = heard(torch.from_numpy(Z), torch.from_numpy(A), torch.from_numpy(passed), 0.4)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_nodes_of_one_direction_agree_and_alpha_0_says_nothing():
    P = draw(6, 4)
    torch.testing.assert_close(nodes(P, 0.0, 0.1), P)
    same = draw(1, 4).expand(6, 4)
    torch.testing.assert_close(nodes(same, 0.9, 0.1), same)
    sharp = nodes(torch.cat([P[:3], P[:3] * 2]), 1.0, 1e-3)  # each hears its own double only
    torch.testing.assert_close(sharp, torch.cat([P[:3] * 2, P[:3]]))


def test_disagreement_is_a_loop_over_blocks():
    A = affinity(draw(6, 4), draw(6, 4), 0.3)
    expected = 0.0
    for i in range(3):
        for j in range(3):
            ss, tt, st = A[i, j], A[3 + i, 3 + j], A[i, 3 + j]
            expected += float((ss - tt) ** 2 + (st - ss) ** 2 + (st - tt) ** 2) / 27
    assert disagreement(A).item() == pytest.approx(expected)
    P = draw(3, 4)
    assert disagreement(affinity(torch.cat([P, 5 * P]), torch.cat([P, 5 * P]), 0.3)).item() < 1e-20


def test_prototypes_are_class_means():
    z, y = draw(8, 3), torch.tensor([0, 1, 1, 3, 0, 1, 3, 3])
    found, mass = means(z, torch.eye(4).double()[y])
    assert mass.tolist() == [2, 3, 0, 3]
    for c in range(4):
        expected = z[y == c].mean(0) if bool((y == c).any()) else torch.zeros(3).double()
        torch.testing.assert_close(found[c], expected)


@pytest.mark.parametrize(
    "f", [lambda x: disagreement(affinity(x, x, 0.3)), lambda x: nodes(x, 0.5, 0.3).square().sum()]
)
def test_graph_gradcheck(f):
    assert torch.autograd.gradcheck(f, draw(6, 4).requires_grad_())


def test_following_the_gradient_draws_the_prototypes_of_a_class_together():
    """The figure is outside: cosines of the class means of the two domains."""
    y = torch.arange(60) % C
    zs = (draw(60, 4, dtype=torch.float32) + 3 * torch.eye(C, 4)[y]).requires_grad_()
    zt = (draw(60, 4, seed=1, dtype=torch.float32) + 3 * torch.eye(C, 4)[y] + 2.0).requires_grad_()
    method, net = PrototypeGraph(), SimpleNamespace(head=nn.Linear(4, C))
    torch.manual_seed(0)

    def between():
        a, b = (torch.stack([z.detach()[y == c].mean(0) for c in range(C)]) for z in (zs, zt))
        return nn.functional.cosine_similarity(a, b).mean().item()

    method.prototypes_ = torch.cat([means(z.detach(), torch.eye(C)[y])[0] for z in (zs, zt)])
    before, opt = between(), torch.optim.Adam([zs, zt, *net.head.parameters()], lr=0.02)
    for step in range(200):
        opt.zero_grad()
        loss = method.omega(Batch(zs=zs, zt=zt, ys=y, ls=zs[:, :C], lt=10 * torch.eye(C)[y], net=net))
        loss.backward()
        if not step:
            assert all(float(x.grad.abs().max()) > 0 for x in (zs, zt, net.head.weight))
        opt.step()
    assert 1 - between() < (1 - before) / 3


@pytest.mark.reference(
    method="prototype_graph",
    source="Wang et al. 2020 (LtC-MSDA)",
    compared="prototypes and Ω from their parts, by NumPy; messages by loops in a test of their own",
    differs="one source; messages without weights to learn; samples send none; no local alignment",
)
def test_prototype_graphs_omega_is_its_parts():
    net, method = network(), PrototypeGraph(weight=7.0, alpha=0.3, temperature=0.2, memory=0.6)
    old, b = draw(6, 256, dtype=torch.float32).abs(), batch(net)
    method.prototypes_ = old
    loss = method.omega(b).item()
    zs, zt, y = b.zs.detach().double().numpy(), b.zt.detach().double().numpy(), b.ys.numpy()
    p, P = softmax(b.lt.detach().double().numpy(), 1), []
    for z, w in ((zs, np.eye(C)[y]), (zt, p)):
        for c in range(C):
            kept = 0.6 ** w[:, c].sum()
            P.append(kept * old[len(P)].double().numpy() + (1 - kept) * np.average(z, axis=0, weights=w[:, c]))
    np.testing.assert_allclose(method.prototypes_, P, rtol=1e-4, atol=1e-5)
    P = torch.from_numpy(np.array(P))
    Q, (weight, bias) = nodes(P, 0.3, 0.2).numpy(), (x.detach().double().numpy() for x in net.head.parameters())
    scores = [softmax(Q @ weight.T + bias, 1)]
    for z in (zs, zt):
        A = affinity(torch.from_numpy(z), P, 0.2).numpy()
        scores.append(softmax((0.7 * z + 0.3 * (A @ Q) / A.sum(1, keepdims=True)) @ weight.T + bias, 1))
    expected = -np.mean(np.log(scores[0][range(6), [0, 1, 2, 0, 1, 2]])) - np.mean(np.log(scores[1][range(12), y]))
    expected += entropy(scores[2], axis=1).mean() / C + 7 * disagreement(affinity(P, P, 0.2)).item()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_prototype_graph_reads_the_scores_after_messages():
    method, fields = fit(PrototypeGraph())
    net, P = method.model_, method.prototypes_.double().numpy()
    zs, zt = (net.embed(fields[k]).double().numpy() for k in ("Xs", "Xt"))
    y = fields["ys"].numpy()
    np.testing.assert_allclose(P[:C], [zs[y == c].mean(0) for c in range(C)], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        w = net.head(torch.from_numpy(zt).float()).softmax(1).double().numpy()
    np.testing.assert_allclose(P[C:], [np.average(zt, axis=0, weights=w[:, c]) for c in range(C)], rtol=1e-4, atol=1e-5)
    A = affinity(*(torch.from_numpy(x) for x in (zt, P)), 0.1).numpy()
    Q = nodes(torch.from_numpy(P), 0.5, 0.1).numpy()
    z = 0.5 * zt + 0.5 * (A @ Q) / A.sum(1, keepdims=True)
    weight, bias = (p.detach().double().numpy() for p in net.head.parameters())
    np.testing.assert_allclose(method.predict(fields["Xt"]), softmax(z @ weight.T + bias, 1), atol=1e-4)
