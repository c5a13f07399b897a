"""What a run shows while it goes: live on a terminal, plain lines when piped; always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from zoo.bench.jobs import View
from zoo.bench.plan import Cell
from zoo.bench.run import Benchmark


@contextlib.contextmanager
def progress(benchmark: Benchmark) -> Iterator[View]:
    """Yield the view that a run is given."""
    from rich.console import Console

    console = Console(stderr=True)
    total, cells = len(benchmark.todo), len(benchmark.cells)
    kept = f", {cells - total} done before" if total < cells else ""
    suite = benchmark.suite.name + (f", shard {benchmark.shard}" if benchmark.shard else "")
    n, on = benchmark.workers, benchmark.device
    console.print(f"{suite}: {total} cells to run{kept} on {n} worker{'s'[: n > 1]} ({on})", highlight=False)
    if not total:
        yield View()
    elif console.is_terminal:
        with _Live(console, total) as view:
            yield view
    else:
        yield _Plain(total)


class _Live(View):
    """A bar for the run, and below it a line for every network that trains."""

    def __init__(self, console: Any, total: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self.console, self.bar = console, Progress(*columns, console=console, transient=True)
        self.cells = self.bar.add_task("starting workers", total=total)
        self.trainings: dict[int, Any] = {}

    def __enter__(self) -> _Live:
        self.bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.bar.stop()

    def record(self, record: dict[str, Any]) -> None:
        self.bar.update(self.cells, advance=1, description=_line(record))
        if record["status"] != "ok":
            text = f"{record['status']}: {_line(record)}: {record['reason']}"
            self.console.print(text, style="red", highlight=False)

    def progress(self, worker: int, cell: Cell, news: dict[str, Any]) -> None:
        if worker not in self.trainings:
            self.trainings[worker] = self.bar.add_task("", total=news["steps"])
        text = training(cell.row.label, cell.source, cell.target, cell.seed, news)
        self.bar.update(self.trainings[worker], completed=news["step"], total=news["steps"], description=text)

    def ended(self, worker: int) -> None:
        if worker in self.trainings:
            self.bar.remove_task(self.trainings.pop(worker))


class _Plain(View):
    """Ten lines in all, and one for every cell that is not ok."""

    def __init__(self, total: int) -> None:
        self.total, self.seen, self.start = total, 0, time.monotonic()

    def record(self, record: dict[str, Any]) -> None:
        self.seen += 1
        if record["status"] != "ok":
            print(f"{record['status']}: {_line(record)}: {record['reason']}", file=sys.stderr)
        if self.seen == self.total or self.seen * 10 // self.total > (self.seen - 1) * 10 // self.total:
            print(f"{self.seen}/{self.total} cells, {time.monotonic() - self.start:.0f} s", file=sys.stderr, flush=True)


def training(method: str, source: str | None, target: str, seed: int | None, news: dict[str, Any]) -> str:
    """A training in a line: what, its loss terms, its speed, and how long it will take.

    >>> news = {"step": 500, "steps": 1000, "per_s": 250.0, "terms": {"loss": 1.25, "domain_accuracy": 0.5}}
    >>> training("dann", "a", "b", 0, news)
    'dann a→b seed 0  loss 1.25  domain accuracy 0.5  250 steps/s  2 s left'
    """
    terms = "  ".join(f"{k.replace('_', ' ')} {v:.3g}" for k, v in news["terms"].items())
    left = (news["steps"] - news["step"]) / max(news["per_s"], 1e-9)
    name = f"{method} {source or '·'}→{target}" + ("" if seed is None else f" seed {seed}")
    return f"{name}  {terms}  {news['per_s']:.3g} steps/s  {left:.0f} s left"


def _line(record: dict[str, Any]) -> str:
    pair = f"{record['source'] or '·'}→{record['target']}"
    seed = "" if record["seed"] is None else f" seed {record['seed']}"
    metrics = record["metrics"]
    main = metrics.get("auroc" if "auprc" in metrics else "accuracy")
    result = "" if main is None else f" {100 * main:.1f}"
    return f"{record['method']} ({record['learner']}) {pair}{seed}{result}"
