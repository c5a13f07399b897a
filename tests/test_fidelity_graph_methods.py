"""Methods on graphs: against dense matrices, loops, closed forms and their papers' claims."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.test_fidelity_graphs import dense, normalised, random_graph
from zoo import nets, train
from zoo.adapters.baseline.degree import Degree, standing
from zoo.adapters.feature.dann import Dann
from zoo.adapters.feature.fixmatch import Fixmatch
from zoo.adapters.feature.vada import Vada
from zoo.adapters.relational.adagcn import Adagcn
from zoo.adapters.relational.grade import Grade
from zoo.adapters.relational.struct_reweight import StructReweight, edge_probabilities
from zoo.adapters.relational.udagcn import Attention, Udagcn
from zoo.check.graphs import toy_graphs
from zoo.errors import Unsupported
from zoo.graph import Graph
from zoo.learners import Learner
from zoo.nets._graphs import Graphs
from zoo.task import Task
from zoo.train import Batch, Budget

DEEP = {"adagcn": Adagcn, "udagcn": Udagcn, "grade": Grade, "struct_reweight": StructReweight}


def task_of(pair, method, use="net", steps=60, seed=0, **budget):
    fields, graphs = pair.fields("cpu", use)
    budget = Budget(steps=steps, batch_size=32, learning_rate=5e-3, precision="fp32", **budget)
    learner = Learner(net="gcn" if use == "net" else "mlp", budget=budget, use=use, seed=seed, graphs=graphs)
    return Task(fields, needs=method.needs, learner=learner, n_classes=3, seed=seed)


@pytest.mark.reference(
    method="degree",
    source="NumPy",
    compared="the feature",
    differs="no paper",
)
def test_degree_feature_is_a_z_score_within_the_graph():
    graph = random_graph().to("cpu")
    level = np.log1p(dense(random_graph()).sum(1))
    assert standing(graph)[:, 0].numpy() == pytest.approx((level - level.mean()) / level.std(), abs=1e-6)


def test_degree_does_not_see_features():
    pair = toy_graphs()
    scores = []
    for p in (pair, pair.mapped(torch.zeros_like, torch.zeros_like)):
        task = task_of(p, Degree, use="base")
        scores.append(Degree().fit(task).predict(p.X, p.At))
    assert torch.equal(*scores)
    assert (scores[0].argmax(1) == pair.y).float().mean() > 0.6  # the classes' degrees are as 1 : 2 : 4


def test_edge_probabilities_against_a_loop():
    """And on a stochastic block model they are its parameters."""
    g = torch.Generator().manual_seed(0)
    y = torch.arange(900) % 2
    B = torch.tensor([[0.10, 0.02], [0.02, 0.05]])
    edges = (torch.rand(900, 900, generator=g) < B[y][:, y]).triu(1).nonzero()
    graph = Graph(edges, torch.zeros(900, 1))
    found = edge_probabilities(graph, nn.functional.one_hot(y, 2))
    assert found.numpy() == pytest.approx(B.numpy(), abs=0.003)
    small = Graph(edges[:40], torch.zeros(900, 1))
    counts = np.zeros((2, 2))
    for u, v in small.edges.tolist():
        counts[y[u], y[v]] += 1
        counts[y[v], y[u]] += 1
    assert edge_probabilities(small, nn.functional.one_hot(y, 2)).numpy() == pytest.approx(counts / 450**2)


def test_struct_reweight_turns_the_sources_edges_into_the_targets():
    """On block models of equal classes the weights are the ratio of the models' probabilities, given the labels."""
    pair = toy_graphs(shift=0.0, n_s=300, n_t=300, seed=2)
    method = StructReweight(share=1.0, start=0.0)
    task = task_of(pair, method)
    method.fit(task)
    guessed = method.model_.predict(torch.arange(pair.At.n)).argmax(1)
    w, ys = method.edges_, pair.ys
    assert w.shape == (len(pair.As.edges),)
    for i in range(3):
        for j in range(i, 3):
            ends = ys[pair.As.edges]
            of_pair = ((ends[:, 0] == i) & (ends[:, 1] == j)) | ((ends[:, 0] == j) & (ends[:, 1] == i))
            values = w[of_pair]
            assert float(values.max() - values.min()) == pytest.approx(0, abs=1e-6)  # one weight a pair of classes
    assert (guessed[pair.X] == pair.y).float().mean() > 0.85
    # Two draws of one model, so the ratio is that of how dense the graphs are.
    expected = pair.As.n / pair.At.n
    own = w[(ys[pair.As.edges] == 2).all(1)].mean()
    assert float(own) == pytest.approx(expected, rel=0.2)


