"""Deep methods against their authors' formulas: the whole Ω, or the whole step, on random inputs, written anew."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax
from torch import nn

from zoo import nets, train
from zoo.adapters.feature.adda import Adda
from zoo.adapters.feature.atdoc import Atdoc
from zoo.adapters.feature.can import Can, contrast, matched, spherical_kmeans
from zoo.adapters.feature.ddc import Ddc
from zoo.adapters.feature.deep_coral import DeepCoral
from zoo.adapters.feature.deep_jdot import DeepJdot
from zoo.adapters.feature.homm import Homm
from zoo.nets._domains import SOURCE, TARGET, PerDomain, switch
from zoo.train import Batch, Budget


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def task(n=40, d=4, classes=3, model=None):
    y = torch.arange(n) % classes
    Xs = draw(n, d) + 3 * torch.eye(classes, d)[y]
    Xt = draw(n, d, seed=1) + 3 * torch.eye(classes, d)[y] + 1
    return SimpleNamespace(device=torch.device("cpu"), n_classes=classes, Xs=Xs, ys=y, Xt=Xt, model=model)


def mlp(d=4, classes=3, seed=0):
    torch.manual_seed(seed)
    return nets.build("mlp", (d,), classes)


def batch(method, data, net, n=12, progress=0.5, **more):
    b = Batch(
        xs=data.Xs[:n], ys=data.ys[:n], ws=None, xt=data.Xt[:n], idt=torch.arange(n), net=net, method=method,
        budget=Budget(), penalty=None, amp=torch.enable_grad, generator=torch.Generator().manual_seed(0), terms={},
        progress=progress, step=0, **more,
    )  # fmt: skip
    return b


# adda -----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="adda",
    source="Tzeng et al. 2017, eq. 9; erictzeng/adda: tools/train_adda.py, adda/adversary.py, scripts/svhn-mnist.sh",
    compared="one step of Adam (rate 2e-4 of 1e-3, β1 .5) on both objectives, 500-500 discriminator",
    differs="the discriminator reads features (eq. 9) and not logits; one logit in place of two",
)
def test_adda_takes_the_authors_step():
    torch.manual_seed(0)
    source = mlp().eval()
    data, net, method = task(model=source), mlp(seed=1), Adda()
    D = method.setup(net, data)
    assert [m.out_features for m in D if isinstance(m, nn.Linear)] == [500, 500, 1]
    net.train()
    E, C = copy.deepcopy(net), copy.deepcopy(D)
    opt = train.optimiser(train.parts(net, [D], method), Budget(), torch.device("cpu"), method.beta1)
    b = batch(method, data, net)
    method.step(net, opt, b)
    theirs = [torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (C, E.body)]
    zs, zt = source.features(b.xs).detach(), E.features(b.xt)
    p = torch.sigmoid(C(torch.cat([zs, zt])))
    right = torch.cat([torch.ones(12), torch.zeros(12)])
    losses = [-(y * p.log() + (1 - y) * (1 - p).log()).mean() for y in (right, 1 - right)]
    gradients = [
        torch.autograd.grad(x, list(m.parameters()), retain_graph=True)
        for x, m in zip(losses, (C, E.body), strict=True)
    ]
    for o, m, gs in zip(theirs, (C, E.body), gradients, strict=True):
        for q, g in zip(m.parameters(), gs, strict=True):
            q.grad = g
        o.step()
    for ours, other in ((D, C), (net.body, E.body)):
        for a, c in zip(ours.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, c, rtol=1e-4, atol=2e-6)


# can ------------------------------------------------------------------------------------------------------------------


def their_discrepancy(layers, classes, k, known, total):
    """Loops over class pairs; each pair has its own mean distance."""
    M = np.zeros((classes, classes))
    for S, T in layers:
        for a in range(classes):
            for c in range(classes):
                s, t = S[a * k : a * k + k], T[c * k : c * k + k]
                ss, tt, st = cdist(s, s) ** 2, cdist(t, t) ** 2, cdist(s, t) ** 2
                gamma = (ss.sum() + tt.sum() + 2 * st.sum()) / (4 * k * k - 2 * k)
                for width in (0.25, 0.5, 1, 2, 4):
                    M[a, c] += (
                        np.exp(-ss / gamma / width).mean()
                        + np.exp(-tt / gamma / width).mean()
                        - 2 * np.exp(-st / gamma / width).mean()
                    )
    inside = [c for c in range(classes) if known[c]]
    same = sum(M[c, c] for c in inside) / total
    return same - sum(M[a, c] for a in inside for c in inside if a != c) / (total * (total - 1))


@pytest.mark.reference(
    method="can",
    source="Kang et al. 2019, eq. 3 to 6; kgl-prml/Contrastive-Adaptation-Network: discrepancy/cdd.py, can_solver.py",
    compared="contrastive discrepancy of features and scores (rel. 1e-4); k-means, matching and filter by a loop",
    differs="100 steps between clusterings; no stop when clusters settle; features are the suite's bottleneck; "
    "where few classes are known others fill the batch, without a penalty",
)
@pytest.mark.parametrize("known", [[1, 1, 1, 1], [1, 0, 1, 1]])
def test_cans_discrepancy_is_the_loop_over_class_pairs(known):
    layers = [(draw(12, 5), draw(12, 5, seed=1) + 0.5)]
    layers.append((draw(12, 6, seed=2).softmax(1), draw(12, 6, seed=3).softmax(1)))
    expected = their_discrepancy([(s.numpy(), t.numpy()) for s, t in layers], 4, 3, known, 6)
    assert contrast(layers, torch.tensor(known).float(), 6).item() == pytest.approx(expected, rel=1e-4)


def their_clusters(Z, start):
    """Assign by cosine, sum, until the centres move by less than .005 on average."""

    def cos(A, B):
        return 0.5 * cdist(A, B, "cosine")

    centres = start
    while True:
        label = cos(Z, centres).argmin(1)
        moved = np.stack([Z[label == c].sum(0) if (label == c).any() else start[c] for c in range(len(start))])
        settled = np.mean(np.diag(cos(moved, centres))) < 0.005
        centres = moved
        if settled:
            break
    far, label = cos(Z, centres).min(1), cos(Z, centres).argmin(1)
    return linear_sum_assignment(cos(centres, start))[1][label], far


def test_cans_clusters_are_the_authors():
    Z = draw(80, 5).numpy() + 2 * np.eye(4, 5, dtype=np.float32)[np.arange(80) % 4]
    start = Z[:4] + 0.5 * draw(4, 5, seed=4).numpy()
    label, _ = their_clusters(Z, start)
    centres = spherical_kmeans(torch.from_numpy(Z), torch.from_numpy(start))
    cosine = nn.functional.normalize(torch.from_numpy(Z), dim=1) @ nn.functional.normalize(centres, dim=1).T
    own = 1 - nn.functional.normalize(centres, dim=1) @ nn.functional.normalize(torch.from_numpy(start), dim=1).T
    assert matched(own)[cosine.argmax(1)].tolist() == label.tolist()


def test_can_starts_from_the_source_model_and_knows_sure_samples_only():
    """Before: clusters of a network that knows nothing, all samples, one batch norm."""
    source = mlp()
    data, net, method = task(n=90, model=source.eval()), mlp(seed=1), Can(threshold=0.02)
    method.setup(net, data)
    assert torch.equal(net.head.weight, source.head.weight)
    method.refresh(net, data)
    zs, zt = (source.embed(X).numpy() for X in (data.Xs, data.Xt))
    start = np.stack([zs[data.ys == c].sum(0) for c in range(3)])
    label, far = their_clusters(zt, start)
    expected = np.eye(3)[label] * (far < 0.02)[:, None]
    assert 0 < expected.sum() < 90
    np.testing.assert_array_equal(method.target_.T, expected)
    assert method.known_.tolist() == [float(n >= 3) for n in expected.sum(0)]


def test_can_goes_on_between_two_clusterings():
    """A resumed training has what a checkpoint holds and what `setup` gave, and no new clusters yet."""
    data, method = task(model=mlp().eval()), Can()
    net = mlp(seed=1)
    method.setup(net, data)
    method.refresh(net, data)
    held = {k: v for k, v in vars(method).items() if k.endswith("_")}
    again, other = Can(), mlp(seed=2)
    again.setup(other, data)
    vars(again).update(held)
    losses = [
        m.step(n.train(), torch.optim.SGD(n.parameters(), lr=0.1), batch(m, data, n))
        for m, n in ((method, net), (again, other))
    ]
    torch.testing.assert_close(*losses)


def test_can_has_a_batch_norm_for_each_domain():
    source = mlp()
    data, net, method = task(model=source.eval()), mlp(seed=1), Can()
    method.setup(net, data)
    (norm,) = [m for m in net.modules() if isinstance(m, PerDomain)]
    method.refresh(net, data)
    net.train()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(5):
        method.step(net, opt, batch(method, data, net))
    (a, c) = norm.norms
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert not torch.equal(getattr(a, name), getattr(c, name)), name
    net.eval()
    assert norm.domain == TARGET, "predictions are by the target's"
    by = [net.predict(data.Xt)]
    switch(net, SOURCE)
    assert not torch.equal(by[0], net.predict(data.Xt))


# atdoc ----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="atdoc",
    source="Liang et al. 2021, eq. 4 to 6; tim-learn/ATDOC: demo_uda.py, atdoc_na",
    compared="loss and memory over three steps (rel. 1e-4): neighbours, weights, sharpening, evaluation mode",
    differs="nothing known",
)
def test_atdoc_is_the_authors_loop():
    data, net, method = task(classes=5), mlp(classes=5), Atdoc(weight=0.7, k=3)
    data.n_classes = 5
    memory = method.setup(net, data)
    memory.scores.copy_(draw(40, 5, seed=5).softmax(1))
    F, S = memory.features.numpy().copy(), memory.scores.numpy().copy()
    net.train()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    for i in range(3):
        b = batch(method, data, net, progress=0.25 * (i + 1))
        twin = copy.deepcopy(net)
        loss = method.step(net, opt, b).item()
        with torch.no_grad():
            ls, zt = twin(b.xs).numpy(), twin.features(b.xt)
            lt, zt = twin.head(zt).numpy(), zt.numpy()
        similar = zt @ F.T
        similar[np.arange(12), np.arange(12)] = similar.min()
        near = np.argsort(-similar, axis=1)[:, :3]
        mean = S[near].mean(1)
        sure, label = mean.max(1), mean.argmax(1)
        losses = -log_softmax(lt, axis=1)[np.arange(12), label]
        smooth = 0.9 * np.eye(5)[b.ys] + 0.1 / 5
        expected = -(smooth * log_softmax(ls, axis=1)).sum(1).mean()
        expected += 0.7 * b.progress * (sure * losses).sum() / sure.sum()
        assert loss == pytest.approx(expected, rel=1e-4)
        after = copy.deepcopy(net).eval()
        with torch.no_grad():
            z = after.features(b.xt).numpy()
            p = softmax(after(b.xt).numpy(), axis=1)
        F[:12], S[:12] = z / np.linalg.norm(z, axis=1, keepdims=True), p**2 / (p**2).sum(0)
        np.testing.assert_allclose(memory.features, F, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(memory.scores, S, rtol=1e-4, atol=1e-6)
        assert net.training


# homm -----------------------------------------------------------------------------------------------------------------


def moments(zs, zt, order):
    """Mean squared difference of the tensors of central moments."""
    letters = "abcdef"[:order]
    spec = ",".join("n" + c for c in letters) + "->" + letters
    tensors = [np.einsum(spec, *[z - z.mean(0)] * order) / len(z) for z in (zs, zt)]
    return np.square(tensors[0] - tensors[1]).mean()


@pytest.mark.reference(
    method="homm",
    source="Chen et al. 2020, eq. 5 to 12; chenchao666/HoMM-Master: HoMM_office/resnet/finetune.py, center_loss.py",
    compared="Ω with whole tensors by einsum and the centre loss by a loop, over three batches (rel. 1e-3)",
    differs="all entries instead of 300,000 drawn ones; the tanh layer of 180 is on the suite's features",
)
@pytest.mark.parametrize("order", [3, 4])
def test_homm_is_the_authors_with_whole_tensors(order):
    method = Homm(weight=30.0, order=order, clustering=2.0)
    method.centres_ = nn.Module()
    method.centres_.register_buffer("of", torch.zeros(3, 6))
    centres = np.zeros((3, 6))
    for i in range(3):
        zs, zt = draw(9, 6, seed=i).tanh(), (draw(8, 6, seed=10 + i) + 0.3).tanh()
        lt = 4 * draw(8, 3, seed=20 + i)
        p = softmax(lt.numpy(), axis=1)
        rows = [j for j in range(8) if p[j].max() > 0.75]
        assert 0 < len(rows) < 8
        label = p.argmax(1)
        expected = 30 * moments(zs.numpy(), zt.numpy(), order)
        expected += 2 * sum(np.square(zt[j].numpy() - centres[label[j]]).sum() / 2 for j in rows) / (3 * 8)
        counts = np.bincount(label[rows], minlength=3)
        move = np.zeros((3, 6))
        for j in rows:
            move[label[j]] += 0.2 * (centres[label[j]] - zt[j].numpy()) / (1 + counts[label[j]])
        centres -= move
        assert method.omega(Batch(zs=zs, zt=zt, lt=lt, progress=0.5)).item() == pytest.approx(expected, rel=1e-3)
        np.testing.assert_allclose(method.centres_.of, centres, rtol=1e-4, atol=1e-6)


def test_homm_does_not_see_a_shift_of_the_mean():
    zs = draw(30, 180)
    data, net, method = task(), mlp(), Homm()
    method.setup(net, data)
    assert net.width == 180
    assert net.features(data.Xs).abs().max() < 1
    shifted = Batch(zs=zs, zt=zs + 0.7, lt=torch.zeros(30, 3), progress=0.0)
    assert method.omega(shifted).item() == pytest.approx(0, abs=1e-4)


# deep_jdot ------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="deep_jdot",
    source="Damodaran et al. 2018, eq. 6 and 7; bbdamodaran/deepJDOT: Deepjdot.py, deepjdot_svhn_mnist.py",
    compared="Ω: POT's plan of α|z-z'|² + |y-p|², then α|z-z'|² + λ·cross-entropy under it (rel. 1e-6)",
    differs="the plan is of the training pass, theirs of one in evaluation mode; batches of the suite's size",
)
@pytest.mark.parametrize("sizes", [(12, 12), (12, 9)])
def test_deep_jdot_is_pots_plan_of_the_authors_cost(sizes):
    zs, zt = draw(sizes[0], 30, dtype=torch.float64), draw(sizes[1], 30, seed=1, dtype=torch.float64) + 0.5
    ys, lt = torch.arange(sizes[0]) % 3, 2 * draw(sizes[1], 3, seed=2, dtype=torch.float64)
    D, p = cdist(zs, zt, "sqeuclidean"), softmax(lt.numpy(), axis=1)
    gamma = ot.emd(ot.unif(sizes[0]), ot.unif(sizes[1]), 0.001 * D + cdist(np.eye(3)[ys], p, "sqeuclidean"))
    expected = (gamma * (0.001 * D - 0.0001 * np.eye(3)[ys] @ np.log(p).T)).sum()
    b = Batch(zs=zs, zt=zt, lt=lt, ys=ys)
    assert DeepJdot().omega(b).item() == pytest.approx(expected, rel=1e-6)
    assert DeepJdot.balanced


def test_deep_jdots_plan_heeds_labels():
    """Before, the labels were about a hundredth of the cost's deviation: the plan was that of the features."""
    source = mlp()
    data, net = task(model=source.eval()), mlp(seed=1)
    DeepJdot().setup(net, data)
    assert torch.equal(net.head.weight, source.head.weight)
    y = torch.arange(30) % 3
    zs, zt = draw(30, 256, dtype=torch.float64), draw(30, 256, seed=1, dtype=torch.float64)
    seen = []
    method = DeepJdot()
    plain = method.plan
    method.plan = lambda C: seen.append(plain(C)) or seen[-1]
    method.omega(Batch(zs=zs, zt=zt, lt=6 * torch.eye(3).double()[y.flip(0)], ys=y))
    labels = torch.eye(3).double()[y]
    kept = (seen[0] * (labels @ labels.flip(0).T)).sum()
    assert kept > 0.95, "mass goes to samples that are scored as the source's labels say"


# ddc and deep_coral ---------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="ddc",
    source="Tzeng et al. 2014, eq. 1 and 2 (AlexNet: no batch norm)",
    compared="the features of the source do not depend on the target's batch",
    differs="the suite's network has batch norm; each domain has its own pass",
)
@pytest.mark.reference(
    method="deep_coral",
    source="Sun and Saenko 2016, eq. 1 (AlexNet: no batch norm)",
    compared="the features of the source do not depend on the target's batch",
    differs="the suite's network has batch norm; each domain has its own pass",
)
@pytest.mark.parametrize("method", [Ddc(), DeepCoral()], ids=repr)
def test_a_pass_of_the_source_does_not_depend_on_the_target(method):
    data, net = task(), mlp().train()
    found = []
    for shift in (0.0, 50.0):
        b = batch(method, data, net)
        b.xt = b.xt + shift
        train.forward(net, b)
        found.append(b.zs)
    assert torch.equal(*found)
    assert math.isfinite(float(method.omega(b).detach()))
