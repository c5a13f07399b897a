"""dann, cdan, adda, mcd: against loops, closed forms, and what their papers prove or use."""

from __future__ import annotations

import copy
import math

import numpy as np
import ot
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from zoo import train
from zoo.adapters.feature.adda import Adda
from zoo.adapters.feature.cdan import Cdan
from zoo.adapters.feature.dann import Dann
from zoo.adapters.feature.mcd import Mcd
from zoo.learners import Learner
from zoo.nets.mlp import Mlp
from zoo.ops.adversary import discriminator, domain_accuracy, domain_loss
from zoo.ops.multilinear import certainty, outer, random_outer
from zoo.task import Task
from zoo.train import Batch, Budget


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def task(n_classes=3, d=5, shift=2.0, n=60, **fields):
    y = torch.arange(n) % n_classes
    Xs = draw(n, d, dtype=torch.float32) + 4 * torch.eye(n_classes, d)[y]
    Xt = draw(n, d, seed=1, dtype=torch.float32) + 4 * torch.eye(n_classes, d)[y] + shift
    return {"Xs": Xs, "ys": y, "Xt": Xt, **fields}


def fit(method, steps=150, model=False, **more):
    fields = task(**more)
    learner = Learner(net="mlp", budget=Budget(steps=steps, batch_size=32), seed=0, use="net")
    if model:
        fields["model"] = learner.fit(fields["Xs"], fields["ys"], 3)
    return method.fit(Task(fields, needs=method.needs, learner=learner, n_classes=3)), fields


# The domain classifier ------------------------------------------------------------------------------------------------


def test_domain_loss_is_the_cross_entropy_of_a_loop():
    logits = draw(9)
    told = [math.log(1 + math.exp(-x)) if i < 4 else math.log(1 + math.exp(x)) for i, x in enumerate(logits.tolist())]
    assert domain_loss(logits, 4).item() == pytest.approx(np.mean(told))
    weight = torch.rand(9, dtype=torch.float64)
    assert domain_loss(logits, 4, weight).item() == pytest.approx(np.mean(weight.numpy() * told))
    right = [x > 0 if i < 4 else x <= 0 for i, x in enumerate(logits.tolist())]
    assert domain_accuracy(logits, 4).item() == pytest.approx((np.mean(right[:4]) + np.mean(right[4:])) / 2)


def test_an_optimal_discriminator_gives_the_jensen_shannon_divergence():
    """Goodfellow et al.: with the best discriminator the loss is log 2 - JS; here of two discrete laws."""
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.2, 0.7])
    n = 1000
    X = np.repeat(np.eye(3), (n * p).astype(int), 0), np.repeat(np.eye(3), (n * q).astype(int), 0)
    X = torch.from_numpy(np.concatenate(X))
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.LBFGS([w], max_iter=100)

    def closure():
        opt.zero_grad()
        loss = domain_loss(X @ w, n)
        loss.backward()
        return loss

    opt.step(closure)
    m = (p + q) / 2
    js = (np.sum(p * np.log(p / m)) + np.sum(q * np.log(q / m))) / 2
    assert closure().item() == pytest.approx(math.log(2) - js, abs=1e-6)


CDANS = [Cdan(), Cdan(entropy=False), Cdan(max_dim=8, random_dim=300)]


@pytest.mark.parametrize("method", [Dann(), *(pytest.param(m, marks=pytest.mark.faults) for m in CDANS)])
def test_reversed_gradients_move_features_together(method):
    """Features that follow Ω's gradient, against a discriminator that keeps learning, become indistinguishable.

    The figure is outside: the exact Wasserstein distance of the two samples, by POT.
    """
    torch.manual_seed(0)
    net = Mlp((2,), 3)
    net.width = 2
    D = method.setup(net, Task({"Xs": draw(2, 2), "ys": torch.arange(2)}, needs={"Xs"}, learner=None, n_classes=3))
    zs = draw(60, 2, dtype=torch.float32).requires_grad_()
    zt = (draw(50, 2, seed=1, dtype=torch.float32) + 3).requires_grad_()
    ls, lt = draw(60, 3, seed=2, dtype=torch.float32), draw(50, 3, seed=3, dtype=torch.float32)

    def apart():
        return ot.emd2([], [], ot.dist(zs.detach().double().numpy(), zt.detach().double().numpy()))

    before = apart()
    b = Batch(zs=zs, zt=zt, ls=ls, lt=lt, progress=0.9)
    gradients = torch.autograd.grad(method.omega(b), [zs, zt])
    assert all(float(g.abs().min()) > 0 for g in gradients), "a softmax over one unit would give exactly 0"
    opt = torch.optim.Adam([{"params": D.parameters(), "lr": 0.01}, {"params": [zs, zt], "lr": 0.03}])
    for _ in range(300):
        opt.zero_grad()
        method.omega(b).backward()
        opt.step()
    assert apart() < before / 4