def test_struct_reweight_without_a_share_never_reweighs():
    pair = toy_graphs()
    one, other = (StructReweight(share=0.0, start=x).fit(task_of(pair, StructReweight)) for x in (0.0, 1.0))
    assert torch.allclose(one.predict(pair.X), other.predict(pair.X), atol=1e-5)


@pytest.mark.reference(
    method="adagcn",
    source="Dai et al. 2022, section 4.2, and the authors' code",
    compared="features of the smoothed network, by dense matrices; the critic is wdgrl's",
    differs="two steps of propagation, theirs ten; weight and critic steps smaller, as the suites are shorter",
)
def test_adagcn_smooths_in_the_first_layer_only():
    graph = random_graph()
    net = nets.build("gcn", (), 3, graphs=Graphs(t=graph.to("cpu"))).eval()
    Adagcn(smoothing=3).setup(net, None)
    A = np.linalg.matrix_power(normalised(dense(graph) + np.eye(graph.n)), 3)
    (one, two), x = net.body, torch.from_numpy(graph.x)
    with torch.no_grad():
        H = torch.relu(torch.from_numpy(A).float() @ x @ one.linear.weight.T + one.linear.bias)
        wanted = torch.relu(H @ two.linear.weight.T + two.linear.bias)
        assert torch.allclose(net.features(torch.arange(graph.n)), wanted, atol=1e-5)


def test_adagcn_critic_raises_and_network_lowers_the_gap():
    """One critic step raises its estimate at fixed features; the network's gradient is that of ``weight · gap``."""
    pair = toy_graphs(shift=3.0)
    method = Adagcn(weight=1.0, n=20, penalty=10.0)
    task = task_of(pair, method, steps=1)
    net = task.learner.train(task, method)
    z = [net.embed(x) for x in (task.Xs, task.Xt)]
    trained = float((method.critic_(z[0]).mean() - method.critic_(z[1]).mean()).detach())
    assert trained > 0  # untrained critics are as often below 0
    b = Batch(zs=z[0].requires_grad_(), zt=z[1].requires_grad_())
    gs, gt = torch.autograd.grad(method.omega(b), (b.zs, b.zt))
    step = 0.1
    lower = method.omega(Batch(zs=b.zs - step * gs / gs.norm(), zt=b.zt - step * gt / gt.norm()))
    assert float(lower.detach()) < trained


def test_udagcn_mixes_both_convolutions_by_attention():
    graph = random_graph()
    net = nets.build("gcn", (), 3, graphs=Graphs(t=graph.to("cpu"))).eval()
    Udagcn(length=3, walks=20).setup(net, task_of(toy_graphs(), Udagcn))
    x = torch.arange(graph.n)
    local, far = net.layers(x, 0)[-1], net.layers(x, 1)[-1]
    assert not torch.allclose(local, far)  # the same weights along other matrices
    w, b = net.mix.score.weight[0], net.mix.score.bias
    for i in range(graph.n):
        e = [math.exp(float((z[i] @ w + b).detach())) for z in (local, far)]
        wanted = (e[0] * local[i] + e[1] * far[i]) / sum(e)
        assert torch.allclose(net.features(x)[i], wanted, atol=1e-5)


def test_attention_of_equal_parts_is_their_mean():
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(Attention(8)([z, z]), z)


def test_udagcn_omega_is_its_parts():
    """Both domains' cross-entropies, and the entropy growing from 0 to `entropy`."""
    method = Udagcn(entropy=0.5)
    method.discriminator_ = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    g = torch.Generator().manual_seed(0)
    z, logits = torch.randn(10, 4, generator=g), torch.randn(6, 3, generator=g)
    at = [method.omega(Batch(zs=z[:4], zt=z[4:], lt=logits, progress=p)) for p in (0.0, 1.0)]
    d = method.discriminator_(z)
    domain = nn.functional.softplus(-d[:4]).mean() + nn.functional.softplus(d[4:]).mean()
    p = logits.softmax(1)
    assert float(at[0].detach()) == pytest.approx(float(domain.detach()), abs=1e-5)
    assert float((at[1] - at[0]).detach()) == pytest.approx(0.5 * float(-(p * p.log()).sum(1).mean()), abs=1e-5)


