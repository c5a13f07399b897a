"""The rest of the deep zoo: each Ω against loops, other libraries, closed forms, or what its paper proves."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import softmax
from torch import nn
from torch.nn.functional import cross_entropy

from zoo.adapters.feature.ada_bn import AdaBn
from zoo.adapters.feature.afn import Afn, longer
from zoo.adapters.feature.atdoc import neighbours
from zoo.adapters.feature.bsp import Bsp, spectral
from zoo.adapters.feature.cdan import Cdan
from zoo.adapters.feature.cmd import Cmd, central_moments
from zoo.adapters.feature.dsan import Dsan, local_mmd2
from zoo.adapters.feature.fixmatch import Fixmatch
from zoo.adapters.feature.homm import moment_gap
from zoo.adapters.feature.mdd import Mdd, disagreement
from zoo.adapters.feature.mme import Mme
from zoo.adapters.feature.nrc import Nrc
from zoo.adapters.feature.pseudo_label import PseudoLabel
from zoo.adapters.feature.shot import Shot, centre_labels, information
from zoo.adapters.feature.symnets import Symnets, confusion, entropy, tells, within_class
from zoo.adapters.feature.tent import Tent
from zoo.adapters.feature.toalign import decisive
from zoo.adapters.feature.vada import worst
from zoo.adapters.feature.wdgrl import gap, gradient_penalty
from zoo.learners import Learner
from zoo.nets.mlp import Mlp
from zoo.ops.adversary import discriminator
from zoo.ops.augment import distorted
from zoo.ops.mmd import mmd2
from zoo.task import Task
from zoo.train import Batch, Budget


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def toy(shift=1.0, n=90, d=5):
    y = torch.arange(n) % 3
    Xs = draw(n, d, dtype=torch.float32) + 4 * torch.eye(3, d)[y]
    return Xs, y, draw(n, d, seed=1, dtype=torch.float32) + 4 * torch.eye(3, d)[y] + shift


LEARNER = Learner(net="mlp", budget=Budget(steps=120, batch_size=32), seed=0, use="net")


def fit(method, shift=1.0):
    Xs, y, Xt = toy(shift)
    fields = {"Xs": Xs, "ys": y, "Xt": Xt, "Xl": Xt[:9], "yl": y[:9], "model": LEARNER.fit(Xs, y, 3)}
    return method.fit(Task(fields, needs=method.needs, learner=LEARNER, n_classes=3)), fields


# Gradients ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [Cmd(), Dsan()])
def test_following_the_gradient_brings_the_domains_together(method):
    """The figure is outside: the distance of the domains' means, which none of these penalties is."""
    zs = draw(60, 4, dtype=torch.float32).requires_grad_()
    zt = (draw(60, 4, seed=1, dtype=torch.float32) + 1.0).requires_grad_()
    y = torch.arange(60) % 3
    b = Batch(zs=zs, zt=zt, ys=y, lt=10 * torch.eye(3)[y], progress=0.9, generator=None)
    method.setup(None, SimpleNamespace(n_classes=3))
    assert all(float(g.abs().max()) > 0 for g in torch.autograd.grad(method.omega(b), [zs, zt]))
    before = float((zs.mean(0) - zt.mean(0)).detach().norm())
    opt = torch.optim.Adam([zs, zt], lr=0.02)
    for _ in range(200):
        opt.zero_grad()
        method.omega(b).backward()
        opt.step()
    assert float((zs.mean(0) - zt.mean(0)).detach().norm()) < before / 3


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: central_moments(x, y, 5),
        lambda x, y: moment_gap(x, y, 3),
        lambda x, y: local_mmd2(_gauss(x, y), torch.eye(3).double()[LABELS], torch.eye(3).double()[LABELS]),
        lambda x, y: spectral(x, 1) + spectral(y, 1),
        lambda x, y: disagreement(x.detach(), y.detach(), x, y, 4.0),
        lambda x, y: tells(x.log_softmax(1), y.log_softmax(1)) + confusion(y.log_softmax(1)),
        lambda x, y: within_class(x.log_softmax(1), LABELS % 2) + entropy(y.log_softmax(1)),
        lambda x, y: information(x) + information(y),
    ],
)
def test_gradcheck(f):
    x, y = draw(6, 4).requires_grad_(), (draw(6, 4, seed=1) + 1).requires_grad_()
    assert torch.autograd.gradcheck(f, (x, y))


LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def _gauss(x, y):
    z = torch.cat([x, y])
    return torch.exp(-torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist").square().add(0) / 4)


# Alignment ------------------------------------------------------------------------------------------------------------


def test_cmd_has_scipys_moments():
    X, Y = draw(30, 4).tanh(), draw(20, 4, seed=1).tanh()
    expected = np.linalg.norm(X.mean(0) - Y.mean(0)) + sum(
        np.linalg.norm(stats.moment(X.numpy(), k) - stats.moment(Y.numpy(), k)) for k in range(2, 6)
    )
    assert central_moments(X, Y, 5).item() == pytest.approx(expected, rel=1e-5)


def test_homm_is_the_distance_of_whole_tensors():
    X, Y = draw(9, 4), draw(7, 4, seed=1)
    tensors = [torch.einsum("ni,nj,nk->ijk", Z, Z, Z) / len(Z) for Z in (X, Y)]
    assert moment_gap(X, Y, 3).item() == pytest.approx(float((tensors[0] - tensors[1]).square().sum()))
    assert moment_gap(X, Y, 1).item() == pytest.approx(float((X.mean(0) - Y.mean(0)).square().sum()))


def test_local_mmd_is_the_mean_over_classes_of_a_loop():
    zs, zt, ys = draw(8, 3), draw(9, 3, seed=1), torch.tensor([0, 1, 1, 0, 3, 3, 1, 0])
    K, P = _gauss(zs, zt), draw(9, 4, seed=2).softmax(1)
    found = []
    for c in set(ys.tolist()) & set(P.argmax(1).tolist()):
        ws, wt = (ys == c).double() / (ys == c).sum(), P[:, c] / P[:, c].sum()
        found.append(ws @ K[:8, :8] @ ws + wt @ K[8:, 8:] @ wt - 2 * ws @ K[:8, 8:] @ wt)
    assert local_mmd2(K, torch.eye(4).double()[ys], P).item() == pytest.approx(np.mean(found))
    one = torch.ones(8, 1).double(), torch.ones(9, 1).double()
    assert local_mmd2(K, *one).item() == pytest.approx(mmd2(K, 8, unbiased=False).item())  # one class: the MMD


def test_the_critic_finds_the_wasserstein_distance_of_gaussians():
    """W1 of N(0, 1) and N(2, 1) is 2; of the samples, SciPy says."""
    torch.manual_seed(0)
    zs, zt = draw(400, 1, dtype=torch.float32), draw(400, 1, seed=1, dtype=torch.float32) + 2
    critic, g = discriminator(1, 64), torch.Generator().manual_seed(0)
    opt = torch.optim.Adam(critic.parameters(), lr=3e-3)
    for _ in range(600):
        opt.zero_grad()
        (10 * gradient_penalty(critic, zs, zt, g) - gap(critic, zs, zt)).backward()
        opt.step()
    exact = stats.wasserstein_distance(zs[:, 0].numpy(), zt[:, 0].numpy())
    assert exact == pytest.approx(2, abs=0.15)
    assert gap(critic, zs, zt).item() == pytest.approx(exact, rel=0.1)  # the penalty allows a little more than slope 1


def test_mdd_is_its_loop_and_its_equilibrium_the_papers():
    """Where domains are equal the best adversary gives the classifier's decision γ / (1 + γ) (Zhang et al., eq. 24)."""
    ls, lt, fs, ft = (draw(6, 4, seed=s) for s in range(4))
    source = [-np.log(softmax(f)[int(h.argmax())]) for h, f in zip(ls, fs.numpy(), strict=True)]
    target = [-np.log(1 - softmax(f)[int(h.argmax())]) for h, f in zip(lt, ft.numpy(), strict=True)]
    assert disagreement(ls, lt, fs, ft, 4.0).item() == pytest.approx(4 * np.mean(source) + np.mean(target))
    f = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.Adam([f], lr=0.05)
    h = torch.tensor([[1.0, 0, 0]])
    for _ in range(800):
        opt.zero_grad()
        disagreement(h, h, f, f, 4.0).backward()
        opt.step()
    assert f.softmax(1)[0, 0].item() == pytest.approx(4 / 5, abs=1e-3)


def test_mdd_reverses_the_features_gradient_only():
    torch.manual_seed(0)
    method, net = Mdd(weight=1.0), Mlp((2,), 3)
    method.setup(net, SimpleNamespace(n_classes=3)).eval()  # no dropout
    zs, zt = (draw(8, 256, seed=s, dtype=torch.float32).requires_grad_() for s in (0, 1))
    b = Batch(zs=zs, zt=zt, ls=draw(8, 3, seed=2), lt=draw(8, 3, seed=3), progress=1.0)
    gradient = torch.autograd.grad(method.omega(b), [zs, zt])
    plain = disagreement(b.ls, b.lt, method.adversary_(zs), method.adversary_(zt), 4.0)
    for g, g0 in zip(gradient, torch.autograd.grad(plain, [zs, zt]), strict=True):
        torch.testing.assert_close(g, -g0, rtol=1e-3, atol=1e-6)
        assert float(g.abs().max()) > 0


def test_bsp_is_cdan_with_numpys_singular_values():
    Z = draw(7, 5)
    assert spectral(Z, 2).item() == pytest.approx(float(np.square(np.linalg.svd(Z.numpy())[1][:2]).sum()))
    torch.manual_seed(0)
    net, b = Mlp((2,), 3), Batch(**{k: draw(8, 256, seed=i, dtype=torch.float32) for i, k in enumerate(("zs", "zt"))})
    b.ls, b.lt, b.progress = draw(8, 3, seed=2).float(), draw(8, 3, seed=3).float(), 0.5
    bsp, cdan = Bsp(beta=0.1), Cdan()
    for m in (bsp, cdan):
        m.setup(net, SimpleNamespace(n_classes=3))
    cdan.discriminator_.load_state_dict(bsp.discriminator_.state_dict())
    more = sum(np.linalg.svd(z.numpy())[1][0] ** 2 for z in (b.zs, b.zt))
    assert (bsp.omega(b) - cdan.omega(b)).item() == pytest.approx(0.1 * more, rel=1e-4)


def test_afn_pushes_every_norm_by_the_same_step():
    Z = draw(6, 4).requires_grad_()
    (g,) = torch.autograd.grad(longer(Z, 1.5), Z)
    torch.testing.assert_close(g, -2 * 1.5 * Z / Z.norm(dim=1, keepdim=True) / len(Z))
    norms = [m.model_.embed(f["Xt"]).norm(dim=1).mean() for m, f in (fit(Afn(weight=w)) for w in (0.5, 0.0))]
    assert norms[0] > 1.1 * norms[1]


# Adversarial, with classes --------------------------------------------------------------------------------------------


def test_symnets_losses_are_cross_entropies_of_scikit_learn():
    from sklearn.metrics import log_loss

    p, q = draw(6, 8).log_softmax(1), draw(6, 8, seed=1).log_softmax(1)
    source = torch.cat([p, q]).exp()[:, :4].sum(1)
    domain = [1] * 6 + [0] * 6
    assert tells(p, q).item() == pytest.approx(2 * log_loss(domain, source.numpy()))
    half = [log_loss([d] * 6, q.exp()[:, :4].sum(1).numpy(), labels=[0, 1]) for d in (0, 1)]
    assert confusion(q).item() == pytest.approx(np.mean(half))
    assert confusion(torch.zeros(2, 8).log_softmax(1)).item() == pytest.approx(math.log(2))
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    assert within_class(p, y).item() == pytest.approx((cross_entropy(p, y) + cross_entropy(p, y + 4)).item() / 2)
    both = q.exp()[:, :4] + q.exp()[:, 4:]
    assert entropy(q).item() == pytest.approx(np.mean(stats.entropy(both.numpy(), axis=1)))


def test_symnets_predicts_by_the_targets_classifier():
    fitted, fields = fit(Symnets())
    z = fitted.model_.embed(fields["Xt"])
    torch.testing.assert_close(fitted.predict(fields["Xt"]), fitted.target_(z).softmax(1))
    assert float((fitted.predict(fields["Xt"]).argmax(1) == fields["ys"]).float().mean()) > 0.9


def test_toalign_multiplies_by_the_true_classs_weights():
    z, y = draw(6, 4).requires_grad_(), torch.tensor([0, 1, 2, 0, 1, 2])
    head = nn.Linear(4, 3).double()
    part = decisive(Batch(zs=z, ys=y, net=SimpleNamespace(head=head)))
    raw = (head.weight[y] * z).detach().numpy()
    expected = raw * np.linalg.norm(z.detach().numpy(), axis=1, keepdims=True) / np.linalg.norm(raw, axis=1)[:, None]
    np.testing.assert_allclose(part.detach().numpy(), expected)
    assert float(torch.autograd.grad(part.sum(), z)[0].abs().min()) > 0


def test_mme_moves_classifier_and_features_apart():
    """The classifier's gradient step raises the target's entropy, the features' step lowers it."""
    torch.manual_seed(0)
    net = Mlp((5,), 3)
    method = Mme()
    method.setup(net, SimpleNamespace(n_classes=3))
    z = draw(20, 256, dtype=torch.float32).requires_grad_()

    def scored(z):
        return float(np.mean(stats.entropy(net.head(z).softmax(1).detach().numpy(), axis=1)))

    before = scored(z)
    gz, gw = torch.autograd.grad(method.omega(Batch(zt=z, net=net)), [z, net.head.weight])
    assert scored(z - 10 * gz) < before
    with torch.no_grad():
        net.head.weight -= 0.1 * gw
    assert scored(z) > before


# Self-training --------------------------------------------------------------------------------------------------------


def test_pseudo_labels_count_from_a_tenth_of_the_steps_on():
    logits = draw(6, 3)
    loss = cross_entropy(logits, logits.argmax(1)).item()

    def at(progress, **options):
        return float(PseudoLabel(weight=2.0, **options).omega(Batch(lt=logits, progress=progress)))

    assert at(0.05) == 0
    assert at(0.35) == pytest.approx(loss, rel=1e-5)  # half of 2
    assert at(0.9) == pytest.approx(2 * loss, rel=1e-5)
    sure = logits.softmax(1).max(1).values
    above = [cross_entropy(x, x.argmax()).item() if s >= 0.6 else 0.0 for x, s in zip(logits, sure, strict=True)]
    assert at(0.9, threshold=0.6) == pytest.approx(2 * np.mean(above), rel=1e-5)


def test_atdocs_neighbours_are_scikit_learns():
    from sklearn.neighbors import NearestNeighbors

    Z = nn.functional.normalize(draw(30, 4), dim=1)
    own = torch.tensor([3, 17, 5])
    theirs = NearestNeighbors(n_neighbors=6, metric="cosine").fit(Z.numpy()).kneighbors(Z[own].numpy())[1][:, 1:]
    assert neighbours(Z[own].clone(), Z, own, 5).tolist() == theirs.tolist()
    assert neighbours(Z[:1], Z[:1], torch.tensor([0]), 5).shape == (1, 0)


def test_fixmatch_counts_sure_samples_only():
    weak, strong = torch.tensor([[9.0, 0.0], [0.1, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    loss = Fixmatch().omega(Batch(lt=weak, lt2=strong))
    assert loss.item() == pytest.approx(cross_entropy(strong[:1], torch.tensor([0])).item() / 2)


@pytest.mark.parametrize("shape", [(7,), (1, 16, 16), (3, 20, 12)])
def test_a_distorted_view_is_of_the_same_kind(shape):
    x = torch.rand(8, *shape, generator=torch.Generator().manual_seed(0))
    views = [distorted(x, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert views[0].shape == x.shape
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])
    assert all(not torch.equal(a, b) for a, b in zip(views[0], x, strict=True))
    if len(shape) == 3:
        assert float(views[0].min()) >= -0.5
        assert float(views[0].max()) <= 1.5
        whole = distorted((255 * x).to(torch.uint8), torch.Generator().manual_seed(1))
        assert whole.dtype == torch.uint8
        # What an image shows stays recognisable: nearer to its own distorted view than to the mean of the others'.
        flat, mean = (views[0] - x).flatten(1).norm(dim=1), (x.mean(0) - x).flatten(1).norm(dim=1)
        assert float(flat.mean()) < 2 * float(mean.mean())


def test_distorted_images_of_no_change_are_the_images(monkeypatch):
    from zoo.ops import augment

    for name in ("TURN", "SCALE", "MOVE", "CONTRAST"):
        monkeypatch.setattr(augment, name, 0.0)
    monkeypatch.setattr(augment, "HOLE", -1.0)
    x = torch.rand(4, 3, 9, 12)
    torch.testing.assert_close(augment.distorted(x, torch.Generator()), x, rtol=1e-4, atol=1e-5)


def test_virtual_adversarial_directions_are_worse_than_random_ones():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 3))
    x = draw(40, 20, dtype=torch.float32)
    found = worst(net, x, net(x), 0.1, torch.Generator().manual_seed(0)).item()
    size = float(x.std(0, correction=0).square().mean().sqrt()) * math.sqrt(20)
    before = net(x).log_softmax(1).detach()
    random = []
    for seed in range(200):
        r = nn.functional.normalize(draw(40, 20, seed=seed, dtype=torch.float32), dim=1)
        after = net(x + 0.1 * size * r).log_softmax(1)
        random.append((before.exp() * (before - after)).sum(1).mean().item())
    assert found > 2 * np.mean(random)
    assert found > max(random)


# Source-free ----------------------------------------------------------------------------------------------------------


def test_information_is_scipys_mutual_information():
    logits = draw(12, 4)
    p = softmax(logits.numpy(), axis=1)
    expected = stats.entropy(p.mean(0)) - np.mean(stats.entropy(p, axis=1))
    assert information(logits).item() == pytest.approx(expected)
    sure = information(100 * torch.eye(4).repeat(3, 1)).item()
    assert sure == pytest.approx(math.log(4))  # certain, and of all classes: as much as there can be


def test_shots_centres_are_a_loops():
    from scipy.spatial.distance import cdist

    Z, P = draw(20, 3) + 2, draw(20, 4, seed=1).softmax(1)
    F = np.concatenate([Z.numpy(), np.ones((20, 1))], 1)
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    soft = P.numpy()
    first = cdist(F, [(soft[:, [c]] * F).sum(0) / soft[:, c].sum() for c in range(4)], "cosine").argmin(1)
    seen = sorted(set(first))
    second = cdist(F, [F[first == c].mean(0) for c in seen], "cosine").argmin(1)
    assert centre_labels(Z, P).tolist() == [seen[i] for i in second]


def test_shot_keeps_the_classifier_and_raises_information():
    fitted, fields = fit(Shot())
    for p, p0 in zip(fitted.model_.head.parameters(), fields["model"].head.parameters(), strict=True):
        assert torch.equal(p, p0)
    logits = [m(fields["Xt"]).detach() for m in (fitted.model_, fields["model"].eval())]
    assert information(logits[0]) > information(logits[1])


def test_nrc_is_a_loop():
    method = Nrc(k=2, m=2, weak=0.1)
    memory = method.memory_ = nn.Module()
    Z, S = nn.functional.normalize(draw(9, 3).float(), dim=1), draw(9, 4, seed=1).float().softmax(1)
    memory.register_buffer("features", Z.clone())
    memory.register_buffer("scores", S.clone())
    idt = torch.tensor([4, 0, 7])
    b = Batch(zt=Z[idt] * 3, lt=S[idt].log(), idt=idt)

    def near(i, k):
        order = np.argsort(-(Z.numpy() @ Z[i].numpy()), kind="stable")
        return [j for j in order if j != i][:k]

    agree = []
    for i in idt.tolist():
        total = 0.0
        for j in near(i, 2):
            total += (1.0 if i in near(j, 2) else 0.1) * float(S[j] @ S[i])
            total += sum(0.1 * float(S[q] @ S[i]) for q in near(j, 2))
        agree.append(total)
    expected = -np.mean(agree) - stats.entropy(S[idt].mean(0).numpy())
    assert method.omega(b).item() == pytest.approx(expected, rel=1e-5)


def test_tent_moves_scales_and_shifts_and_the_entropy_falls():
    fitted, fields = fit(Tent(), shift=2.0)
    moved = {
        name
        for (name, p), p0 in zip(fitted.model_.named_parameters(), fields["model"].parameters(), strict=True)
        if not torch.equal(p, p0)
    }
    assert moved == {"body.2.weight", "body.2.bias"}
    entropies = [np.mean(stats.entropy(m.predict(fields["Xt"]), axis=1)) for m in (fitted, AdaBn().fit(_free(fields)))]
    assert entropies[0] < entropies[1]  # below what the target's statistics alone give


def _free(fields):
    return Task(fields, needs={"model", "Xt"}, learner=LEARNER, n_classes=3)


def test_adabn_has_the_targets_statistics():
    """Of the first norm they are NumPy's; a target that is the source, scaled and moved, is scored as the source."""
    fitted, fields = fit(AdaBn())
    linear, norm = fitted.model_.body[1], fitted.model_.body[2]
    before = linear(fields["Xt"]).detach().numpy()
    np.testing.assert_allclose(norm.running_mean, before.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.running_var, before.var(0, ddof=1), rtol=1e-4)
    moved, plain = (AdaBn().fit(_free({**fields, "Xt": X})) for X in (3 * fields["Xs"] + 5, fields["Xs"]))
    torch.testing.assert_close(moved.predict(3 * fields["Xs"] + 5), plain.predict(fields["Xs"]), rtol=1e-3, atol=1e-4)
