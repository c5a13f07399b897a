"""Relations among samples: each objective against loops, scikit-learn, SciPy, or what its paper proves."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.special import softmax
from torch import nn
from torch.nn.functional import cross_entropy

from zoo.adapters.feature.shot import information
from zoo.adapters.relational.class_relation import ClassRelation, relation, soft_loss, undecided
from zoo.adapters.relational.rkd import Rkd, angle_loss, cosines, distance_loss
from zoo.learners import Learner
from zoo.nets.mlp import Mlp
from zoo.task import Task
from zoo.train import Batch, Budget

C = 3


def rows(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes in C corners; `seed` 1 is the target, moved a little."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % C
    return (rng.normal(size=(n, d)) + 2 * np.eye(C, d)[y] + 0.3 * seed).astype(np.float32), y


def task(d: int = 7, n_s: int = 60, n_t: int = 45) -> Task:
    (Xs, ys), (Xt, _) = rows(n_s, d, 0), rows(n_t, d, 1)
    return Task.from_arrays(Xs, ys, Xt, base="1nn")


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Relational knowledge distillation ------------------------------------------------------------------------------------


def huber(x):
    return np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5)


@pytest.mark.reference(
    method="rkd",
    source="Park et al. 2019, eq. 5 to 7; scipy.spatial.distance.pdist",
    compared="the distance-wise loss",
    differs="teacher and student are before and after adaptation; weights as for embeddings; SHOT's information adapts",
)
def test_distance_loss_is_scipys():
    z, t = draw(9, 4), 3 * draw(9, 6, seed=1) + 1
    a, b = (pdist(x) / pdist(x).mean() for x in (z, t))
    expected = huber(squareform(a) - squareform(b)).mean()
    assert distance_loss(z, t).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.reference(
    method="rkd",
    source="Park et al. 2019, eq. 8 and 9",
    compared="the angle-wise loss by a loop over triplets",
    differs="as above",
)
def test_angle_loss_is_a_loop():
    z, t = draw(7, 4), draw(7, 6, seed=1)
    expected = 0.0
    for j in range(7):
        for i in range(7):
            for k in range(7):
                angle = []
                for x in (z.numpy(), t.numpy()):
                    a, b = x[i] - x[j], x[k] - x[j]
                    long = np.linalg.norm(a) * np.linalg.norm(b)
                    angle.append(a @ b / long if long else 0.0)
                expected += huber(angle[0] - angle[1]) / 7**3
    assert angle_loss(z, t).item() == pytest.approx(expected, rel=1e-9)


def test_similar_figures_have_the_same_relations():
    """Turned, moved and scaled, in another space: both losses are 0; other figures: not."""
    t = draw(8, 3)
    turn = torch.linalg.qr(draw(5, 5, seed=1)).Q[:3]
    same = 4 * t @ turn + 7
    assert max(distance_loss(same, t).item(), angle_loss(same, t).item()) < 1e-20
    stretched = t * torch.tensor([1.0, 1.0, 5.0])
    assert min(distance_loss(stretched, t).item(), angle_loss(stretched, t).item()) > 1e-3


@pytest.mark.parametrize("where", [0.0, 1000.0])
def test_equal_rows_have_no_direction(where):
    """Also where they are equal but for rounding, or all are, as in a batch of one sample drawn again and again."""
    z, t = draw(6, 4, dtype=torch.float32) + where, draw(6, 4, seed=1, dtype=torch.float32)
    t[3] = t[1]
    z[3] = torch.nextafter(z[1], z[1] + 1)
    for rows in (z, z[:1] * (1 + 1e-7 * draw(6, 1, seed=2, dtype=torch.float32))):
        x = rows.clone().requires_grad_()
        loss = distance_loss(x, t) + angle_loss(x, t)
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert float(x.grad.abs().max()) < 1
    assert cosines(z)[3, 1].abs().max() == 0 < cosines(z)[3, 0].abs().max()


@pytest.mark.parametrize("f", [distance_loss, angle_loss])
def test_relations_gradcheck(f):
    assert torch.autograd.gradcheck(lambda x: f(x, draw(5, 3, seed=1)), draw(5, 3).requires_grad_())


@pytest.mark.parametrize("f", [distance_loss, angle_loss])
def test_following_the_gradient_restores_the_figure(f):
    """The figure is outside: Procrustes' disparity after the best turn, shift and scale."""
    from scipy.spatial import procrustes

    t = draw(20, 3)
    z = (t + 0.5 * draw(20, 3, seed=1)).requires_grad_()
    before = procrustes(t.numpy(), z.detach().numpy())[2]
    opt = torch.optim.Adam([z], lr=0.02)
    for _ in range(200):
        opt.zero_grad()
        f(z, t).backward()
        opt.step()
    assert procrustes(t.numpy(), z.detach().numpy())[2] < before / 10


