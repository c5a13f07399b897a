"""The parameter family: each tuning against its limits, closed forms, loops, or another tuning that it must equal."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from zoo import nets, train
from zoo.adapters.parameter.bi_tuning import BiTuning, contrast
from zoo.adapters.parameter.bss import Bss, smallest
from zoo.adapters.parameter.co_tuning import CoTuning, relation
from zoo.adapters.parameter.delta import Delta, worth
from zoo.adapters.parameter.fine_tune import FineTune
from zoo.adapters.parameter.gradual_unfreeze import GradualUnfreeze
from zoo.adapters.parameter.l2_sp import L2Sp
from zoo.adapters.parameter.linear_probe import LinearProbe
from zoo.adapters.parameter.lora import Lora, LowRank
from zoo.adapters.parameter.lp_ft import LpFt
from zoo.adapters.parameter.lwf import Lwf, distillation
from zoo.adapters.parameter.stoch_norm import Stochastic, StochNorm
from zoo.adapters.parameter.surgical import Surgical, relative_gradients
from zoo.errors import BadInput, Unsupported
from zoo.learners import Learner
from zoo.nets.mlp import Mlp
from zoo.task import Task
from zoo.train import Batch, Budget


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def source(seed=0):
    torch.manual_seed(seed)
    net = Mlp((5,), 3)
    y = torch.arange(90) % 3
    X = draw(90, 5) + 3 * torch.eye(3, 5)[y]
    train.run(net, train.Streams(s=(X, y)), Budget(steps=60, batch_size=32))
    return net


SOURCE, Y = source(), torch.arange(30) % 3
X = draw(30, 5, seed=3) + 3 * torch.eye(3, 5)[(Y + 1) % 3] + 0.5  # the classes mean something else here


def tuned(method, model=SOURCE, steps=60, X=X, y=Y, **budget):
    learner = Learner(net="mlp", budget=Budget(steps=steps, batch_size=32, **budget), seed=0, use="net")
    fields = {"model": copy.deepcopy(model), "Xl": X, "yl": y}
    return method.fit(Task(fields, needs=method.needs, learner=learner, n_classes=3)).model_


def moved(net, model=SOURCE):
    before = dict(model.named_parameters())
    return {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}


def distance(net, model=SOURCE):
    pairs = zip(net.parameters(), model.parameters(), strict=True)
    return float(torch.stack([(p - p0).detach().square().sum() for p, p0 in pairs]).sum().sqrt())


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# What moves -----------------------------------------------------------------------------------------------------------


def test_a_linear_probe_moves_the_classifier_and_nothing_else():
    net = tuned(LinearProbe())
    assert moved(net) == {"head.weight", "head.bias"}
    assert torch.equal(net.body[2].running_mean, SOURCE.body[2].running_mean)


@pytest.mark.reference(
    method="linear_probe",
    source="scikit-learn's LogisticRegression",
    compared="scores at the end of a long training (abs. .03)",
    differs="nothing known",
)
def test_a_linear_probe_ends_in_scikit_learns_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    y = torch.from_numpy(np.random.default_rng(0).integers(0, 3, 200))  # noise, so that the optimum is finite
    points = draw(200, 5, seed=9)
    small = Mlp((5,), 3)
    small.body, small.head, small.width = nn.Sequential(nn.Identity()), nn.Linear(5, 3), 5
    net = tuned(LinearProbe(), small, steps=3000, X=points, y=y, learning_rate=0.02)
    theirs = LogisticRegression(C=1e6, max_iter=5000).fit(points.numpy(), y.numpy()).predict_proba(points.numpy())
    np.testing.assert_allclose(net.predict(points).numpy(), theirs, atol=0.03)


def test_lp_ft_has_its_two_halves():
    assert moved(tuned(LpFt(probe=1.0))) == {"head.weight", "head.bias"}  # a linear probe
    assert same(tuned(LpFt(probe=1.0)), tuned(LinearProbe()))
    assert same(tuned(LpFt(probe=0.0, rate=0.3, lower=0.3)), tuned(FineTune()))
    assert len(moved(tuned(LpFt()))) == len(list(SOURCE.parameters()))


def test_gradual_unfreezing_is_fine_tuning_where_all_starts_at_once():
    assert same(tuned(GradualUnfreeze(share=0.0, rate=0.3, decay=0.3)), tuned(FineTune()))
    rates = GradualUnfreeze().groups(nets.build("cnn", (1, 8, 8), 3))
    assert [g["start"] for g in rates] == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6])  # head, hidden layer, convolutions
    assert [g["rate"] for g in rates] == pytest.approx([2.6**-i for i in range(4)], rel=1e-3)


def test_a_group_moves_from_its_start_on():
    net = copy.deepcopy(SOURCE)
    at = {}

    class Spy(train.Watch):
        def tell(self, step, steps, terms):
            at[step] = moved(net), float((net.body[2].running_mean - SOURCE.body[2].running_mean).abs().max())

    groups = LpFt(probe=0.5).groups(net)
    train.run(net, train.Streams(l=(X, Y)), Budget(steps=40, batch_size=32), groups=groups, watch=Spy())
    assert at[20] == ({"head.weight", "head.bias"}, 0.0)  # statistics are frozen as well
    assert len(at[22][0]) == 6
    assert at[22][1] > 0


def test_surgery_tunes_one_block():
    assert moved(tuned(Surgical("first"))) == {"body.1.weight", "body.1.bias", "body.2.weight", "body.2.bias"}
    assert moved(tuned(Surgical("head"))) == {"head.weight", "head.bias"}
    with pytest.raises(BadInput, match="surgical: block is 'auto', 'first'"):
        tuned(Surgical("frist"))


@pytest.mark.reference(
    method="surgical",
    source="Lee et al. 2023, section 4 (Auto-RGN)",
    compared="relative gradient norm of every block, and the choice",
    differs="the one best block is tuned, theirs have a rate each",
)
def test_relative_gradients_are_autograds():
    net = copy.deepcopy(SOURCE).eval()
    blocks = [*nets.blocks(net), list(net.head.parameters())]
    cross_entropy(net(X), Y).backward()
    expected = [
        np.sqrt(sum(float(p.grad.square().sum()) for p in block))
        / np.sqrt(sum(float(p.detach().square().sum()) for p in block))
        for block in blocks
    ]
    np.testing.assert_allclose(relative_gradients(SOURCE, X, Y, blocks_of(SOURCE)).numpy(), expected, rtol=1e-4)
    method = Surgical()
    tuned(method)
    assert method.chosen_ == int(np.argmax(expected))


def blocks_of(net):
    return [*nets.blocks(net), list(net.head.parameters())]


@pytest.mark.parametrize(
    ("name", "shape", "sizes"), [("mlp", (5,), [1]), ("cnn", (1, 8, 8), [3]), ("lenet", (1, 32, 32), [3])]
)
def test_blocks_hold_every_parameter_once(name, shape, sizes):
    net = nets.build(name, shape, 3)
    blocks = nets.blocks(net)
    assert [len(blocks)] == sizes
    held = [id(p) for block in blocks for p in block]
    assert sorted(held) == sorted(set(map(id, net.parameters())) - set(map(id, net.head.parameters())))


# Penalties ------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="l2_sp",
    source="Li et al. 2018, eq. 2",
    compared="the penalty; equal to fine-tuning at 0, and still at infinity",
    differs="the classifier is pulled to the source's too, theirs to zero",
)
def test_l2_sp_has_its_limits():
    """0: fine-tuning, bit for bit; infinity: the source model."""
    plain = tuned(FineTune(rate=0.3, lower=1.0))
    zero = tuned(L2Sp(alpha=0.0))
    np.testing.assert_allclose(zero.predict(X), plain.predict(X), rtol=1e-5, atol=1e-6)
    # By SGD, whose steps are no longer than the gradient; rate 0.3 × 0.01 × 300 is below 1, so that it converges.
    sgd = {"steps": 300, "optimiser": "sgd", "learning_rate": 0.01}
    far = [distance(tuned(L2Sp(alpha=a), **sgd)) for a in (0.0, 1.0, 30.0, 300.0)]
    assert far == sorted(far, reverse=True)
    assert far[-1] < far[0] / 20
    net = copy.deepcopy(SOURCE)
    with torch.no_grad():
        net.head.bias += 2.0
    assert L2Sp(alpha=0.5).omega(net, SOURCE).item() == pytest.approx(0.5 / 2 * 3 * 4)


def test_deltas_worth_is_a_loop_and_its_penalty_starts_at_zero():
    head, z = nn.Linear(20, 3), draw(8, 20)
    y = torch.arange(8) % 3
    losses = []
    for j in range(20):
        without = z.clone()
        without[:, j] = 0
        losses.append(cross_entropy(head(without), y).item())
    expected = np.exp((losses - np.mean(losses)) / np.std(losses) / 5)
    expected /= expected.sum()
    np.testing.assert_allclose(worth(head, z, y).detach().numpy(), expected, rtol=1e-4)
    method = Delta(alpha=2.0)
    method.setup(SOURCE, Task({"Xl": X, "yl": Y}, needs={"Xl", "yl"}, learner=None, n_classes=3))
    net = copy.deepcopy(SOURCE).eval()
    assert method.omega_batch(Batch(zl=net.features(X), xl=X), SOURCE.eval()).item() == 0
    assert method.omega_batch(Batch(zl=net.features(X) + 1, xl=X), SOURCE).item() == pytest.approx(
        30 * 256
    )  # Σ worth = 1
    assert _away(Delta(alpha=1.0)) < _away(Delta(alpha=0.0)) / 2


def _away(method):
    """How far features go in a net without norms, whose statistics would move them whatever the penalty."""
    torch.manual_seed(0)
    small = Mlp((5,), 3)
    small.body, small.head, small.width = nn.Sequential(nn.Linear(5, 64), nn.ReLU()), nn.Linear(64, 3), 64
    return float((tuned(method, small, steps=150).embed(X) - small.embed(X)).norm())


def test_bss_has_numpys_smallest_singular_values():
    Z = draw(7, 5, dtype=torch.float64)
    assert smallest(Z, 2).item() == pytest.approx(float(np.square(np.linalg.svd(Z.numpy())[1][-2:]).sum()))
    small = [
        float(np.linalg.svd(tuned(Bss(eta=e, k=20), steps=150).embed(X).numpy())[1][-20:].sum()) for e in (0.0, 0.1)
    ]
    assert small[1] < small[0]


def test_stochastic_norm_lies_between_its_limits():
    torch.manual_seed(0)
    norm, x = nn.BatchNorm1d(6), draw(16, 6) + 2
    nn.init.uniform_(norm.weight)
    norm.running_mean.fill_(1.0)
    batch = copy.deepcopy(norm)(x)
    moving = copy.deepcopy(norm).eval()(x)
    for p, expected in ((1.0, batch), (0.0, moving)):
        torch.testing.assert_close(Stochastic(copy.deepcopy(norm), p)(x), expected)
    mixed = Stochastic(copy.deepcopy(norm), 0.5)(x)
    from_batch = [torch.allclose(mixed[:, j], batch[:, j], atol=1e-5) for j in range(6)]
    from_moving = [torch.allclose(mixed[:, j], moving[:, j], atol=1e-5) for j in range(6)]
    assert all(a != b for a, b in zip(from_batch, from_moving, strict=True))  # each channel takes one of them
    assert same(tuned(StochNorm(p=1.0)), tuned(FineTune(lower=1.0)))
    with pytest.raises(Unsupported, match="no batch norm"):
        tuned(StochNorm(), nets.build("lenet", (1, 16, 16), 3), X=draw(30, 1, 16, 16))


def test_co_tunings_relation_is_pandas_mean_by_class():
    P, y = draw(12, 4).softmax(1), torch.tensor([0, 1, 1, 0, 2, 2, 2, 0, 1, 0, 0, 1])
    R = relation(P, y, 4)
    np.testing.assert_allclose(R[:3], pd.DataFrame(P.numpy()).groupby(y.numpy()).mean(), rtol=1e-5)
    assert R[3].tolist() == [0.25] * 4
    method = CoTuning(tradeoff=2.0)
    method.setup(copy.deepcopy(SOURCE), Task({"Xl": X, "yl": Y}, needs={"Xl", "yl"}, learner=None, n_classes=3))
    z = copy.deepcopy(SOURCE).embed(X)
    expected = 2 * cross_entropy(SOURCE.head(z), method.relation_[Y]).item()  # torch's, of soft labels
    assert method.omega_batch(Batch(zl=z, yl=Y), SOURCE).item() == pytest.approx(expected, rel=1e-5)


def test_bi_tunings_contrast_is_a_loop():
    C, y = draw(6, 6, dtype=torch.float64), torch.tensor([0, 1, 0, 2, 1, 0])
    rows = []
    for i in range(6):
        log = C[i] - torch.logsumexp(C[i], 0)
        rows.append(-np.mean([log[j].item() for j in range(6) if y[j] == y[i]]))
    assert contrast(C, y[:, None] == y).item() == pytest.approx(np.mean(rows))
    within, plain = (_scatter(tuned(m, steps=150)) for m in (BiTuning(weight=3.0), FineTune(lower=1.0)))
    assert within < plain  # classes draw closer together than by cross-entropy alone


def _scatter(net):
    z = nn.functional.normalize(net.embed(X), dim=1)
    return float(torch.stack([z[c == Y].var(0).sum() for c in range(3)]).mean() / z.var(0).sum())


def test_lwf_distils_as_torch_does():
    a, t = draw(6, 4), draw(6, 4, seed=1)
    expected = 4 * kl_div((a / 2).log_softmax(1), (t / 2).softmax(1), reduction="batchmean")
    assert distillation(a, t, 2.0).item() == pytest.approx(expected.item(), rel=1e-5)
    assert distillation(a, a + 3, 2.0).item() == pytest.approx(0, abs=1e-6)
    said = copy.deepcopy(SOURCE).predict(X)

    def forgotten(weight):
        method = Lwf(weight=weight)
        z = tuned(method, steps=150).embed(X)
        return float((method.source_head_(z).softmax(1) - said).abs().mean())

    assert forgotten(10.0) < forgotten(0.0) / 2


# LoRA -----------------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="lora",
    source="Hu et al. 2022, eq. 3",
    compared="scores of a full-rank update against tuning all weights (abs. .02); rank of a thin one",
    differs="the products are of all linear and convolutional layers",
)
def test_lora_of_full_rank_ends_in_the_full_update():
    """A convex problem with one optimum: logistic regression on noise, through one layer below a fixed classifier."""
    y = torch.from_numpy(np.random.default_rng(0).integers(0, 3, 300))
    points = draw(300, 4, seed=9)

    def net():
        torch.manual_seed(0)
        small = Mlp((4,), 3)
        small.body, small.head, small.width = nn.Sequential(nn.Linear(4, 3, bias=False)), nn.Identity(), 3
        return small

    class Whole(FineTune):
        def groups(self, net):
            return [{"params": list(net.parameters()), "rate": 1.0}]

    options = {"model": net(), "steps": 2500, "X": points, "y": y, "learning_rate": 0.02}
    full, low = tuned(Whole(), **options), tuned(Lora(rank=4, alpha=4.0), **options)
    np.testing.assert_allclose(low.predict(points), full.predict(points), atol=0.02)
    thin = tuned(Lora(rank=1, alpha=1.0), **options)
    change = (thin.body[0].weight - net().body[0].weight).detach().numpy()
    assert np.linalg.matrix_rank(change, tol=1e-5) == 1  # folded in, and of the rank that was asked for


def test_lora_starts_as_the_source_and_keeps_its_weights():
    weight = draw(6, 4)
    assert torch.equal(LowRank(weight, 2, 8.0)(weight), weight)
    low = LowRank(draw(6, 2, 3, 3), 100, 8.0)
    assert (low.A.shape, low.B.shape) == ((6, 18), (6, 6))
    net = tuned(Lora())
    assert moved(net) == {"body.1.weight", "head.weight", "head.bias"}
    assert net.state_dict().keys() == SOURCE.state_dict().keys()  # folded in
