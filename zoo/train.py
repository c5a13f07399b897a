"""The only training loop: min L_s + λ·L_t + Ω.

A deep method is its Ω; everything else (batches, schedule, precision, device, divergence, resuming) is here, once.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zoo import checkpoint
from zoo.errors import Diverged
from zoo.nets import Net
from zoo.ops.augment import crop_flip, distorted
from zoo.seeds import derive

INTERVAL, POINTS = 50, 20  # steps between looks at the loss, at most; looks in a short run, at least


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
    compile: bool = False
    deterministic: bool = True


@dataclass
class Streams:
    """Where batches come from: labelled source, unlabelled target, labelled target; absent ones are None."""

    s: tuple[Tensor, Tensor] | None = None
    ws: Tensor | None = None
    t: Tensor | None = None
    l: tuple[Tensor, Tensor] | None = None


class Batch(SimpleNamespace):
    """One step's inputs ``xs ys ids ws xt idt xl yl``, features ``zs zt zl``, logits ``ls lt ll``, and ``net``,
    ``step``, ``progress`` in [0, 1], ``generator``; with two views also ``xt2 zt2 lt2``, of distorted target samples.

    ``watched`` says that the step ends a logging interval; a method may then put scalars into ``terms`` (the accuracy
    of a domain classifier), which join the learning curves."""

    watched = False


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
    groups : optimiser groups with a ``rate`` each, as a multiple of the suite's learning rate; default: all at 1. One
        with a ``start`` stays frozen until that share of the steps.
    penalty : Ω of a tuning, at a batch.

    Raises
    ------
    Diverged
        The loss became NaN or infinite.
    """
    device, watch, trained = next(net.parameters()).device, watch or Watch(), (net, *modules)
    if groups is None:
        groups = [{"params": [p for m in trained for p in m.parameters() if p.requires_grad], "rate": 1.0}]
    opt = optimiser(groups, budget, device)
    feed = Feed(streams, budget, seed, device, views=getattr(method, "views", 1))
    step = getattr(method, "step", None) or descend
    refresh = getattr(method, "refresh_every", 0)
    shared = {"budget": budget, "method": method, "penalty": penalty, "amp": autocast(budget.precision, device)}
    starts, begun = [g.get("start", 0.0) for g in groups], len(groups)
    if any(starts):
        begun = 0  # the loop thaws them in turn
    every, total, first = max(1, min(INTERVAL, budget.steps // POINTS)), torch.zeros((), device=device), 0
    with seeded("train", seed), modes(budget, device), _compiled(net, budget):  # dropout draws from global generators
        if state := watch.begin():
            first = checkpoint.restore(state, trained, opt, feed.generators, method)["step"]
        for module in trained:
            module.train()
        _freeze_statistics(net)
        for i in range(first, budget.steps):
            b = feed(i)
            if refresh and i % refresh == 0:
                method.refresh(net, task)
                net.train()
                _freeze_statistics(net)
            if begun < (due := sum(start <= b.progress for start in starts)):
                begun = due
                _thaw(net, groups, b.progress)
            _set_rate(opt, budget, i)
            vars(b).update(shared, net=net)
            b.watched = (i + 1) % every == 0 or i + 1 == budget.steps
            total += step(net, opt, b)
            if b.watched and device.type != "meta":
                _look(total, b, i % every + 1, budget, watch)
                if watch.due() and i + 1 < budget.steps:
                    watch.keep(checkpoint.pack(trained, opt, feed.generators, method, {"step": i + 1, **watch.notes()}))
    net.eval()


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
    if "ls" in vars(b):
        terms["source"] = (
            cross_entropy(b.ls, b.ys) if b.ws is None else (b.ws * cross_entropy(b.ls, b.ys, reduction="none")).mean()
        )
    if "ll" in vars(b):
        weight = b.budget.target_weight if "ls" in vars(b) else 1.0
        terms["target"] = weight * cross_entropy(b.ll, b.yl)
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


def _draw(n: int, budget: Budget, device: torch.device, *seed: object) -> Tensor:
    """Row indices [steps, batch]: shuffled epochs end to end, repeated where n is less than a batch."""
    total = budget.steps * budget.batch_size
    g = torch.Generator().manual_seed(derive("batches", *seed))
    epochs = [torch.randperm(n, generator=g) for _ in range(math.ceil(total / n))]
    return torch.cat(epochs)[:total].view(budget.steps, budget.batch_size).to(device)


def _moved(streams: Streams, device: torch.device) -> Streams:
    """All streams on one device: labels and weights are on the network's even where samples are not."""

    def move(value: Any) -> Any:
        return value if value is None else value.to(device) if isinstance(value, Tensor) else tuple(map(move, value))

    return Streams(**{k: move(v) for k, v in vars(streams).items()})


class Feed:
    """A Batch per step. Each stream has its own seed, so that all methods of a seed share batches.

    Where data are on another device than the network's (they did not fit there), all are gathered on the host, one
    batch ahead by a thread and into pinned memory, so that copying and computing overlap.
    """

    def __init__(self, streams: Streams, budget: Budget, seed: int, device: torch.device, *, views: int = 1) -> None:
        self.budget, self.device, self.views = budget, device, views
        given = {k: X if k == "t" else X[0] for k in "stl" if (X := getattr(streams, k)) is not None}
        self.here = all(self.is_here(X) for X in given.values())
        where = device if self.here else torch.device("cpu")
        self.streams = streams if self.here else _moved(streams, where)
        self.rows = {k: _draw(len(X), budget, where, seed, k) for k, X in given.items()}
        meta = device.type == "meta"
        self.generators: checkpoint.Generators = {
            "omega": None if meta else torch.Generator(device).manual_seed(derive("omega", seed))
        }
        if budget.augment != "none" and not meta:
            for k in given:
                self.generators[k] = torch.Generator(device).manual_seed(derive("augment", seed, k))
        if views > 1:
            self.generators["views"] = None if meta else torch.Generator(device).manual_seed(derive("views", seed))
        self.thread = None if self.here else ThreadPoolExecutor(1)
        self.next: Any = None

    def is_here(self, X: Tensor) -> bool:
        return X.device.type == self.device.type

    def __call__(self, i: int) -> Batch:
        """The batch of step i; steps are asked for in turn."""
        b = Batch(step=i, progress=i / self.budget.steps, generator=self.generators["omega"], ws=None, terms={})
        if self.thread is None:
            found = self._gather(i)
        else:
            found = self.next.result() if self.next is not None else self._gather(i)
            self.next = self.thread.submit(self._gather, i + 1) if i + 1 < self.budget.steps else None
        for name, value in found.items():
            setattr(b, name, value.to(self.device, non_blocking=True) if self.thread else value)
        if self.views > 1:
            b.xt2 = distorted(self._view(b.xt, "t"), self.generators["views"])
        for k in self.rows:
            setattr(b, f"x{k}", self._view(getattr(b, f"x{k}"), k))
        return b

    def _gather(self, i: int) -> dict[str, Tensor]:
        """Inputs of step i where the data are."""
        found: dict[str, Tensor] = {}
        if self.streams.s is not None:
            ids = self.rows["s"][i]
            found |= {"ids": ids, "xs": self.streams.s[0][ids], "ys": self.streams.s[1][ids]}
            if self.streams.ws is not None:
                found["ws"] = self.streams.ws[ids]
        if self.streams.t is not None:
            idt = self.rows["t"][i]
            found |= {"idt": idt, "xt": self.streams.t[idt]}
        if self.streams.l is not None:
            idl = self.rows["l"][i]
            found |= {"xl": self.streams.l[0][idl], "yl": self.streams.l[1][idl]}
        if self.device.type == "cuda" and not self.here:
            found = {k: v.pin_memory() for k, v in found.items()}
        return found

    def _view(self, x: Tensor, stream: str) -> Tensor:
        """What a batch is before the network: itself, or, of photographs (uint8), an augmented view."""
        generator = self.generators.get(stream)
        return x if generator is None or x.dtype != torch.uint8 else crop_flip(x, generator)