# cdan -----------------------------------------------------------------------------------------------------------------


def test_the_multilinear_map_has_products_of_inner_products():
    """The property the paper uses: <T(z, p), T(z', p')> = <z, z'> <p, p'>; the random map has it on average (eq. 6)."""
    z, p = draw(6, 7), draw(6, 3, seed=1).softmax(1)
    exact = (z @ z.T) * (p @ p.T)
    T = outer(z, p)
    torch.testing.assert_close(T @ T.T, exact)
    assert sorted(T[0].tolist()) == pytest.approx(sorted(np.outer(z[0], p[0]).ravel().tolist()))
    found = []
    for seed in range(400):
        R = random_outer(z, p, draw(7, 500, seed=2 * seed), draw(3, 500, seed=2 * seed + 1))
        found.append(R @ R.T)
    spread = torch.stack(found).std(0) / math.sqrt(len(found))
    assert float(((torch.stack(found).mean(0) - exact) / spread).abs().max()) < 4


def test_entropy_weights_are_those_of_scipy():
    from scipy.stats import entropy

    p = draw(9, 4).softmax(1)
    w = 1 + np.exp(-entropy(p.numpy(), axis=1))
    expected = np.concatenate([w[:5] / w[:5].mean(), w[5:] / w[5:].mean()])
    np.testing.assert_allclose(certainty(p, 5).numpy(), expected)


def test_cdan_is_dann_on_the_products():
    """With one class the scores are 1, the products are the features, and cdan is dann."""
    torch.manual_seed(0)
    dann, cdan = Dann(hidden=16), Cdan(hidden=16)
    one = Task({"Xs": draw(2, 2), "ys": torch.zeros(2)}, needs={"Xs"}, learner=None, n_classes=1)
    net = Mlp((3,), 1)
    D = dann.setup(net, one).eval()  # no dropout
    cdan.setup(net, one).eval()
    cdan.discriminator_.load_state_dict(D.state_dict())
    zs, zt, ls, lt = (draw(8, n, seed=n, dtype=torch.float32).requires_grad_() for n in (256, 256, 1, 1))
    b = Batch(zs=zs, zt=zt, ls=ls, lt=lt, progress=0.5)
    ours, theirs = (torch.autograd.grad(m.omega(b), [zs, zt]) for m in (cdan, dann))
    for x, y in zip(ours, theirs, strict=True):
        torch.testing.assert_close(x, y)


def test_cdan_takes_the_random_map_above_its_limit():
    """256 features × 31 classes are 7,936 products; the buffers move with the module."""
    method = Cdan(max_dim=4096)
    method.setup(
        Mlp((3,), 31), Task({"Xs": draw(2, 2), "ys": torch.zeros(2)}, needs={"Xs"}, learner=None, n_classes=31)
    )
    assert method.multiplied(torch.rand(4, 256), torch.rand(4, 31)).shape == (4, 1024)
    assert {k for k, _ in method.discriminator_.named_buffers()} == {"random_features", "random_scores"}
    method.setup(
        Mlp((3,), 10), Task({"Xs": draw(2, 2), "ys": torch.zeros(2)}, needs={"Xs"}, learner=None, n_classes=10)
    )
    assert method.multiplied(torch.rand(4, 256), torch.rand(4, 10)).shape == (4, 2560)


# adda -----------------------------------------------------------------------------------------------------------------


