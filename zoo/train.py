"""The only training loop: min L_s + λ·L_t + Ω.

A deep method is its Ω; everything else (batches, schedule, precision, device, divergence) is here, once.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoo.errors import Diverged
from zoo.nets import Net
from zoo.ops.augment import crop_flip
from zoo.seeds import derive

CHECK_EVERY = 50  # steps between looks at the loss, the only synchronisation with the device


@dataclass(frozen=True)
class Budget:
    """What every network of a suite gets, whatever the method."""

    steps: int = 1000
    batch_size: int = 64
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "cosine"
    target_weight: float = 1.0
    precision: str = "auto"
    augment: str = "none"


@dataclass
class Streams:
    """Where batches come from: labelled source, unlabelled target, labelled target; absent ones are None."""

    s: tuple[Tensor, Tensor] | None = None
    ws: Tensor | None = None
    t: Tensor | None = None
    l: tuple[Tensor, Tensor] | None = None


class Batch(SimpleNamespace):
    """One step's inputs ``xs ys ids ws xt idt xt2 xl yl``, features ``zs zt zl``, logits ``ls lt ll``, and
    ``step``, ``progress`` in [0, 1], ``generator``."""


def run(
    net: Net,
    streams: Streams,
    budget: Budget,
    *,
    seed: int = 0,
    method: Any = None,
    task: Any = None,
    modules: Sequence[nn.Module] = (),
    groups: list[dict[str, Any]] | None = None,
    penalty: Callable[[], Tensor] | None = None,
) -> None:
    """Train `net` in place for ``budget.steps`` steps; the last state is the result, never the best.

    Parameters
    ----------
    method : DeepAdapter, optional
        Gives Ω (`omega`), or a whole `step` where it has several optimisers.
    modules : modules of the method that train along with the net.
    groups : optimiser groups with a ``rate`` each, as a multiple of the suite's learning rate; default: all at 1.
    penalty : Ω(θ) of a tuning.

    Raises
    ------
    Diverged
        The loss became NaN or infinite.
    """
    device = next(net.parameters()).device
    if groups is None:
        groups = [{"params": [p for m in (net, *modules) for p in m.parameters() if p.requires_grad], "rate": 1.0}]
    opt = optimiser(groups, budget, device)
    feed = _feed(streams, budget, seed, device)
    amp = autocast(budget.precision, device)
    step = getattr(method, "step", None) or _step
    refresh = getattr(method, "refresh_every", 0)
    total = torch.zeros((), device=device)
    for module in (net, *modules):
        module.train()
    _freeze_statistics(net)
    with seeded("train", seed):  # dropout draws from the global generator
        for i, b in enumerate(feed):
            if refresh and i % refresh == 0:
                method.refresh(net, task)
                net.train()
                _freeze_statistics(net)
            _set_rate(opt, budget, i)
            b.budget, b.method, b.penalty, b.amp = budget, method, penalty, amp
            total += step(net, opt, b)
            if (i + 1) % CHECK_EVERY == 0 or i + 1 == budget.steps:
                _check(total, i + 1)
    net.eval()


@contextlib.contextmanager
def seeded(*parts: object) -> Iterator[None]:
    """Draw from the global generators under a seed of one's own, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(*parts))
        yield


