"""What a run shows while it goes: live on a terminal and in a notebook's cell, else plain lines on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoo import records
from zoo.bench.jobs import Job, View
from zoo.bench.plan import Cell
from zoo.bench.view import cost

if TYPE_CHECKING:
    from zoo.bench.run import Benchmark

LINES = 10  # of a run's progress when piped, beside the first


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
    if not total and not benchmark.judges:
        yield View()
        return
    earlier = {} if benchmark.fresh else _earlier(benchmark)
    if console.is_jupyter:
        with Notebook(n, earlier) as notebook:
            yield notebook
    elif console.is_terminal:
        with Live(console, n, earlier) as view:
            yield view
    else:
        yield Plain(n, earlier)


def _earlier(benchmark: Benchmark) -> dict[cost.Group, float]:
    """What cells of the run folder took before."""
    folder = benchmark.store.folder
    return cost.measured(records.read(folder).records) if (folder / "run.json").exists() else {}


class Counting(View):
    """Counts jobs, cells and source models alike, and estimates what is left of them."""

    def __init__(self, workers: int, earlier: dict[cost.Group, float]) -> None:
        self.workers, self.earlier = workers, earlier
        self.start = time.monotonic()
        self.remaining = cost.Remaining(Counter(), workers)

    def plan(self, jobs: Sequence[Job]) -> None:
        self.remaining = cost.Remaining(Counter(map(cost.work, jobs)), self.workers, self.earlier)

    def began(self, worker: int, job: Job) -> None:
        self.remaining.began(worker, cost.work(job), time.monotonic())

    def done(self, worker: int, seconds: float | None) -> None:
        self.remaining.finished(worker, seconds, time.monotonic())

    def ended(self, worker: int) -> None:
        self.remaining.lost(worker)

    def times(self) -> tuple[str, str, str]:
        """How many of how many, the time since the start, and the time left."""
        now = time.monotonic()
        left = self.remaining.left(now)
        count = f"{self.remaining.done}/{self.remaining.total}"
        return count, clock(now - self.start), "?" if left is None else clock(left)


class Live(Counting):
    """A bar with count, elapsed and left; below it the last result, and a line for every network that trains."""

    def __init__(self, console: Any, workers: int, earlier: dict[cost.Group, float]) -> None:
        from rich.live import Live as Screen

        super().__init__(workers, earlier)
        self.console, self.last = console, "starting workers"
        self.trainings: dict[int, str] = {}
        self.screen = Screen(get_renderable=self.render, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Live:
        self.screen.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.screen.stop()

    def render(self) -> Any:
        """What stands on the screen now. Only lines below the first are cut to its width."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        count, elapsed, left = self.times()
        head = Table.grid(expand=True, padding=(0, 1))
        head.add_column(ratio=1)
        head.add_column(no_wrap=True)
        head.add_row(
            ProgressBar(total=1.0, completed=self.remaining.share()),
            Text(f"{count} cells and models  {elapsed}  left {left}", no_wrap=True),
        )
        lines = [self.last, *(text for _, text in sorted(self.trainings.items()))]
        return Group(head, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))

    def record(self, record: dict[str, Any]) -> None:
        self.last = line(record)
        if record["status"] != "ok":
            text = f"{record['status']}: {line(record)}: {record['reason']}"
            self.console.print(text, style="red", highlight=False, markup=False)

    def judged(self, done: int, of: int) -> None:
        self.last = f"{done}/{of} values of validators"

    def progress(self, worker: int, cell: Cell, news: dict[str, Any]) -> None:
        text = training(cell.row.label, cell.source, cell.target, cell.seed, news)
        self.trainings[worker] = f"{100 * news['step'] // max(1, news['steps']):3} %  {text}"

    def ended(self, worker: int) -> None:
        super().ended(worker)
        self.trainings.pop(worker, None)


