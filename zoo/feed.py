"""Where batches come from: all that a step sees of its data, the same for every method of a seed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo import checkpoint
from zoo.errors import Unsupported
from zoo.ops.augment import crop_flip, distorted
from zoo.seeds import derive

if TYPE_CHECKING:
    from zoo.train import Budget


@dataclass
class Streams:
    """Where batches come from: labelled source, unlabelled target, labelled target; absent ones are None.

    With `ds`, the domains of the source's rows, of which there are `n_sources`, a batch holds equal parts of them all.
    """

    s: tuple[Tensor, Tensor] | None = None
    ds: Tensor | None = None
    ws: Tensor | None = None
    t: Tensor | None = None
    l: tuple[Tensor, Tensor] | None = None
    n_sources: int = 1


class Batch(SimpleNamespace):
    """One step's inputs ``xs ys ids ws xt idt xl yl``, features ``zs zt zl``, logits ``ls lt ll``, and ``net``,
    ``step``, ``progress`` in [0, 1], ``generator``; with two views also ``xt2 zt2 lt2``, of distorted target samples.

    Of methods that need `ds` also ``ds`` and ``n_sources``: equally many source rows of each domain, in the order of
    the domains' numbers, so that ``zoo.ops.sources.parts(b.zs, b.n_sources)`` are the features of each.

    ``watched`` says that the step ends a logging interval; a method may then put scalars into ``terms`` (the accuracy
    of a domain classifier), which join the learning curves."""

    watched = False


def _draw(n: int, budget: Budget, device: torch.device, *seed: object) -> Tensor:
    """Row indices [steps, batch]: shuffled epochs, what is left of one dropped, so that no batch holds a row twice.

    Where n is less than a batch, a batch is all n rows (a single row twice, for batch norm's sake).
    """
    size = min(budget.batch_size, max(n, 2))
    g = torch.Generator().manual_seed(derive("batches", *seed))
    each = max(n // size, 1)  # batches an epoch
    epochs = [torch.randperm(n, generator=g).repeat(size if n < size else 1) for _ in range(-(-budget.steps // each))]
    return torch.cat([e[: each * size].view(each, size) for e in epochs])[: budget.steps].to(device)


def _draw_balanced(y: Tensor, budget: Budget, device: torch.device, *seed: object) -> Tensor:
    """Row indices [steps, batch] with as many rows of each class as of any other, each class's in shuffled turns.

    Of more classes than a batch has rows each batch holds some, drawn anew.
    """
    g = torch.Generator().manual_seed(derive("balanced batches", *seed))
    y = y.cpu()
    rows = [(y == c).nonzero()[:, 0] for c in y.unique()]
    k, some = max(budget.batch_size // len(rows), 1), min(len(rows), budget.batch_size)
    turns = []
    for own in rows:
        epochs = [own[torch.randperm(len(own), generator=g)] for _ in range(-(-budget.steps * k // len(own)))]
        turns.append(torch.cat(epochs)[: budget.steps * k].view(budget.steps, k))
    drawn = torch.rand(budget.steps, len(rows), generator=g).argsort(1)[:, :some]
    table = torch.stack(turns, 1)  # [steps, classes, k]
    return table.gather(1, drawn[..., None].expand(-1, -1, k)).flatten(1).to(device)


def _draw_parts(ds: Tensor, k: int, budget: Budget, device: torch.device, *seed: object) -> Tensor:
    """Row indices [steps, batch] with as many rows of each of `k` domains, these in order, each in shuffled turns.

    A batch has the size that all methods' have, less what does not go into equal parts.

    Raises
    ------
    Unsupported
        Fewer than two rows of a domain.
    """
    if (each := budget.batch_size // k) < 2:
        raise Unsupported(
            f"needs two samples and more of each of {k} sources in a batch, and it has {budget.batch_size}"
        )
    if ds.is_meta:
        rows = _draw(len(ds), budget, device, *seed)
        return rows[:, : rows.shape[1] // k * k]
    parts = []
    for i in range(k):
        own = (ds.cpu() == i).nonzero()[:, 0]
        g = torch.Generator().manual_seed(derive("batches", *seed, i))
        n = -(-budget.steps * each // len(own))
        parts.append(torch.cat([own[torch.randperm(len(own), generator=g)] for _ in range(n)])[: budget.steps * each])
    return torch.stack([p.view(budget.steps, each) for p in parts], 1).flatten(1).to(device)


def _moved(streams: Streams, device: torch.device) -> Streams:
    """All streams on one device: labels and weights are on the network's even where samples are not."""

    def move(value: Any) -> Any:
        return value if value is None else value.to(device) if isinstance(value, Tensor) else tuple(map(move, value))

    return replace(streams, **{k: move(v) for k, v in vars(streams).items() if k != "n_sources"})


class Feed:
    """A Batch per step. Each stream has its own seed, so that all methods of a seed share batches.

    Where data are on another device than the network's (they did not fit there), all are gathered on the host, one
    batch ahead by a thread and into pinned memory, so that copying and computing overlap.
    """

    def __init__(
        self,
        streams: Streams,
        budget: Budget,
        seed: int,
        device: torch.device,
        *,
        views: int = 1,
        balanced: bool = False,
    ) -> None:
        self.budget, self.device, self.views = budget, device, views
        given = {k: X if k == "t" else X[0] for k in "stl" if (X := getattr(streams, k)) is not None}
        self.here = all(self.is_here(X) for X in given.values())
        where = device if self.here else torch.device("cpu")
        self.streams = streams if self.here else _moved(streams, where)
        self.rows = {k: _draw(len(X), budget, where, seed, k) for k, X in given.items()}
        self.passes = {k: max(len(X) // budget.batch_size, 1) for k, X in given.items()}  # steps that each takes
        meta = device.type == "meta"
        if balanced and streams.s is not None and not meta:
            self.rows["s"] = _draw_balanced(streams.s[1], budget, where, seed, "s")
        if streams.ds is not None and streams.n_sources > 1:
            self.rows["s"] = _draw_parts(streams.ds, streams.n_sources, budget, where, seed, "s")
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
        b.n_sources = self.streams.n_sources
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
            if self.streams.ds is not None:
                found["ds"] = self.streams.ds[ids]
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