def _step(net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
    with b.amp():
        forward(net, b)
        loss = objective(net, b)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    return loss.detach()


def forward(net: Net, b: Batch) -> None:
    """Fill features and logits: one pass per stream, or one for all where the method's forward is 'joint'.

    The passes differ in what batch norm sees: each stream's own statistics, or those of the mixture.
    """
    names = [k for k in "slt" if f"x{k}" in vars(b)]  # the target last
    if getattr(b.method, "forward", "separate") == "joint":
        parts = [getattr(b, f"x{k}") for k in names]
        zs = net.features(torch.cat(parts)).split([len(p) for p in parts])
    else:
        zs = [net.features(getattr(b, f"x{k}")) for k in names]
    for k, z in zip(names, zs, strict=True):
        setattr(b, f"z{k}", z)
        setattr(b, f"l{k}", net.head(z))


def objective(net: Net, b: Batch) -> Tensor:
    """L_s + λ·L_t + Ω of a batch whose features and logits are there."""
    loss: Any = 0.0
    if "ls" in vars(b):
        loss = (
            cross_entropy(b.ls, b.ys) if b.ws is None else (b.ws * cross_entropy(b.ls, b.ys, reduction="none")).mean()
        )
    if "ll" in vars(b):
        weight = b.budget.target_weight if "ls" in vars(b) else 1.0
        loss = loss + weight * cross_entropy(b.ll, b.yl)
    if b.method is not None:
        loss = loss + b.method.omega(b)
    if b.penalty is not None:
        loss = loss + b.penalty()
    return loss


def optimiser(groups: list[dict[str, Any]], budget: Budget, device: torch.device) -> torch.optim.Optimizer:
    """Adam or SGD over parameter groups; fused, except on the meta device, which has no such kernel."""
    groups = [{"rate": 1.0, **g, "lr": budget.learning_rate * g.get("rate", 1.0)} for g in groups]
    common: dict[str, Any] = {"weight_decay": budget.weight_decay, "fused": device.type != "meta"}
    if budget.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=budget.learning_rate, momentum=budget.momentum, **common)
    return torch.optim.Adam(groups, lr=budget.learning_rate, **common)


def autocast(precision: str, device: torch.device) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """The context of a forward pass: bfloat16 where asked for, or where `auto` finds CUDA."""
    if precision == "bf16" or (precision == "auto" and device.type == "cuda"):
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext


def _set_rate(opt: torch.optim.Optimizer, budget: Budget, i: int) -> None:
    decay = 0.5 * (1 + math.cos(math.pi * i / budget.steps)) if budget.schedule == "cosine" else 1.0
    for group in opt.param_groups:
        group["lr"] = budget.learning_rate * group["rate"] * decay


def _check(total: Tensor, i: int) -> None:
    if total.device.type != "meta" and not math.isfinite(total.item()):
        raise Diverged(f"the loss was not finite by step {i}")


def _freeze_statistics(net: nn.Module) -> None:
    """A part none of whose parameters move keeps its batch-norm statistics as well."""
    for module in net.modules():
        own = list(module.parameters())
        if own and not any(p.requires_grad for p in own):
            module.eval()


def _draw(n: int, budget: Budget, device: torch.device, *seed: object) -> Tensor:
    """Row indices [steps, batch]: shuffled epochs end to end, repeated where n is less than a batch."""
    total = budget.steps * budget.batch_size
    g = torch.Generator().manual_seed(derive("batches", *seed))
    epochs = [torch.randperm(n, generator=g) for _ in range(math.ceil(total / n))]
    return torch.cat(epochs)[:total].view(budget.steps, budget.batch_size).to(device)


def _feed(streams: Streams, budget: Budget, seed: int, device: torch.device):  # type: ignore[no-untyped-def]
    """Yield a Batch per step. Each stream has its own seed, so that all methods of a seed share batches."""
    meta = device.type == "meta"
    generator = None if meta else torch.Generator(device).manual_seed(derive("omega", seed))
    rows = {
        k: _draw(len(X if k == "t" else X[0]), budget, device, seed, k)
        for k in "stl"
        if (X := getattr(streams, k)) is not None
    }
    views = {k: _view(budget, device, seed, k) for k in rows}
    for i in range(budget.steps):
        b = Batch(step=i, progress=i / budget.steps, generator=generator, ws=None)
        if streams.s is not None:
            b.ids = rows["s"][i]
            b.xs, b.ys = views["s"](streams.s[0][b.ids]), streams.s[1][b.ids]
            b.ws = None if streams.ws is None else streams.ws[b.ids]
        if streams.t is not None:
            b.idt = rows["t"][i]
            b.xt = views["t"](streams.t[b.idt])
        if streams.l is not None:
            b.xl, b.yl = views["l"](streams.l[0][rows["l"][i]]), streams.l[1][rows["l"][i]]
        yield b


def _view(budget: Budget, device: torch.device, seed: int, stream: str) -> Callable[[Tensor], Tensor]:
    """What a batch of a stream becomes before the network: itself, or, of photographs (uint8), an augmented view."""
    if budget.augment == "none" or device.type == "meta":
        return lambda x: x
    generator = torch.Generator(device).manual_seed(derive("augment", seed, stream))
    return lambda x: crop_flip(x, generator) if x.dtype == torch.uint8 else x