def batch(net, n=12, **more):
    xs, xt = draw(n, 4, dtype=torch.float32), draw(n, 4, seed=1, dtype=torch.float32) + 1
    zs, zt = net.features(xs), net.features(xt)
    return Batch(
        xs=xs, xt=xt, ys=torch.arange(n) % C, zs=zs, zt=zt, ls=net.head(zs), lt=net.head(zt), net=net, terms={}, **more
    )


def network(seed=0):
    torch.manual_seed(seed)
    return Mlp((4,), C)


def test_rkd_starts_at_the_source_model_with_all_relations_kept():
    net, model = network(0), network(1)
    given = SimpleNamespace(model=model, n_classes=C)
    method = Rkd(inform=0.0)
    method.setup(net, given)
    assert all(bool((a == b).all()) for a, b in zip(net.parameters(), model.parameters(), strict=True))
    net.eval()
    assert method.omega(batch(net)).item() < 1e-12
    with torch.no_grad():
        net.body[1].weight.add_(draw(256, 4, seed=2, dtype=torch.float32))
    b = batch(net)
    loss = method.omega(b)
    expected = distance_loss(b.zt, model.eval().features(b.xt)) + 2 * angle_loss(b.zt, model.features(b.xt))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert loss.item() > 1e-3
    assert float(torch.autograd.grad(loss, net.body[1].weight)[0].abs().max()) > 0
    b = batch(net)
    informed = Rkd(distance=0.0, angle=0.0, inform=2.0)
    informed.setup(copy.deepcopy(net), given)
    assert informed.omega(b).item() == pytest.approx(-2 * information(b.lt).item())


LEARNER = Learner(net="mlp", budget=Budget(steps=150, batch_size=32), seed=0, use="net")


def fit(method, shift=1.0):
    y = torch.arange(120) % C
    Xs = draw(120, 5, dtype=torch.float32) + 4 * torch.eye(C, 5)[y]
    Xt = draw(120, 5, seed=1, dtype=torch.float32) + 4 * torch.eye(C, 5)[y] + shift
    fields = {"Xs": Xs, "ys": y, "Xt": Xt, "model": LEARNER.fit(Xs, y, C)}
    return method.fit(Task(fields, needs=method.needs, learner=LEARNER, n_classes=C)), fields


def test_rkd_keeps_more_of_the_figure_than_information_alone():
    kept = []
    for weight in (0.0, 10.0):
        method, fields = fit(Rkd(distance=weight, angle=2 * weight), shift=2.0)
        z, t = (net.embed(fields["Xt"]).double().numpy() for net in (method.model_, fields["model"]))
        kept.append(np.corrcoef(pdist(z), pdist(t))[0, 1])
    assert 1 - kept[1] < (1 - kept[0]) / 2


# Class relations ------------------------------------------------------------------------------------------------------


def test_relation_is_the_mean_softened_score_of_each_class():
    logits, y = 3 * draw(11, 4), torch.tensor([0, 1, 1, 3, 0, 1, 3, 3, 3, 0, 0])
    found = relation(logits, y, 4, 2.5).numpy()
    for c in range(4):
        members = [softmax(row / 2.5) for row, label in zip(logits.numpy(), y, strict=True) if label == c]
        np.testing.assert_allclose(found[c], np.mean(members, 0) if members else np.full(4, 0.25), rtol=1e-12)
    hard = relation(1e4 * torch.eye(4)[y], y, 4, 1.0)
    torch.testing.assert_close(hard[[0, 1, 3]], torch.eye(4)[[0, 1, 3]])  # a sure model relates nothing


@pytest.mark.reference(
    method="class_relation",
    source="Tzeng et al. 2015, eq. 4 to 8",
    compared="the soft-label loss by loops",
    differs="unlabelled target samples count under their present scores",
)
def test_soft_loss_is_a_loop_and_plain_cross_entropy_without_relations():
    logits, y, L = draw(6, 4), torch.tensor([0, 1, 2, 3, 0, 1]), softmax(draw(4, 4, seed=1).numpy(), 1)
    expected = np.mean(
        [
            -sum(L[c, i] * np.log(softmax(row / 2.0)[i]) for i in range(4))
            for row, c in zip(logits.numpy(), y, strict=True)
        ]
    )
    hard = torch.eye(4).double()[y]
    assert soft_loss(logits.float(), hard.float(), torch.from_numpy(L).float(), 2.0).item() == pytest.approx(expected)
    plain = soft_loss(logits.float(), hard.float(), torch.eye(4), 1.0)
    torch.testing.assert_close(plain, cross_entropy(logits.float(), y))
    p = softmax(draw(6, 4, seed=2).numpy(), 1)  # unlabelled: the mean over classes of the labelled losses
    mixed = np.mean([[soft_loss(logits[i : i + 1].float(), torch.eye(4)[[c]], torch.from_numpy(L).float(), 2.0).item()
                      for c in range(4)] for i in range(6)] * p * 4)  # fmt: skip
    found = soft_loss(logits.float(), torch.from_numpy(p).float(), torch.from_numpy(L).float(), 2.0)
    assert found.item() == pytest.approx(mixed, rel=1e-5)


