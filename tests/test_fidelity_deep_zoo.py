"""Deep methods that align: each Ω against loops, other libraries, closed forms, or what its paper proves."""

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

from zoo.adapters.feature.afn import Afn, longer
from zoo.adapters.feature.bsp import Bsp, spectral
from zoo.adapters.feature.cdan import Cdan
from zoo.adapters.feature.cmd import Cmd, central_moments
from zoo.adapters.feature.dsan import Dsan, local_mmd2
from zoo.adapters.feature.homm import moment_gap
from zoo.adapters.feature.mdd import Mdd, disagreement
from zoo.adapters.feature.mme import Mme
from zoo.adapters.feature.shot import information
from zoo.adapters.feature.symnets import Symnets, confusion, entropy, tells, within_class
from zoo.adapters.feature.toalign import decisive
from zoo.adapters.feature.wdgrl import gap, gradient_penalty
from zoo.learners import Learner
from zoo.nets.mlp import Mlp
from zoo.ops.adversary import discriminator
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


@pytest.mark.reference(
    method="cmd",
    source="Zellinger et al. 2017; scipy.stats.moment",
    compared="the discrepancy of five moments",
    differs="the features' range counts as 1, which tanh's is 2 of",
)
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


@pytest.mark.reference(
    method="bsp",
    source="Chen et al. 2019, eq. 6 and 7; numpy.linalg.svd",
    compared="what Ω has above cdan's",
    differs="as cdan",
)
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


@pytest.mark.reference(
    method="symnets",
    source="Zhang et al. 2019, eq. 5 to 11; scikit-learn's log_loss, scipy.stats.entropy",
    compared="the losses, each by itself; not the whole step",
    differs="nothing known",
)
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
