"""What a plugin's network makes of samples, in the process that has imported it: arrays, to be compared elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nets import Net
from zoo.promises import counted, require


def handed(cls: type[Net], X: np.ndarray, n_classes: int, seed: int) -> dict[str, Any]:
    """Features and scores of samples, of each alone, backwards, and of a net made anew; what a step leaves unmoved.

    Raises
    ------
    Broken
        It gives something else than it promises, in words.
    """
    x = torch.from_numpy(X)
    net = _made(cls, x, n_classes, seed).eval()
    width, made = _state(net)
    with torch.no_grad():
        z, scores = _features(net, x), net(x)
        require(
            isinstance(scores, Tensor) and tuple(scores.shape) == (len(x), n_classes),
            f"head(features(x)) gave {_shaped(scores)}, where [{len(x)}, {n_classes}] is promised",
            net.forward,
        )
        alone = torch.cat([_features(net, row) for row in x.split(1)])
        back = _features(net, x.flip(0)).flip(0)
        again = _features(_made(cls, x, n_classes, seed).eval(), x)
    _, left = _state(net)
    moved = [k for k, v in left.items() if k not in made or not torch.equal(v, made[k])]
    return {
        **{"width": width, "moved": moved[:1], "asleep": _asleep(cls, x, n_classes, seed)},
        **{"z": z.numpy(), "alone": alone.numpy(), "back": back.numpy(), "again": again.numpy()},
    }


def elsewhere(cls: type[Net], X: np.ndarray, n_classes: int) -> dict[str, Any]:
    """Nothing, of a network that trains on a device of its own: what it makes without saying where, raises there."""
    make: Any = cls
    net = make(tuple(X.shape[1:]), n_classes).to("meta").train()
    net(torch.empty(X.shape, device="meta")).sum().backward()
    return {}


def _made(cls: type[Net], x: Tensor, n_classes: int, seed: int) -> Net:
    torch.manual_seed(seed)
    make: Any = cls
    net = make(tuple(x.shape[1:]), n_classes)
    width, head = getattr(net, "width", None), getattr(net, "head", None)
    require(isinstance(width, int) and width > 0, f"width is {width!r}, where a number is promised", cls.__init__)
    require(isinstance(head, nn.Module), "head is no module, where one is promised", cls.__init__)
    made: Net = net
    return made


def _features(net: Net, x: Tensor) -> Tensor:
    z = net.features(x)
    wide = isinstance(z, Tensor) and tuple(z.shape) == (len(x), net.width)
    want = f"[{len(x)}, {net.width}], samples × width,"
    require(wide, f"features(x) gave {_shaped(z)}, where {want} is promised", net.features)
    bad = int((~z.isfinite()).any(1).sum())
    require(not bad, f"features(x) is NaN or infinite in {counted(bad, 'row')} of {len(x)}", net.features)
    return z


def _shaped(found: Any) -> str:
    return str(list(found.shape)) if isinstance(found, Tensor) else f"a {type(found).__name__}"


def _state(net: Net) -> tuple[int, dict[str, Tensor]]:
    return net.width, {k: v.clone() for k, v in net.state_dict().items()}


def _asleep(cls: type[Net], x: Tensor, n_classes: int, seed: int) -> list[str]:
    """The first parameter that asks for a gradient, and gets none from the loss of a batch."""
    net = _made(cls, x, n_classes, seed).train()
    nn.functional.cross_entropy(net(x), torch.arange(len(x)) % n_classes).backward()
    return [k for k, p in net.named_parameters() if p.requires_grad and p.grad is None][:1]
