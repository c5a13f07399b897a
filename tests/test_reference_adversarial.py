"""Adversarial and self-trained deep methods against their authors' formulas, written anew on random inputs."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from zoo import nets, train
from zoo.adapters.feature.afn import Afn
from zoo.adapters.feature.bnm import Bnm
from zoo.adapters.feature.cdan import Cdan
from zoo.adapters.feature.dan import Dan
from zoo.adapters.feature.dann import Dann
from zoo.adapters.feature.dsan import Dsan
from zoo.adapters.feature.gvb import Gvb
from zoo.adapters.feature.jan import Jan
from zoo.adapters.feature.mcd import Mcd
from zoo.adapters.feature.mdd import Mdd
from zoo.adapters.feature.mme import Mme
from zoo.adapters.feature.nrc import Nrc
from zoo.adapters.feature.shot import Shot
from zoo.adapters.feature.t3a import centres
from zoo.adapters.feature.tent import Tent
from zoo.adapters.feature.toalign import Toalign
from zoo.adapters.feature.vada import Vada
from zoo.learners import Learner
from zoo.task import Task
from zoo.train import Batch, Budget


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Hook(torch.autograd.Function):
    """The authors' hook: a gradient times -coeff."""

    @staticmethod
    def forward(ctx, x, coeff):
        ctx.coeff = coeff
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return -ctx.coeff * g, None


def coefficient(progress):
    return 2 / (1 + math.exp(-10 * progress)) - 1


def mlp(classes=3, d=4):
    torch.manual_seed(0)
    return nets.build("mlp", (d,), classes)


def setup(method, classes=31, n=10, progress=0.3):
    """A batch of features of a network whose extra modules have no dropout, so that both readings see one network."""
    net = mlp(classes)
    D = method.setup(net, SimpleNamespace(n_classes=classes, Xs=draw(n, 4), device=torch.device("cpu")))
    for m in (*D.modules(), *net.modules()):
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    zs, zt = draw(n, 256, seed=1).relu().requires_grad_(), (draw(n, 256, seed=2) + 0.3).relu().requires_grad_()
    b = Batch(
        zs=zs, zt=zt, ls=net.head(zs), lt=net.head(zt), ys=torch.arange(n) % classes, net=net, progress=progress,
        watched=False, generator=None,
    )  # fmt: skip
    return net, D, b


def same(method, net, D, b, expected, rtol=1e-4):
    """Value and gradients with respect to features, classifier and discriminator."""
    found = method.omega(b)
    assert found.item() == pytest.approx(expected.item(), rel=rtol)
    at = [b.zs, b.zt, *D.parameters(), *net.head.parameters()]
    ours = torch.autograd.grad(found, at, retain_graph=True, allow_unused=True)
    theirs = torch.autograd.grad(expected, at, allow_unused=True)
    for x, y in zip(ours, theirs, strict=True):
        zero = torch.zeros(())
        x, y = (zero if g is None else g for g in (x, y))
        torch.testing.assert_close(x, y.expand_as(x) if y is zero else y, rtol=rtol, atol=1e-7)


def binary(p, n, weight=None):
    losses = -torch.cat([p[:n].log(), (1 - p[n:]).log()])
    return losses.mean() if weight is None else (weight * losses).sum() / 2


def their_weights(p, n, coeff, plus):
    H = Hook.apply(-(p * p.log()).sum(1), coeff)
    w = plus + torch.exp(-H)
    return torch.cat([w[:n] / w[:n].sum().detach(), w[n:] / w[n:].sum().detach()])


@pytest.mark.reference(
    method="dann",
    source="Ganin et al. 2016, eq. 9 to 18; thuml/CDAN: pytorch/network.py, loss.py (DANN)",
    compared="Ω and its gradients, 1024-1024 discriminator with Glorot weights (rel. 1e-4)",
    differs="warm-up over the run's progress; 1 × 100 discriminator beside networks for small images",
)
def test_dann_is_the_authors():
    method = Dann()
    net, D, b = setup(method)
    p = torch.sigmoid(D(Hook.apply(torch.cat([b.zs, b.zt]), coefficient(0.3))))
    same(method, net, D, b, binary(p, 10))
    assert [m.out_features for m in D if isinstance(m, nn.Linear)] == [1024, 1024, 1]