class Notebook(Counting):
    """One text below the cell, which changes as the run goes: a bar with count and times, then failures, as they come.

    Of the display protocol alone, so that no widget has to be installed.
    """

    EVERY, WIDTH, MOST = 0.5, 30, 20  # seconds between changes; characters of the bar; failures that are shown

    def __init__(self, workers: int, earlier: dict[cost.Group, float]) -> None:
        super().__init__(workers, earlier)
        self.last, self.failures = "starting workers", list[str]()
        self.shown, self.handle = float("-inf"), None

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *exc: object) -> None:
        self.show()

    def plan(self, jobs: Sequence[Job]) -> None:
        super().plan(jobs)
        self.show()

    def text(self) -> str:
        """What stands below the cell now."""
        count, elapsed, left = self.times()
        full = int(self.WIDTH * self.remaining.share())
        bar = "█" * full + "░" * (self.WIDTH - full)
        more = len(self.failures) - self.MOST
        failures = [*self.failures[: self.MOST], *([f"… and {more} more"] if more > 0 else [])]
        return "\n".join([f"{bar} {count} cells and models  {elapsed}  left {left}", self.last, *failures])

    def show(self) -> None:
        """Put the text of now in place of the last."""
        from IPython.display import display

        bundle = {"text/plain": self.text()}
        if self.handle is None:
            self.handle = display(bundle, raw=True, display_id=True)
        else:
            self.handle.update(bundle, raw=True)
        self.shown = time.monotonic()

    def record(self, record: dict[str, Any]) -> None:
        self.last = line(record)
        if record["status"] != "ok":
            self.failures.append(f"{record['status']}: {line(record)}: {record['reason']}")
        if time.monotonic() - self.shown > self.EVERY:
            self.show()


class Plain(Counting):
    """A line with the first result, ten on the way, and one for every cell that is not ok."""

    def __init__(self, workers: int, earlier: dict[cost.Group, float]) -> None:
        super().__init__(workers, earlier)
        self.told = -1  # of LINES parts of the work, the last that was told

    def record(self, record: dict[str, Any]) -> None:
        if record["status"] != "ok":
            print(f"{record['status']}: {line(record)}: {record['reason']}", file=sys.stderr, flush=True)
        part = int(LINES * self.remaining.share())
        last = self.remaining.done == self.remaining.total
        if part > self.told or last:
            self.told = max(part, self.told)
            count, elapsed, left = self.times()
            ahead = "" if last else f", about {left} left"
            result = f": {line(record)}" if record["status"] == "ok" else ""
            print(f"{count} cells and models, {elapsed}{ahead}{result}", file=sys.stderr, flush=True)

    def judged(self, done: int, of: int) -> None:
        if done * LINES // of > (done - 1) * LINES // of:
            print(f"{done}/{of} values of validators", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A time as it is read on a clock.

    >>> clock(7.4), clock(75), clock(7325), clock(360000)
    ('0:07', '1:15', '2:02:05', '100:00:00')
    """
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


def training(method: str, source: str | None, target: str, seed: int | None, news: dict[str, Any]) -> str:
    """A training in a line: what, its loss terms, its speed, and how long it will take.

    >>> news = {"step": 500, "steps": 1000, "per_s": 250.0, "terms": {"loss": 1.25, "domain_accuracy": 0.5}}
    >>> training("dann", "a", "b", 0, news)
    'dann a→b seed 0  2 s left  250 steps/s  loss 1.25  domain accuracy 0.5'
    """
    terms = "  ".join(f"{k.replace('_', ' ')} {v:.3g}" for k, v in news["terms"].items())
    left = (news["steps"] - news["step"]) / max(news["per_s"], 1e-9)
    name = f"{method} {source or '·'}→{target}" + ("" if seed is None else f" seed {seed}")
    return f"{name}  {left:.0f} s left  {news['per_s']:.3g} steps/s  {terms}"


def line(record: dict[str, Any]) -> str:
    """A cell and its result."""
    pair = f"{record['source'] or '·'}→{record['target']}"
    seed = "" if record["seed"] is None else f" seed {record['seed']}"
    metrics = record["metrics"]
    main = metrics.get("auroc" if "auprc" in metrics else "accuracy")
    result = "" if main is None else f" {100 * main:.1f}"
    result = f" mae {metrics['mae']:.3f}" if metrics.get("mae") is not None else result
    return f"{record['method']} ({record['learner']}) {pair}{seed}{result}"
