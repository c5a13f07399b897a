"""Mixed precision: what a method makes of a network's bfloat16 is made in float32."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from zoo import discover, nets, train
from zoo.adapters.feature.bsp import spectral
from zoo.adapters.feature.can import contrast
from zoo.adapters.feature.deep_coral import coral_loss
from zoo.adapters.feature.dsan import local_mmd2
from zoo.adapters.feature.homm import moment_gap
from zoo.adapters.parameter.bss import smallest
from zoo.ops.mmd import multi_gaussian

METHODS = discover.methods()


def gram(X, Y):
    """Arguments of a class-wise discrepancy."""
    y = torch.eye(3)[torch.arange(len(X)) % 3]
    return multi_gaussian(torch.cat([X, Y])), y, y


PENALTIES = {
    spectral: lambda X, Y: (X, 1),
    smallest: lambda X, Y: (X, 1),
    coral_loss: lambda X, Y: (X, Y),
    moment_gap: lambda X, Y: (X, Y, 3),
    contrast: lambda X, Y: ([(X, Y)], torch.tensor([1.0, 0.0, 1.0]), 3),
    local_mmd2: gram,
    multi_gaussian: lambda X, Y: (torch.cat([X, Y]),),
}


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties_are_not_in_bfloat16(penalty):
    """Differences of nearly equal matrices are mostly rounding there."""
    g = torch.Generator().manual_seed(0)
    arguments = PENALTIES[penalty](torch.randn(12, 5, generator=g), torch.randn(12, 5, generator=g))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = penalty(*arguments)
    torch.testing.assert_close(mixed, penalty(*arguments), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["bnm", "cmd", "dan", "ddc", "deep_coral", "dsan", "fixmatch", "jan", "mcc", "mdd"])
def test_an_omega_of_bfloat16_is_computed_in_float32(name):
    """What comes from the network is bfloat16, what a method makes of it is not; a layer of its own may be."""
    method, g = discover.load(METHODS[name])(), torch.Generator().manual_seed(0)
    method.setup(nets.build("mlp", (5,), 3), SimpleNamespace(n_classes=3))
    method.adversary_ = lambda z: z[:, :3]
    values = {k: torch.randn(12, d, generator=g) for k, d in (("zs", 5), ("zt", 5), ("ls", 3), ("lt", 3), ("lt2", 3))}
    values = {k: (3 * v).bfloat16() for k, v in values.items()}
    more = {"ys": torch.arange(12) % 3, "progress": 0.5}
    whole = method.omega(train.Batch(**{k: v.float() for k, v in values.items()}, **more))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = method.omega(train.Batch(**values, **more))
    assert abs(whole) > 1e-4
    torch.testing.assert_close(mixed.float(), whole, rtol=1e-5, atol=1e-6)
