"""What a run shows while it goes: live on a terminal, plain lines when piped; always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from zoo.bench.run import Benchmark


@contextlib.contextmanager
def progress(benchmark: Benchmark) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield the function to call with every record."""
    from rich.console import Console

    console = Console(stderr=True)
    total, cells = len(benchmark.todo), len(benchmark.cells)
    kept = f", {cells - total} done before" if total < cells else ""
    suite = benchmark.suite.name + (f", shard {benchmark.shard}" if benchmark.shard else "")
    n, on = benchmark.workers, benchmark.device
    console.print(f"{suite}: {total} cells to run{kept} on {n} worker{'s'[: n > 1]} ({on})", highlight=False)
    if not total:
        yield lambda record: None
    elif console.is_terminal:
        with _live(console, total) as report:
            yield report
    else:
        yield _plain(total)


@contextlib.contextmanager
def _live(console: Any, total: int) -> Iterator[Callable[[dict[str, Any]], None]]:
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
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting workers", total=total)

        def report(record: dict[str, Any]) -> None:
            bar.update(task, advance=1, description=_line(record))
            if record["status"] != "ok":
                console.print(f"{record['status']}: {_line(record)}: {record['reason']}", style="red", highlight=False)

        yield report


def _plain(total: int) -> Callable[[dict[str, Any]], None]:
    start, seen = time.monotonic(), 0

    def report(record: dict[str, Any]) -> None:
        nonlocal seen
        seen += 1
        if record["status"] != "ok":
            print(f"{record['status']}: {_line(record)}: {record['reason']}", file=sys.stderr)
        if seen == total or seen * 10 // total > (seen - 1) * 10 // total:  # ten lines in all
            print(f"{seen}/{total} cells, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)

    return report


def _line(record: dict[str, Any]) -> str:
    pair = f"{record['source'] or '·'}→{record['target']}"
    seed = "" if record["seed"] is None else f" seed {record['seed']}"
    accuracy = record["metrics"].get("accuracy")
    result = "" if accuracy is None else f" {100 * accuracy:.1f}"
    return f"{record['method']} ({record['learner']}) {pair}{seed}{result}"
