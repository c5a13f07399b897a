"""fine_tune: what moves, how fast, and what stays."""

from __future__ import annotations

import copy

import pytest
import torch

from zoo.adapters.baseline.source_only import SourceOnly
from zoo.adapters.parameter.fine_tune import FineTune
from zoo.errors import BadInput
from zoo.nets import Net
from zoo.task import Task


def blobs(n: int, shift: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    return torch.randn(n, 4, generator=g) + 2.5 * torch.eye(4)[y] + shift * torch.eye(4)[(y + 1) % 3], y


def source_model(steps: int = 150) -> Net:
    task = Task.from_arrays(*blobs(300, 0.0, 0), seed=1, steps=steps, learning_rate=1e-2)
    task.learner.use = "net"
    return SourceOnly().fit(task).model_


def tune(method: FineTune, model: Net, steps: int = 100, optimiser: str = "adam") -> Net:
    Xl, yl = blobs(30, 2.0, 1)
    task = Task.from_arrays(
        *blobs(3, 0.0, 0),
        Xl=Xl,
        yl=yl,
        model=model,
        steps=steps,
        learning_rate=1e-2,
        optimiser=optimiser,
        schedule="constant",
    )
    return method.fit(task).model_


def test_head_only_keeps_everything_below_bit_by_bit():
    model = source_model()
    before = copy.deepcopy(model.state_dict())
    after = tune(FineTune(trainable="head"), model).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"head.weight", "head.bias"}  # batch-norm statistics among what stays
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])  # the source model itself is never touched


@pytest.mark.reference(
    method="fine_tune",
    source="one step of gradient descent",
    compared="how far each layer goes, against the ratio of rates (2 %)",
    differs="no paper: rates are ours",
)
def test_rates_are_multiples_of_the_suites():
    """One step of plain SGD moves each parameter by rate times its gradient: two runs differ by the ratio of rates."""
    model = source_model()

    def moves(**params: float) -> dict[str, torch.Tensor]:
        after = tune(FineTune(**params), model, steps=1, optimiser="sgd")
        return {k: (p - q).detach() for (k, p), q in zip(after.named_parameters(), model.parameters(), strict=True)}

    full, small = moves(rate=1.0, lower=1.0), moves(rate=0.5, lower=0.2)
    for name, move in full.items():
        factor = 0.5 if name.startswith("head") else 0.1
        if "body.1.bias" not in name:  # batch norm takes a bias before it away: its gradient is rounding
            assert float(move.abs().max()) > 1e-5
            torch.testing.assert_close(small[name], factor * move, rtol=2e-2, atol=1e-6)


def test_gains_over_the_source_model():
    model = source_model()
    X, y = blobs(600, 2.0, 2)

    def accuracy(net: Net) -> float:
        return float((net.predict(X).argmax(1) == y).float().mean())

    assert accuracy(tune(FineTune(), model)) > accuracy(model) + 0.05


@pytest.mark.parametrize("bad", [{"trainable": "some"}, {"rate": 0.0}, {"lower": -1.0}])
def test_refuses(bad):
    with pytest.raises(BadInput, match="fine_tune"):
        tune(FineTune(**bad), source_model(steps=1))