def test_soft_loss_is_least_at_the_soft_label():
    L = torch.from_numpy(softmax(draw(4, 4, seed=1).numpy(), 1)).float()
    logits = draw(4, 4, dtype=torch.float32).requires_grad_()
    opt = torch.optim.Adam([logits], lr=0.1)
    for _ in range(400):
        opt.zero_grad()
        soft_loss(logits, torch.eye(4), L, 2.0).backward()
        opt.step()
    np.testing.assert_allclose(softmax(logits.detach().numpy() / 2.0, 1), L, atol=1e-3)


@pytest.mark.reference(
    method="class_relation",
    source="Tzeng et al. 2015, eq. 2 and 3; PyTorch's cross-entropies",
    compared="domain losses and who gets which gradient",
    differs="both in one step, theirs in turns",
)
def test_confusion_moves_features_and_telling_moves_the_discriminator():
    net, method = network(), ClassRelation(soft=0.0, confuse=1.0)
    method.setup(
        net, SimpleNamespace(model=network(1), n_classes=C, Xs=draw(9, 4, dtype=torch.float32), ys=torch.arange(9) % C)
    )
    b = batch(net)
    loss, critic = method.omega(b), list(method.discriminator_.parameters())
    z = torch.cat([b.zs, b.zt])
    logits = method.discriminator_(z)
    tells = nn.functional.binary_cross_entropy_with_logits(logits, torch.arange(24).lt(12).float())
    even = nn.functional.binary_cross_entropy_with_logits(logits, torch.full((24,), 0.5))
    assert undecided(logits).item() == pytest.approx(even.item())
    assert loss.item() == pytest.approx((tells + even).item(), rel=1e-5)
    features = torch.autograd.grad(loss, [b.zs, b.zt], retain_graph=True)
    for ours, theirs in zip(features, torch.autograd.grad(even, [b.zs, b.zt], retain_graph=True), strict=True):
        torch.testing.assert_close(ours, theirs)
        assert float(ours.abs().max()) > 0
    for ours, theirs in zip(torch.autograd.grad(loss, critic), torch.autograd.grad(tells, critic), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_labelled_target_samples_follow_their_own_class():
    net, method = network(), ClassRelation(soft=1.0, confuse=0.0)
    method.setup(
        net, SimpleNamespace(model=network(1), n_classes=C, Xs=draw(9, 4, dtype=torch.float32), ys=torch.arange(9) % C)
    )
    without = method.omega(batch(net))
    xl = draw(5, 4, seed=3, dtype=torch.float32)
    yl = torch.tensor([0, 1, 2, 0, 1])
    ll = net.head(net.features(xl))
    found = method.omega(batch(net, ll=ll, yl=yl)) - without
    p = softmax(ll.detach().double().numpy() / 2.0, 1)
    expected = np.mean([-(method.relation_[c].numpy() * np.log(row)).sum() for c, row in zip(yl, p, strict=True)])
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_the_relations_of_the_source_arrive_in_the_target():
    """Two classes are alike, one is not. The loss is least where softened scores are scores times the relations."""
    y = torch.arange(300) % C
    centres = torch.tensor([[4.0, 0.0, 0.0], [3.0, 1.0, 0.0], [0.0, 0.0, 6.0]])
    Xs = draw(300, 3, dtype=torch.float32) + centres[y]
    Xt = draw(300, 3, seed=1, dtype=torch.float32) + centres[y] + 0.5
    off = []
    for soft in (0.0, 10.0):
        method = ClassRelation(soft=soft)
        task = Task(
            {"Xs": Xs, "ys": y, "Xt": Xt, "model": LEARNER.fit(Xs, y, C)},
            needs=method.needs,
            learner=LEARNER,
            n_classes=C,
        )
        method.fit(task)
        L = method.relation_
        assert L[0, 1] > 2 * L[0, 2]
        with torch.no_grad():
            logits = method.model_.head(method.model_.embed(Xt)).float()
        off.append(float(((logits / 2).softmax(1) - logits.softmax(1) @ L).abs().mean()))
    assert off[1] < off[0] / 2