@pytest.mark.reference(
    method="cdan",
    source="Long et al. 2018, eq. 5 to 8; thuml/CDAN: pytorch/loss.py, network.py",
    compared="Ω and its gradients on 31 classes × 256 features: all products, reversed entropy weights (rel. 1e-4)",
    differs="warm-up over the run's progress; entropy without the code's 1e-5",
)
@pytest.mark.parametrize("entropy", [True, False])
def test_cdan_is_the_authors(entropy):
    method = Cdan(entropy=entropy)
    net, D, b = setup(method)
    assert D[0].in_features == 31 * 256
    p, c = torch.cat([b.ls, b.lt]).softmax(1), coefficient(0.3)
    products = torch.bmm(p.detach()[:, :, None], torch.cat([b.zs, b.zt])[:, None]).flatten(1)
    told = torch.sigmoid(D(Hook.apply(products, c)))
    same(method, net, D, b, binary(told, 10, their_weights(p, 10, c, 1) if entropy else None))
    assert method.forward == "separate"


@pytest.mark.reference(
    method="gvb",
    source="Cui et al. 2020, eq. 4 to 11; cuishuhao/GVB: GVB-GD/loss.py, network.py",
    compared="Ω and its gradients: exp(-H) weights with reversed gradient, bridges of hidden features (rel. 1e-4)",
    differs="warm-up over the run's progress; entropy without the code's 1e-5",
)
def test_gvb_is_the_authors():
    method = Gvb()
    net, D, b = setup(method)
    z, c = torch.cat([b.zs, b.zt]), coefficient(0.3)
    bridge = net.head.bridge(z)
    p = (net.head.module(z) - bridge).softmax(1)
    hidden = D[0](Hook.apply(p, c))
    out, also = D[1].module(hidden), D[1].bridge(hidden)
    expected = binary(torch.sigmoid(out - also), 10, their_weights(p, 10, c, 0))
    same(method, net, D, b, expected + bridge.abs().mean() + also.abs().mean(), rtol=1e-3)


@pytest.mark.reference(
    method="toalign",
    source="Wei et al. 2021, eq. 3 to 6; microsoft/UDA: trainer/da/toalign.py, models/base_model.py, utils/loss.py",
    compared="Ω and its gradients: HDA head of three layers, task-oriented features, exp(-H) weights (rel. 1e-3)",
    differs="warm-up over the run's progress; PyTorch's initial weights for the three layers",
)
def test_toalign_is_the_authors():
    method = Toalign()
    net, D, b = setup(method)
    fc, others, c = net.head.module, list(net.head.bridge), coefficient(0.3)
    w = (fc.weight - sum(m.weight for m in others))[b.ys].detach()
    scale = ((b.zs**2).sum(1, keepdim=True) / ((b.zs * w) ** 2).sum(1, keepdim=True)).sqrt()
    part = b.zs * w * scale
    p = torch.cat([fc(part) - sum(m(part) for m in others), fc(b.zt) - sum(m(b.zt) for m in others)]).softmax(1)
    told = torch.sigmoid(D(Hook.apply(p, c)))
    z = torch.cat([b.zs, b.zt])
    expected = binary(told, 10, their_weights(p, 10, c, 0)) + sum(m(z) for m in others).abs().mean()
    same(method, net, D, b, expected, rtol=1e-3)


