"""What jobs cost, roughly before they run and better with each that has: the order of a run, and its time left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.bench.jobs import Job
    from zoo.bench.plan import Cell

STEP_S = 1.5e-3  # of a small network on one core, for each stream of samples
BASE_S = {"baseline": 0.02, "mapping": 0.1, "reweighting": 0.1}  # of methods on a base classifier; others:
OWN_S = 0.4
SAMPLES = frozenset({"Xs", "ys", "ds"})

Group = tuple[str, str, str]  # method (or what is made), learner, setting


@dataclass(frozen=True)
class Work:
    """What decides how long a job takes. Those of a `group` take about as long."""

    group: Group
    kind: str
    use: str
    rough: float  # seconds; only their ratios are believed, and only until some were measured


def work(job: Job) -> Work:
    """What a job is: a cell, or the making of what cells need."""
    cell, learner = job.cell, job.cell.identity["learner"]
    if job.makes:
        return Work((job.op, learner, ""), job.op, "net" if job.op == "model" else "base", rough(cell, job.op))
    group = (cell.row.info.name, learner, cell.identity["setting"])
    return Work(group, cell.row.info.kind, cell.use, rough(cell))


def rough(cell: Cell, op: str = "fit") -> float:
    """Seconds that a cell may take, or what it needs: by what is trained, for how many steps, on how many streams.

    A cell that only scores a source model (source_only of the net) takes none.
    """
    if op == "extract" or (op == "fit" and cell.use == "net" and cell.model and cell.grant <= SAMPLES):
        return BASE_S["baseline"]
    if op == "fit" and cell.use != "net":
        return BASE_S.get(cell.row.info.kind, OWN_S)
    steps = int(cell.identity["suite"].get("steps") or 0)
    return STEP_S * steps * (1 if op == "model" else max(1, len(cell.grant & {"Xs", "Xt", "Xl"})))


def order(cell: Cell) -> tuple[Any, ...]:
    """Sort key of the cells of a run: cheap ones first, so that there is something to see."""
    return rough(cell), str(cell.seed), str(cell.source), cell.row.info.name, cell.id


def make_first(width: int, making: int, maker: Job, cell: Job | None) -> bool:
    """Whether an idle worker makes what others wait for (a source model) rather than run the next cell that can run.

    Where there are several workers one of them does so from the start. Beside it cells that are cheaper come first, as
    they do where there is one worker alone.

    Parameters
    ----------
    width : number of workers
    making : how many of the others do so now
    maker : the next such job
    cell : the next cell that can run, if there is one
    """
    return cell is None or (width > 1 and not making) or work(cell).rough >= work(maker).rough


def measured(records: Iterable[dict[str, Any]]) -> dict[Group, float]:
    """Mean seconds of finished cells by group, from records."""
    seconds: defaultdict[Group, list[float]] = defaultdict(list)
    for r in records:
        if r["status"] == "ok" and r.get("fit_s") is not None:
            seconds[r["method"], r["learner"], r["setting"]].append(r["fit_s"] + (r.get("predict_s") or 0.0))
    return {group: sum(s) / len(s) for group, s in seconds.items()}


@dataclass
class Remaining:
    """The work left of a run, weighed by what each job is expected to take.

    A job is expected to take what those of its group took in this run; else what they took in earlier records; else its
    rough cost, times by how much rough costs of its kind (of its learner) were wrong so far: how fast a base classifier
    was says nothing of networks.

    Parameters
    ----------
    waiting : the jobs of the run
    workers : how many run at a time
    earlier : seconds by group, of runs before
    """

    waiting: Counter[Work]
    workers: int
    earlier: Mapping[Group, float] = field(default_factory=dict)
    running: dict[int, tuple[Work, float]] = field(default_factory=dict)
    done: int = 0
    _took: defaultdict[Any, list[float]] = field(default_factory=lambda: defaultdict(list))  # by group
    _wrong: defaultdict[Any, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    _aside: list[float] = field(default_factory=list)  # seconds of a job beside its own: sending, scoring, storing

    def __post_init__(self) -> None:
        self.total = self.waiting.total()

    def began(self, worker: int, work: Work, now: float) -> None:
        """A worker has begun a job; again, where its earlier attempt was lost."""
        self.running[worker] = (work, now)

    def lost(self, worker: int) -> None:
        """What a worker had is done, or waits again."""
        self.running.pop(worker, None)

    def finished(self, worker: int, seconds: float | None, now: float) -> None:
        """It has ended after `seconds` of its own; None where these are not known."""
        if worker not in self.running:
            return
        work, start = self.running.pop(worker)
        self.waiting[work] -= 1
        self.done += 1
        if seconds is None:
            seconds = now - start
        else:
            self._aside.append(max(0.0, now - start - seconds))
        before, rough = self._before(work)
        self._took[work.group].append(seconds)
        for key in self._kin(work, rough):
            self._wrong[key][0] += seconds
            self._wrong[key][1] += before

    def expected(self, work: Work) -> float:
        """Seconds that a job is expected to take, of its own."""
        if took := self._took.get(work.group):
            return sum(took) / len(took)
        before, rough = self._before(work)
        for key in self._kin(work, rough):
            if key in self._wrong and self._wrong[key][1]:
                return before * self._wrong[key][0] / self._wrong[key][1]
        return before

    def left(self, now: float) -> float | None:
        """Seconds until the last job has ended; None before anything is known."""
        if not (self.done or self.earlier):
            return None
        aside = median(self._aside) if self._aside else 0.0
        seconds = sum(n * (self.expected(work) + aside) for work, n in self.waiting.items())
        for work, start in self.running.values():
            seconds -= min(self.expected(work) + aside, now - start)
        return max(0.0, seconds) / max(1, min(self.workers, self.total - self.done))

    def share(self) -> float:
        """The part of the work that is done, by its expected seconds, in [0, 1]."""
        done = sum(sum(took) for took in self._took.values())
        left = sum(n * self.expected(work) for work, n in self.waiting.items())
        return done / (done + left) if done + left > 0 else float(self.done == self.total)

    def _before(self, work: Work) -> tuple[float, bool]:
        """What is known of a job before any of its group has run, and whether that is only rough."""
        known = self.earlier.get(work.group)
        return (work.rough, True) if known is None else (known, False)

    def _kin(self, work: Work, rough: bool) -> list[tuple[str, ...]]:
        """Whose errors a job's is likely to share, nearest first; records are wrong in another way than guesses."""
        return [("rough", work.use, work.kind), ("rough", work.use)] if rough else [("records",)]
