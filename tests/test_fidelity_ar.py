"""AR against its authors' code, scipy and a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn.functional import cross_entropy

from tests.test_fidelity_partial import begun, draw, moves_as
from zoo.adapters.instance.ar import Ar, least, nearest, steep


@pytest.mark.reference(
    method="ar",
    source="Gu et al. 2021, section 3; the authors' code: train.py, network.py, get_weight.py",
    compared="one step of SGD of all parts on 31 classes (rel. 1e-3); weights of 40 samples by scipy's SLSQP (5e-3)",
    differs="rho is changed 60 times at most; nine measurings over the run",
)
def test_ars_step_is_the_authors():
    method = Ar()
    net, D, again, D2, b = begun(method)
    w = method.weights_[: len(b.xs)].clone()

    def theirs(net, D, b):
        def logits(z, weight, bias):
            z = 10 * z / z.norm(dim=1, keepdim=True)
            r = z.norm(dim=1).detach()[0]
            return z @ (weight / weight.norm(dim=1, keepdim=True)).T + r * torch.tanh(bias)

        head = net.head
        source = cross_entropy(logits(net.features(b.xs), head.weight, head.bias), b.ys, reduction="none")
        p = logits(net.features(b.xt), head.weight.detach(), head.bias.detach()).softmax(1)
        return (w * source).sum() / w.sum() + 0.1 * -(p * p.log()).sum(1).mean()

    moves_as(method, net, D, again, D2, b, theirs)
    c = draw(40, seed=8).double().numpy()
    for rho in (0.3, 2.0, 5.0):
        limit = {
            "type": "ineq",
            "fun": lambda v, rho=rho: np.array([rho - ((v - 1) ** 2).mean()]),
            "jac": lambda v: -(v - 1)[None] / 20,
        }
        total = {"type": "eq", "fun": lambda v: np.array([v.mean() - 1]), "jac": lambda v: np.full((1, 40), 1 / 40)}
        found = minimize(
            lambda v: v @ c / 40, np.ones(40), jac=lambda v: c / 40, bounds=[(0, None)] * 40,
            constraints=[limit, total], method="SLSQP", options={"ftol": 1e-9, "maxiter": 1000},
        )  # fmt: skip
        assert found.success, found.message
        np.testing.assert_allclose(least(torch.from_numpy(c), rho), found.x, atol=5e-3)


def test_ars_rho_is_changed_until_the_gap_is_within_bounds():
    """By a factor of 1.2 at a time, as in the authors' loop; and it ends where no weights would do."""
    values, target = 8 * draw(60, seed=9) + 10, torch.zeros(30)
    for mean in (-12.0, 0.0, 9.0):  # more is to be moved, less, nothing
        rho = 5.0
        while abs(gap := float((least(values, rho) * values).mean()) - mean) > 5:
            rho = rho * 1.2 if gap > 0 else rho / 1.2
            if rho >= 60 * 1.2:
                break
        found = nearest(values, target + mean, 5.0, 5.0)
        torch.testing.assert_close(found, least(values, rho).float(), atol=1e-3, rtol=0)
    assert nearest(values, target - 1e6, 5.0, 5.0).isfinite().all()


def test_ars_penalty_is_that_of_the_authors_code():
    """Norms over the samples of a batch, feature by feature, of the three stacked batches."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1), nn.Flatten(0))
    s, t, share = draw(7, 4), draw(7, 4, seed=1), torch.rand(7, 1)
    total = 0.0
    for z in (s + share * (t - s), s, t):
        slopes = np.stack([torch.func.grad(lambda x: critic(x)[0])(x[None])[0].detach().numpy() for x in z])
        total += ((np.sqrt((slopes**2).sum(0)) - 1) ** 2).sum() / 12
    assert steep(critic, s, t, share).item() == pytest.approx(total, rel=1e-4)
