"""The only training loop: min L_s + λ·L_t + Ω.

A deep method is its Ω; everything else (batches, schedule, precision, device, divergence, resuming) is here, once.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo import checkpoint
from zoo.errors import Diverged, Unsupported
from zoo.feed import Batch, Feed, Streams
from zoo.nets import Net
from zoo.seeds import derive
from zoo.tasks import problem

INTERVAL, POINTS = 50, 20  # steps between looks at the loss, at most; looks in a short run, at least
BETA1 = 0.9  # of Adam


@dataclass(frozen=True)
class Budget:
    """What every network of a suite gets, whatever the method."""

    steps: int = 1000
    batch_size: int = 64
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "cosine"
    backbone_rate: float = 1.0
    target_weight: float = 1.0
    label_smoothing: float = 0.0  # of source labels where no method says its own: that of a source model
    precision: str = "auto"
    augment: str = "none"
    compile: bool = False
    deterministic: bool = True


class Watch:
    """What accompanies the loop. This one listens to nothing and keeps nothing."""

    def begin(self) -> bytes | None:
        """A run starts; its state where an earlier attempt left it."""
        return None

    def tell(self, step: int, steps: int, terms: dict[str, float]) -> None:
        """The mean loss of an interval, and its terms at the interval's last step."""

    def due(self) -> bool:
        """Whether the state is to be kept now."""
        return False

    def notes(self) -> dict[str, Any]:
        """What is to be kept beside the state."""
        return {}

    def keep(self, state: bytes) -> None:
        """Take the state after a step."""


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
    penalty: Callable[[Batch], Tensor] | None = None,
    watch: Watch | None = None,
) -> None:
    """Train `net` in place for ``budget.steps`` steps; the last state is the result, never the best.

    The device is looked at once an interval only (50 steps, or a 20th of a short run): for divergence, learning curves
    and checkpoints alike.

    Parameters
    ----------
    method : DeepAdapter, optional
        Gives Ω (`omega`), or a whole `step` where it has several optimisers.
    modules : modules of the method that train along with the net.
    groups : optimiser groups with a ``rate`` each, as a multiple of the suite's learning rate; default: the method's
        `rates` of its parts. One with a ``start`` stays frozen until that share of the steps, where a new schedule
        begins for all. The suite's
        `backbone_rate` multiplies the rate of what `Net.backbone` gives, in whichever group.
    penalty : Ω of a tuning, at a batch.

    Raises
    ------
    Diverged
        The loss became NaN or infinite.
    """
    device, watch, trained = next(net.parameters()).device, watch or Watch(), (net, *modules)
    if groups is None:
        groups = parts(net, modules, method)
    groups = slower(groups, net, budget.backbone_rate)
    opt = optimiser(groups, budget, device, getattr(method, "beta1", BETA1))
    views, balanced = getattr(method, "views", 1), getattr(method, "balanced", False)
    feed = Feed(streams, budget, seed, device, views=views, balanced=balanced)
    take = getattr(method, "step", None) or descend
    refresh = getattr(method, "refresh_every", 0)
    shared = {"budget": budget, "method": method, "penalty": penalty, "amp": autocast(budget.precision, device)}
    starts, begun = [g.get("start", 0.0) for g in groups], len(groups)
    if any(starts):
        begun = 0  # the loop thaws them in turn
    every, total, first = max(1, min(INTERVAL, budget.steps // POINTS)), torch.zeros((), device=device), 0
    if ema := getattr(method, "ema", 0.0):
        method.average_ = copy.deepcopy(net)  # a checkpoint holds it
    with seeded("train", seed), modes(budget, device), _compiled(net, budget):  # dropout draws from global generators
        if state := watch.begin():
            first = checkpoint.restore(state, trained, opt, feed.generators, method)["step"]
        for module in trained:
            module.train()
        _freeze_statistics(net)
        for i in range(first, budget.steps):
            b = feed(i)
            if refresh and i % (refresh if refresh > 0 else feed.passes["t"]) == 0:
                method.refresh(net, task)
                net.train()
                _freeze_statistics(net)
            if begun < (due := sum(start <= b.progress for start in starts)):
                begun = due
                _thaw(net, groups, b.progress)
            _set_rate(opt, budget, i, starts)
            vars(b).update(shared, net=net)
            b.watched = (i + 1) % every == 0 or i + 1 == budget.steps
            total += take(net, opt, b)
            if ema:
                follow(method.average_, net, min(ema, (1 + i) / (10 + i)))
            if b.watched and device.type != "meta":
                _look(total, b, i % every + 1, budget, watch)
                if watch.due() and i + 1 < budget.steps:
                    watch.keep(checkpoint.pack(trained, opt, feed.generators, method, {"step": i + 1, **watch.notes()}))
    if ema:
        follow(net, method.average_, 0.0)
    for module in trained:
        module.eval()


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the parameters of a running mean towards a network's, keeping `decay` of what they were."""
    for a, p in zip(average.parameters(), net.parameters(), strict=True):
        a.lerp_(p, 1 - decay)


@contextlib.contextmanager
def seeded(*parts: object) -> Iterator[None]:
    """Draw from the global generators under a seed of one's own, and leave them as they were.

    CUDA's are looked after where this process works there already: to read one would start CUDA.
    """
    with torch.random.fork_rng(range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
        torch.manual_seed(derive(*parts))
        yield


@contextlib.contextmanager
def modes(budget: Budget, device: torch.device) -> Iterator[None]:
    """On CUDA: deterministic kernels where asked for, TF32 unless ``precision: fp32``. Left as they were.

    An operation that has no deterministic kernel warns and runs. A CPU's kernels are deterministic as they are.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    before = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    fill: Any = torch.utils.deterministic
    before_cudnn = cudnn.deterministic, cudnn.benchmark, fill.fill_uninitialized_memory
    try:
        fill.fill_uninitialized_memory = False  # costs a pass over every new tensor
        torch.set_deterministic_debug_mode("warn" if budget.deterministic else "default")
        cudnn.deterministic, cudnn.benchmark = budget.deterministic, not budget.deterministic
        torch.set_float32_matmul_precision("highest" if budget.precision == "fp32" else "high")
        yield
    finally:
        torch.set_deterministic_debug_mode(before[0])
        torch.set_float32_matmul_precision(before[1])
        cudnn.deterministic, cudnn.benchmark, fill.fill_uninitialized_memory = before_cudnn


@contextlib.contextmanager
def _compiled(net: Net, budget: Budget) -> Iterator[None]:
    """The feature extractor compiled while it trains."""
    if budget.compile:
        net.features = torch.compile(net.features)  # type: ignore[method-assign]
    try:
        yield
    finally:
        vars(net).pop("features", None)


def descend(net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
    """One step of the optimiser down the objective of a batch; returns the loss."""
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
    names = [k for k in ("s", "l", "t", "t2") if f"x{k}" in vars(b)]  # the target last
    if getattr(b.method, "forward", "separate") == "joint":
        parts = [getattr(b, f"x{k}") for k in names]
        z, sizes = net.features(torch.cat(parts)), [len(p) for p in parts]
        zs, ls = z.split(sizes), net.head(z).split(sizes)
    else:
        zs = tuple(net.features(getattr(b, f"x{k}")) for k in names)
        ls = tuple(net.head(z) for z in zs)
    for k, z, logits in zip(names, zs, ls, strict=True):
        setattr(b, f"z{k}", z)
        setattr(b, f"l{k}", logits)


def objective(net: Net, b: Batch) -> Tensor:
    """L_s + λ·L_t + Ω of a batch whose features and logits are there."""
    terms: dict[str, Tensor] = {}
    losses_of = problem(net.task).losses
    if "ls" in vars(b):
        smoothing = b.budget.label_smoothing if b.method is None else getattr(b.method, "label_smoothing", 0.0)
        losses = losses_of(b.ls, b.ys, smoothing)
        terms["source"] = (losses if b.ws is None else b.ws * losses).mean()
    if "ll" in vars(b):
        weight = b.budget.target_weight if "ls" in vars(b) else 1.0
        terms["target"] = weight * losses_of(b.ll, b.yl).mean()
    if b.method is not None:
        terms["omega"] = b.method.omega(b)
    if b.penalty is not None:
        terms["omega"] = b.penalty(b)
    if b.watched:
        b.terms |= {k: v.detach() for k, v in terms.items()}
    loss, *others = terms.values()
    for other in others:
        loss = loss + other
    return loss


def parts(net: Net, modules: Sequence[nn.Module], method: Any = None) -> list[dict[str, Any]]:
    """Optimiser groups of features, head and extra modules, at the method's rates; parts of one rate are one group."""
    rates = {"features": 1.0, "head": 1.0, "extra": 1.0} | getattr(method, "rates", {})
    head = {id(p) for p in net.head.parameters()}
    members: dict[float, dict[int, nn.Parameter]] = {}
    for p in net.parameters():
        members.setdefault(rates["head" if id(p) in head else "features"], {})[id(p)] = p
    known = {id(p) for p in net.parameters()}
    for p in (p for m in modules for p in m.parameters() if id(p) not in known):
        members.setdefault(rates["extra"], {})[id(p)] = p
    groups = [{"params": [p for p in own.values() if p.requires_grad], "rate": rate} for rate, own in members.items()]
    return [g for g in groups if g["params"]]


def slower(groups: list[dict[str, Any]], net: Net, factor: float) -> list[dict[str, Any]]:
    """Groups whose backbone parameters, if there are any, have `factor` times the rate."""
    if factor == 1:
        return groups
    backbone = {id(p) for p in net.backbone()}
    found: list[dict[str, Any]] = []
    for g in groups:
        for inside, rate in ((True, factor), (False, 1.0)):
            if own := [p for p in g["params"] if (id(p) in backbone) == inside]:
                found.append({**g, "params": own, "rate": g.get("rate", 1.0) * rate})
    return found


def optimiser(
    groups: list[dict[str, Any]], budget: Budget, device: torch.device, beta1: float = BETA1
) -> torch.optim.Optimizer:
    """Adam or SGD over parameter groups; fused, except on the meta device, which has no such kernel.

    `beta1` is Adam's alone: the suite says SGD's momentum.

    Raises
    ------
    Unsupported
        There is no parameter in any group.
    """
    if not any(g["params"] for g in groups):
        raise Unsupported("no weight is left to move: its classifier is held, the features are frozen, no bottleneck")
    groups = [{"rate": 1.0, **g, "lr": budget.learning_rate * g.get("rate", 1.0)} for g in groups]
    common: dict[str, Any] = {"weight_decay": budget.weight_decay, "fused": device.type != "meta"}
    if budget.optimiser == "sgd":
        common |= {"momentum": budget.momentum, "nesterov": budget.nesterov}
        return torch.optim.SGD(groups, lr=budget.learning_rate, **common)
    return torch.optim.Adam(groups, lr=budget.learning_rate, betas=(beta1, 0.999), **common)


def autocast(precision: str, device: torch.device) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """The context of a forward pass: bfloat16 where asked for, or where `auto` finds CUDA."""
    if precision == "bf16" or (precision == "auto" and device.type == "cuda"):
        return lambda: torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext


def decay(schedule: str, progress: float) -> float:
    """What a schedule multiplies the rate by.

    >>> decay("constant", 0.5), round(decay("cosine", 0.5), 3), round(decay("annealed", 0.5), 3)
    (1.0, 0.5, 0.261)
    """
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return {"constant": 1.0, "cosine": cosine, "annealed": (1 + 10 * progress) ** -0.75}[schedule]


def _set_rate(opt: torch.optim.Optimizer, budget: Budget, i: int, starts: Sequence[float] = ()) -> None:
    """The schedule's rate at step i; where groups start in turn, each phase has a whole schedule of its own."""
    progress = i / budget.steps
    begin = max((s for s in starts if s <= progress), default=0.0)
    end = min((s for s in starts if s > progress), default=1.0)
    factor = decay(budget.schedule, (progress - begin) / (end - begin))
    for group in opt.param_groups:
        group["lr"] = budget.learning_rate * group["rate"] * factor


def _look(total: Tensor, b: Batch, n: int, budget: Budget, watch: Watch) -> None:
    """The only synchronisation with the device: the mean loss of the last n steps, and the terms of the last one."""
    names = list(b.terms)
    loss, *values = torch.stack([total / n, *(b.terms[k].to(total.dtype) for k in names)]).tolist()
    if not math.isfinite(loss):
        raise Diverged(f"the loss was not finite by step {b.step + 1}")
    total.zero_()
    watch.tell(b.step + 1, budget.steps, {"loss": loss, **dict(zip(names, values, strict=True))})


def _freeze_statistics(net: nn.Module) -> None:
    """A part none of whose parameters move keeps its batch-norm statistics as well."""
    for module in net.modules():
        own = list(module.parameters())
        if own and not any(p.requires_grad for p in own):
            module.eval()


def _thaw(net: Net, groups: list[dict[str, Any]], progress: float) -> None:
    """Let those groups move that have started; the others stay frozen, statistics included."""
    for group in groups:
        for p in group["params"]:
            p.requires_grad_(group.get("start", 0.0) <= progress)
    net.train()
    _freeze_statistics(net)
