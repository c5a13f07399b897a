"""Self-training and source-free methods: each Ω against loops, other libraries, or what its paper proves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import softmax
from torch import nn
from torch.nn.functional import cross_entropy

from tests.test_fidelity_deep_zoo import LEARNER, draw, fit
from zoo.adapters.feature.ada_bn import AdaBn
from zoo.adapters.feature.atdoc import neighbours
from zoo.adapters.feature.fixmatch import Fixmatch
from zoo.adapters.feature.nrc import Nrc
from zoo.adapters.feature.pseudo_label import PseudoLabel
from zoo.adapters.feature.shot import Shot, centre_labels, information
from zoo.adapters.feature.tent import Tent
from zoo.adapters.feature.vada import worst
from zoo.ops.augment import distorted
from zoo.task import Task
from zoo.train import Batch

# Self-training --------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="pseudo_label",
    source="Lee 2013, eq. 15 and 16",
    compared="Ω over progress, and with a threshold",
    differs="the ramp is over the run's progress, theirs over epochs 100 to 600",
)
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


@pytest.mark.reference(
    method="ada_bn",
    source="Li et al. 2017, algorithm 1",
    compared="statistics of the first norm by NumPy; scores of a source that was scaled and moved",
    differs="means over chunks of 512 where the target is larger",
)
def test_adabn_has_the_targets_statistics():
    """Of the first norm they are NumPy's; a target that is the source, scaled and moved, is scored as the source."""
    fitted, fields = fit(AdaBn())
    linear, norm = fitted.model_.body[1], fitted.model_.body[2]
    before = linear(fields["Xt"]).detach().numpy()
    np.testing.assert_allclose(norm.running_mean, before.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.running_var, before.var(0, ddof=1), rtol=1e-4)
    moved, plain = (AdaBn().fit(_free({**fields, "Xt": X})) for X in (3 * fields["Xs"] + 5, fields["Xs"]))
    torch.testing.assert_close(moved.predict(3 * fields["Xs"] + 5), plain.predict(fields["Xs"]), rtol=1e-3, atol=1e-4)