def test_adda_moves_the_target_encoder_alone():
    """The source model, batch-norm statistics included, and the classifier stay."""
    method, fields = fit(Adda(), model=True)
    source = fields["model"]
    for a, b in zip(source.state_dict().values(), method.source_.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(source.head.parameters(), method.model_.head.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(source.body[1].weight, method.model_.body[1].weight)


def test_addas_gradients_are_those_of_its_two_objectives():
    """Discriminator: the domain loss of fixed features. Encoder: -log D of the target (inverted labels)."""
    torch.manual_seed(0)
    net, source = Mlp((4,), 3), Mlp((4,), 3)
    method = Adda(hidden=6)
    D = method.setup(net, Task({"model": source}, needs={"model"}, learner=None, n_classes=3))
    net.train()
    again, D2 = copy.deepcopy(net), copy.deepcopy(D)
    b = Batch(xs=draw(8, 4, dtype=torch.float32), xt=draw(7, 4, seed=1, dtype=torch.float32), amp=torch.enable_grad)
    opt = torch.optim.SGD([*net.parameters(), *D.parameters()], lr=0.0)
    method.step(net, opt, b)
    zs, zt = source.eval().features(b.xs).detach(), again.features(b.xt)
    p = torch.sigmoid(D2(torch.cat([zs, zt.detach()])))
    critic = torch.autograd.grad(-(p[:8].log().sum() + (1 - p[8:]).log().sum()) / 15, list(D2.parameters()))
    encoder = torch.autograd.grad(-torch.sigmoid(D2(zt)).log().sum() / 15, list(again.body.parameters()))
    for p, expected in zip([*D.parameters(), *net.body.parameters()], [*critic, *encoder], strict=True):
        torch.testing.assert_close(p.grad, expected, rtol=1e-4, atol=1e-7)
    assert all(p.grad is None for p in net.head.parameters())


def test_adda_brings_the_targets_features_to_the_sources():
    method, fields = fit(Adda(), steps=300, model=True)
    zs = method.source_.embed(fields["Xs"]).double().numpy()
    before = ot.emd2([], [], ot.dist(zs, fields["model"].embed(fields["Xt"]).double().numpy()))
    after = ot.emd2([], [], ot.dist(zs, method.model_.embed(fields["Xt"]).double().numpy()))
    assert after < before / 2


# mcd ------------------------------------------------------------------------------------------------------------------


def test_the_discrepancy_is_that_of_a_loop_and_0_where_the_classifiers_agree():
    net, method = Mlp((4,), 3), Mcd()
    second = method.setup(net, None).eval()  # no dropout
    net.eval()
    z = draw(6, 256, dtype=torch.float32)
    p, q = (head(z).softmax(1).detach().numpy() for head in (net.head, second))
    total = sum(abs(p[i, c] - q[i, c]) for i in range(6) for c in range(3)) / 18
    assert method.discrepancy(net, z).item() == pytest.approx(total, rel=1e-5)
    second.load_state_dict(net.head.state_dict())
    assert method.discrepancy(net, z).item() == 0


def test_mcds_second_classifier_starts_elsewhere():
    net, method = Mlp((4,), 3), Mcd()
    method.setup(net, None)
    assert not torch.equal(net.head[1].weight, method.second_[1].weight)


def test_mcds_steps_move_what_the_paper_says(monkeypatch):
    """A: all learn the source. B: the classifiers alone move apart on the target. C: the features alone, n times."""
    torch.manual_seed(0)
    net, method = Mlp((4,), 3), Mcd(n=3)
    second = method.setup(net, None)
    net.train()
    for module in (*net.modules(), *second.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    b = Batch(
        xs=draw(16, 4, dtype=torch.float32), ys=torch.arange(16) % 3, xt=draw(16, 4, seed=1, dtype=torch.float32),
        amp=torch.enable_grad, budget=Budget(),
    )  # fmt: skip
    parameters = [*net.parameters(), *second.parameters()]
    opt = torch.optim.SGD(parameters, lr=0.05)
    moved, values, plain = [], [], opt.step

    def spy():
        def both():
            with torch.no_grad():
                z = net.features(b.xt)
                return float(method.discrepancy(net, z))

        moved.append(
            {
                n
                for n, p in (*net.named_parameters(), *(("2." + n, p) for n, p in second.named_parameters()))
                if p.grad is not None
            }
        )
        before = both()
        plain()
        values.append((before, both()))

    monkeypatch.setattr(opt, "step", spy)
    for _ in range(30):
        method.step(net, opt, b)
    names = {n for n, _ in net.named_parameters()} | {"2." + n for n, _ in second.named_parameters()}
    features, heads = (
        {n for n, _ in net.named_parameters() if n.startswith("body")},
        {n for n in names if not n.startswith("body")},
    )
    assert moved == [features | heads, heads, features, features, features] * 30
    assert sum(after < before for before, after in values[2::5] + values[3::5] + values[4::5]) > 85, "C lowers it"


def test_mcds_second_step_raises_the_discrepancy_on_the_target():
    torch.manual_seed(0)
    net, method = Mlp((4,), 3), Mcd()
    second = method.setup(net, None)
    z = draw(40, 256, dtype=torch.float32)
    zs, ys = draw(40, 256, seed=1, dtype=torch.float32), torch.arange(40) % 3
    opt = torch.optim.SGD([*net.head.parameters(), *second.parameters()], lr=0.1)
    before = method.discrepancy(net, z).item()
    for _ in range(50):
        opt.zero_grad()
        (cross_entropy(net.head(zs), ys) + cross_entropy(second(zs), ys) - method.discrepancy(net, z)).backward()
        opt.step()
    assert method.discrepancy(net, z).item() > before


def test_mcd_predicts_the_mean_of_its_classifiers():
    method, fields = fit(Mcd(), steps=40)
    z = method.model_.embed(fields["Xt"])
    mean = (nn.functional.softmax(method.model_.head(z), 1) + nn.functional.softmax(method.second_(z), 1)) / 2
    torch.testing.assert_close(method.predict(fields["Xt"]), mean.detach())


@pytest.mark.faults  # 150 steps of three-layer heads
def test_mcd_lowers_the_bound_on_the_target():
    """The paper's theorem: the target's risk is bounded by the source's and by the largest discrepancy of classifiers
    that are right on the source. Two such classifiers find less of it after training than on a source-only network."""
    method, fields = fit(Mcd(), steps=150)
    plain = Learner(net="mlp", budget=Budget(steps=150, batch_size=32), use="net").fit(fields["Xs"], fields["ys"], 3)

    def largest(net):
        zs, zt = net.embed(fields["Xs"]), net.embed(fields["Xt"])
        torch.manual_seed(1)
        heads = nn.Linear(256, 3), nn.Linear(256, 3)
        opt = torch.optim.Adam([p for h in heads for p in h.parameters()], lr=0.01)
        for _ in range(300):
            apart = (heads[0](zt).softmax(1) - heads[1](zt).softmax(1)).abs().mean()
            loss = sum(cross_entropy(h(zs), fields["ys"]) for h in heads) - apart
            opt.zero_grad()
            loss.backward()
            opt.step()
        return apart.item()

    assert largest(method.model_) < largest(plain)


@pytest.mark.parametrize("hidden", [1, 7])
def test_a_discriminator_ends_in_one_logit(hidden):
    assert discriminator(5, hidden)(torch.rand(4, 5)).shape == (4,)


def test_domain_accuracy_is_told(tmp_path):
    told = []

    class Watch(train.Watch):
        def tell(self, step, steps, terms):
            told.append(terms["domain_accuracy"])

    for method, model in ((Dann(), False), (Cdan(), False), (Adda(), True)):
        fields = task()
        learner = Learner(net="mlp", budget=Budget(steps=20, batch_size=32), seed=0, use="net")
        if model:
            fields["model"] = learner.fit(fields["Xs"], fields["ys"], 3)
        learner.watch = Watch()
        method.fit(Task(fields, needs=method.needs, learner=learner, n_classes=3))
    assert len(told) == 60
    assert all(0 <= x <= 1 for x in told)
    assert len(set(told)) > 5