@pytest.mark.reference(
    method="mdd",
    source="Zhang et al. 2019, eq. 26 to 30; thuml/MDD: model/MDD.py",
    compared="Ω and its gradients; both heads 1024 wide with dropout, weights of deviation .01 (rel. 1e-4)",
    differs="the bottleneck is the suite's; the reversal ends at .1 over progress, theirs after some thousand steps",
)
def test_mdd_is_the_authors():
    method = Mdd()
    net, D, b = setup(method)
    for head in (net.head, D):
        assert [type(m).__name__ for m in head] == ["Linear", "ReLU", "Dropout", "Linear"]
        assert head[0].out_features == 1024
        assert float(head[0].weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    out = D(Hook.apply(torch.cat([b.zs, b.zt]), 0.1 * coefficient(0.3)))
    label = torch.cat([b.ls, b.lt]).argmax(1)
    target = nn.functional.nll_loss(torch.log(1 - out[10:].softmax(1)), label[10:])
    same(method, net, D, b, 4 * cross_entropy(out[:10], label[:10]) + target)


@pytest.mark.reference(
    method="vada",
    source="Shu et al. 2018, eq. 2 to 8; RuiShu/dirt-t: codebase/models/dirtt.py, extra_layers.py, nns/small.py",
    compared="domain part: discriminator's loss, inverted labels at .01 for the features (rel. 1e-4); EMA, β1, radius",
    differs="the radius is .063 of the inputs' length, theirs .0631; the running mean's first steps are shorter",
)
def test_vadas_domain_part_is_the_authors():
    method = Vada(certain=0.0, smooth=0.0)
    net, D, b = setup(method, classes=3)
    b.xs, b.xt, b.generator = draw(10, 4), draw(10, 4, seed=1), torch.Generator().manual_seed(0)
    z = torch.cat([b.zs, b.zt])
    p = torch.sigmoid(D(z.detach()))
    fixed = copy.deepcopy(D).requires_grad_(False)
    q = torch.sigmoid(fixed(z))
    inverted = -0.5 * ((1 - q[:10]).log().mean() + q[10:].log().mean())
    same(method, net, D, b, binary(p, 10) + 0.01 * inverted)
    assert (Vada.ema, Vada.beta1, Vada().certain) == (0.998, 0.5, 0.01)
    assert Vada().radius == pytest.approx(3.5 / math.sqrt(32 * 32 * 3), rel=0.01)


def five(X, number=5, sigma=None):
    D = ((X[:, None] - X[None]) ** 2).sum(2)
    sigma = sigma or D.sum() / (len(X) ** 2 - len(X))
    return sum(np.exp(-D / (sigma / 2 ** (number // 2) * 2**i)) for i in range(number))


def unbiased(K, n):
    off = K - np.diag(np.diag(K))
    return (off[:n, :n].sum() + off[n:, n:].sum()) / (n * (n - 1)) - 2 * K[:n, n:].mean()


@pytest.mark.reference(
    method="dan", source="Long et al. 2015, eq. 3 to 7; thuml/Xlearn: pytorch/src/loss.py",
    compared="Ω with the sum of five kernels by NumPy (rel. 1e-4)",
    differs="all pairs instead of the linear-time estimate; class scores aligned too, as in the paper's last layer",
)  # fmt: skip
@pytest.mark.reference(
    method="jan", source="Long et al. 2017, eq. 9 and 10; thuml/Xlearn: pytorch/src/loss.py",
    compared="Ω with the sum of five kernels times that of the scores by NumPy (rel. 1e-4)",
    differs="all pairs instead of the linear-time estimate",
)  # fmt: skip
@pytest.mark.reference(
    method="dsan", source="Zhu et al. 2021, eq. 6 to 8; easezyc/deep-transfer-learning: DSAN/lmmd.py",
    compared="Ω with the sum of five kernels by NumPy loops over classes (rel. 1e-4)", differs="nothing known",
)  # fmt: skip
@pytest.mark.parametrize("method", [Dan(), Jan(), Dsan()], ids=repr)
def test_the_kernel_is_a_sum_of_five(method):
    zs, zt, ls, lt = draw(9, 4), draw(9, 4, seed=1) + 1, draw(9, 3, seed=2), 2 * draw(9, 3, seed=3)
    ys = torch.arange(9) % 3
    p = torch.cat([ls, lt]).softmax(1).numpy()
    K = five(torch.cat([zs, zt]).numpy())
    q, local = p[9:], 0.0
    both = sorted(set(ys.tolist()) & set(q.argmax(1).tolist()))
    for c in both:
        w = np.concatenate([(ys.numpy() == c) / (ys.numpy() == c).sum(), -q[:, c] / q[:, c].sum()])
        local += w @ K @ w / len(both)
    expected = {
        "Dan": unbiased(K, 9) + unbiased(five(p), 9),
        "Jan": unbiased(K * five(p, 1, 1.68), 9),
        "Dsan": 0.5 * coefficient(0.4) * local,
    }[type(method).__name__]
    method.setup(None, SimpleNamespace(n_classes=3))
    b = Batch(zs=zs, zt=zt, ls=ls, lt=lt, ys=ys, progress=0.4)
    assert method.omega(b).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.reference(
    method="bnm", source="Cui et al. 2020, eq. 10; cuishuhao/BNM", compared="Ω against NumPy's singular values (1e-5)",
    differs="nothing known",
)  # fmt: skip
@pytest.mark.parametrize("classes", [5, 40])
def test_bnm_is_minus_the_mean_singular_value(classes):
    lt = draw(12, classes)
    expected = -np.linalg.svd(lt.softmax(1).numpy(), compute_uv=False).mean()
    assert Bnm().omega(Batch(lt=lt)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.reference(
    method="mcd", source="Saito et al. 2018, section 3.3; mil-tokyo/MCD_DA: visda_classification/basenet.py",
    compared="structure of both classifiers", differs="100 units beside networks for small images, as for digits",
)  # fmt: skip
@pytest.mark.parametrize(("net", "shape", "width"), [("mlp", (4,), 1000), ("cnn", (1, 8, 8), 100)])
def test_mcds_classifiers_have_three_layers_with_dropout(net, shape, width):
    net, method = nets.build(net, shape, 3), Mcd()
    second = method.setup(net, None)
    for head in (net.head, second):
        assert [m.out_features for m in head if isinstance(m, nn.Linear)] == [width, width, 3]
        assert [m.p for m in head if isinstance(m, nn.Dropout)] == [0.5, 0.5]
        assert sum(isinstance(m, nn.BatchNorm1d) for m in head) == 2


@pytest.mark.reference(
    method="mme", source="Saito et al. 2019, eq. 2 to 4; VisionLearningGroup/SSDA_MME: main.py, model/basenet.py",
    compared="one step of two SGD updates: mean loss over both labelled batches, then the entropy (rel. 1e-4)",
    differs="the suite's bottleneck stands for their layer of 512 before the classifier",
)  # fmt: skip
def test_mme_takes_the_authors_two_steps():
    net, method = mlp(), Mme()
    method.setup(net, SimpleNamespace(n_classes=3))
    net.train()
    other = copy.deepcopy(net)
    b = Batch(
        xs=draw(8, 4), ys=torch.arange(8) % 3, xl=draw(8, 4, seed=1), yl=torch.arange(8) % 3, xt=draw(9, 4, seed=2),
        net=net, amp=torch.enable_grad, terms={},
    )  # fmt: skip
    method.step(net, torch.optim.SGD(net.parameters(), lr=0.1), b)
    opt = torch.optim.SGD(other.parameters(), lr=0.1)

    def score(z):
        return (z / z.norm(dim=1, keepdim=True).clamp_min(1e-12)) @ other.head.weight.T / 0.05

    cross_entropy(score(other.features(torch.cat([b.xs, b.xl]))), torch.cat([b.ys, b.yl])).backward()
    opt.step()
    opt.zero_grad()
    p = score(Hook.apply(other.features(b.xt), 1.0)).softmax(1)
    (0.1 * (p * (p + 1e-5).log()).sum(1).mean()).backward()
    opt.step()
    for x, y in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-5)


@pytest.mark.reference(
    method="afn", source="Xu et al. 2019, eq. 7; jihanyang/AFN: SAFN, net.py",
    compared="Ω and the layer: 1,000 units, dropout whose rows keep their squared length (2 %)",
    differs="the layer is on the suite's features; PyTorch's initial weights",
)  # fmt: skip
def test_afns_features_keep_their_length():
    net, method = mlp(), Afn()
    method.setup(net, SimpleNamespace(n_classes=3))
    assert net.width == net.head.in_features == 1000
    last = net.body[-1]
    ones = torch.ones(50, 1000)
    assert float(last.train()(ones).square().sum(1).mean()) == pytest.approx(1000, rel=0.02)
    assert torch.equal(last.eval()(ones), ones)
    zs, zt = draw(7, 5), draw(6, 5, seed=1)
    assert method.omega(Batch(zs=zs, zt=zt)).item() == pytest.approx(2 * 0.05, rel=1e-5)


@pytest.mark.reference(
    method="t3a", source="Iwasawa and Matsuo 2021, eq. 3 to 6; matsuolab/T3A: domainbed/adapt_algorithms.py",
    compared="centres by a stream of single samples that keeps k supports of least entropy a class (1e-6)",
    differs="the whole target at once; predictions do not change the supports",
)  # fmt: skip
def test_t3a_is_the_stream_that_keeps_k_supports():
    W, bias, Z = draw(4, 3, dtype=torch.float64), draw(4, seed=7).double(), draw(60, 3, seed=1, dtype=torch.float64)
    kept = []
    for z in torch.cat([W, Z]):
        p = (W @ z + bias).softmax(0)
        kept.append((-(p * p.log()).sum().item(), int(p.argmax()), (z / z.norm()).numpy()))
        kept = [s for c in range(4) for s in sorted((k for k in kept if k[1] == c), key=lambda s: s[0])[:5]]
    sums = [np.sum([s[2] for s in kept if s[1] == c] or [np.zeros(3)], axis=0) for c in range(4)]
    expected = [s / (np.linalg.norm(s) or 1) for s in sums]
    both = torch.cat([W, Z])
    np.testing.assert_allclose(centres(both, both @ W.T + bias, 4, 5), expected, atol=1e-6)


@pytest.mark.reference(
    method="tent", source="Wang et al. 2021, section 3; DequanWang/tent: tent.py",
    compared="as many steps as the target fills batches; the target's statistics in the end (1e-4)",
    differs="the last batch is filled up; predictions after all steps, under the whole target's statistics",
)  # fmt: skip
def test_tent_takes_one_step_a_batch():
    X, y = draw(90, 4), torch.arange(90) % 3
    learner = Learner(net="mlp", budget=Budget(steps=200, batch_size=32), use="net")
    told = []

    class Watch(train.Watch):
        def tell(self, step, steps, terms):
            told.append((step, steps))

    fields = {"Xt": X + 1, "model": learner.fit(X + 3 * torch.eye(3, 4)[y], y, 3)}
    learner.watch = Watch()
    fitted = Tent().fit(Task(fields, needs=Tent.needs, learner=learner, n_classes=3))
    assert told[-1] == (3, 3)
    before = fitted.model_.body[1](fields["Xt"]).detach().numpy()
    np.testing.assert_allclose(fitted.model_.body[2].running_mean, before.mean(0), rtol=1e-3, atol=1e-4)


@pytest.mark.reference(
    method="shot", source="Liang et al. 2020, eq. 3 to 7; tim-learn/SHOT: object/image_target.py",
    compared="15 passes over the target, new labels at the beginning of each",
    differs="the source model has no smoothed labels and no normalised classifier",
)  # fmt: skip
@pytest.mark.reference(
    method="nrc", source="Yang et al. 2021; Albert0147/NRC_SFDA", compared="15 passes over the target",
    differs="the suite's steps where they are fewer",
)  # fmt: skip
@pytest.mark.parametrize("method", [Shot(), Nrc()], ids=repr)
def test_source_free_training_ends_after_15_passes(method, monkeypatch):
    X, y = draw(96, 4), torch.arange(96) % 3
    learner = Learner(net="mlp", budget=Budget(steps=400, batch_size=32), use="net")
    fields = {"Xt": X + 1, "model": learner.fit(X + 3 * torch.eye(3, 4)[y], y, 3)}
    steps, labelled = [], []
    plain, fresh = type(method).omega, type(method).refresh
    monkeypatch.setattr(type(method), "omega", lambda self, b: steps.append(b.step) or plain(self, b))
    monkeypatch.setattr(type(method), "refresh", lambda self, *a: labelled.append(len(steps)) or fresh(self, *a))
    method.fit(Task(fields, needs=method.needs, learner=learner, n_classes=3))
    assert steps == list(range(45)), "three batches a pass"
    if isinstance(method, Shot):
        assert labelled == list(range(0, 45, 3))