@pytest.mark.reference(
    method="grade",
    source="Wu et al. 2023, section 4, and the authors' code (GRADE-N)",
    compared="Ω by hand, from every layer's features and the scores",
    differs="the layers are of a pass of their own",
)
def test_grade_sees_every_layer():
    """Its penalty has a gradient at the output of each layer; DANN's, at the last only."""
    pair = toy_graphs()
    task = task_of(pair, Grade)
    net = nets.build("gcn", (), 3, graphs=task.learner.graphs).eval()
    method = Grade(weight=1.0)
    method.setup(net, task)
    seen = {}

    def layers(x, matrix=0, inner=net.layers):
        seen["layers"] = [z.detach().requires_grad_() for z in inner(x, matrix)]
        return seen["layers"]

    net.layers = layers
    b = Batch(xs=task.Xs[:20], xt=task.Xt[:30], net=net, progress=1.0)
    loss = method.omega(b)
    widths = [net.width, net.width, 3]
    assert method.discriminator_[0].in_features == sum(widths)
    for g in torch.autograd.grad(loss, seen["layers"]):
        assert float(g.norm()) > 0
    z = torch.cat([*seen["layers"], net.head(seen["layers"][-1])], 1)
    d = method.discriminator_(z)
    by_hand = (nn.functional.softplus(-d[:20]).sum() + nn.functional.softplus(d[20:]).sum()) / 50
    assert float(loss.detach()) == pytest.approx(float(by_hand.detach()), abs=1e-5)


@pytest.mark.parametrize("name", DEEP)
def test_omega_moves_the_network_against_the_discriminator(name):
    """The gradient of the penalty alone is there for every layer, and a step of the network along it lowers what the
    network is to lower: the discriminator's success (or the critic's gap)."""
    pair = toy_graphs(shift=2.0)
    method = DEEP[name]()
    task = task_of(pair, method)
    net = nets.build("gcn", (), 3, graphs=task.learner.graphs).eval()
    with train.seeded("setup", 0):
        module = method.setup(net, task)
    b = Batch(xs=task.Xs, xt=task.Xt, ys=task.ys, method=method, progress=1.0, net=net)
    opt = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(100):  # an opponent worth the name
        train.forward(net, b)
        loss = method.omega(b)
        opt.zero_grad()
        (-loss if name == "adagcn" else loss).backward()
        opt.step()
    train.forward(net, b)
    before = method.omega(b)
    grads = torch.autograd.grad(before, list(net.body.parameters()), retain_graph=True)
    assert all(float(g.norm()) > 0 for g in grads[::2])
    with torch.no_grad():
        size = math.sqrt(sum(float(g.square().sum()) for g in grads))
        for p, g in zip(net.body.parameters(), grads, strict=True):
            p -= 0.05 * g / size
    train.forward(net, b)
    after, before = method.omega(b).detach(), before.detach()
    # Reversed gradients: the descent of the network is the ascent of the discriminator's loss.
    assert (float(after) < float(before)) == (name == "adagcn")


@pytest.mark.parametrize("method", [Vada, Fixmatch])
def test_methods_that_change_samples_say_why_they_cannot(method):
    with pytest.raises(Unsupported, match=r"nodes of a graph|whole numbers"):
        method().fit(task_of(toy_graphs(), method, steps=2))


def test_training_on_the_meta_device():
    """No step of the network on graphs makes a tensor elsewhere."""
    pair = toy_graphs()
    fields, graphs = pair.fields("meta", "net")
    learner = Learner(net="gcn", budget=Budget(steps=2, batch_size=8), graphs=graphs, device="meta")
    task = Task(fields, needs=Dann.needs, learner=learner, n_classes=3, device="meta")
    net = learner.train(task, Dann())
    assert all(p.grad is not None and p.is_meta for p in net.parameters())
