"""What jobs cost, roughly before they run and better with each that has: the order of a run, and its time left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.bench.plan import Cell

STEP_S = 1.5e-3  # of a small network on one core, for each stream of samples
BASE_S = {"baseline": 0.02, "mapping": 0.1, "reweighting": 0.1}  # of methods on a base classifier; others:
OWN_S = 0.4

Group = tuple[str, str, str]


@dataclass(frozen=True)
class Job:
    """What decides how long a cell or a source model takes. Those of a `group` take about as long."""

    group: Group  # method, learner, setting
    kind: str
    use: str
    rough: float  # seconds; only their ratios are believed, and only until some were measured


def job(cell: Cell, model: bool = False) -> Job:
    """The job that a cell is, or the training of the source model that it needs."""
    if model:
        return Job(("source model", "", ""), "model", "net", rough(cell, True))
    learner, setting = cell.identity["learner"], cell.identity["setting"]
    return Job((cell.row.info.name, learner, setting), cell.row.info.kind, cell.use, rough(cell))


def rough(cell: Cell, model: bool = False) -> float:
    """Seconds that a cell may take, or its source model: by what is trained, for how many steps, on how many streams.

    A cell that only scores a source model (source_only of the net) takes none.
    """
    if not model and cell.use != "net":
        return BASE_S.get(cell.row.info.kind, OWN_S)
    if not model and cell.model and cell.grant <= {"Xs", "ys", "ds"}:
        return BASE_S["baseline"]
    steps = int(cell.identity["suite"].get("steps") or 0)
    return STEP_S * steps * (1 if model else max(1, len(cell.grant & {"Xs", "Xt", "Xl"})))


def order(cell: Cell) -> tuple[Any, ...]:
    """Sort key of the cells of a run: cheap ones first, so that there is something to see."""
    return rough(cell), str(cell.seed), str(cell.source), cell.row.info.name, cell.id


def model_first(width: int, training: int, model: Cell, cell: Cell | None) -> bool:
    """Whether an idle worker trains the next source model rather than run the next cell that can run.

    Where there are several workers one of them trains models from the start: others wait for what it makes. Beside it
    cells that are cheaper than a model come first, as they do where there is one worker alone.

    Parameters
    ----------
    width : number of workers
    training : how many of the others train a source model
    model : a cell that needs the model
    cell : the next cell that can run, if there is one
    """
    return cell is None or (width > 1 and not training) or rough(cell) >= rough(model, True)


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
    rough cost, times by how much rough costs of its kind (of its learner, of all) were wrong so far.

    Parameters
    ----------
    waiting : the jobs of the run
    workers : how many run at a time
    earlier : seconds by group, of runs before
    """

    waiting: Counter[Job]
    workers: int
    earlier: Mapping[Group, float] = field(default_factory=dict)
    running: dict[int, tuple[Job, float]] = field(default_factory=dict)
    done: int = 0
    _took: defaultdict[Any, list[float]] = field(default_factory=lambda: defaultdict(list))  # by group
    _wrong: defaultdict[Any, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    _aside: list[float] = field(default_factory=list)  # seconds of a job beside its own: sending, scoring, storing

    def __post_init__(self) -> None:
        self.total = self.waiting.total()

    def began(self, worker: int, job: Job, now: float) -> None:
        """A worker has begun a job; again, where its earlier attempt was lost."""
        self.running[worker] = (job, now)

    def finished(self, worker: int, seconds: float | None, now: float) -> None:
        """It has ended after `seconds` of its own; None where these are not known."""
        if worker not in self.running:
            return
        job, start = self.running.pop(worker)
        self.waiting[job] -= 1
        self.done += 1
        if seconds is None:
            seconds = now - start
        else:
            self._aside.append(max(0.0, now - start - seconds))
        before, rough = self._before(job)
        self._took[job.group].append(seconds)
        for key in self._kin(job, rough):
            self._wrong[key][0] += seconds
            self._wrong[key][1] += before

    def expected(self, job: Job) -> float:
        """Seconds that a job is expected to take, of its own."""
        if took := self._took.get(job.group):
            return sum(took) / len(took)
        before, rough = self._before(job)
        for key in self._kin(job, rough):
            if key in self._wrong and self._wrong[key][1]:
                return before * self._wrong[key][0] / self._wrong[key][1]
        return before

    def left(self, now: float) -> float | None:
        """Seconds until the last job has ended; None before anything is known."""
        if not (self.done or self.earlier):
            return None
        aside = median(self._aside) if self._aside else 0.0
        work = sum(n * (self.expected(job) + aside) for job, n in self.waiting.items())
        for job, start in self.running.values():
            work -= min(self.expected(job) + aside, now - start)
        return max(0.0, work) / max(1, min(self.workers, self.total - self.done))

    def share(self) -> float:
        """The part of the work that is done, by its expected seconds, in [0, 1]."""
        done = sum(sum(took) for took in self._took.values())
        left = sum(n * self.expected(job) for job, n in self.waiting.items())
        return done / (done + left) if done + left > 0 else float(self.done == self.total)

    def _before(self, job: Job) -> tuple[float, bool]:
        """What is known of a job before any of its group has run, and whether that is only rough."""
        known = self.earlier.get(job.group)
        return (job.rough, True) if known is None else (known, False)

    def _kin(self, job: Job, rough: bool) -> list[tuple[str, ...]]:
        """Whose errors a job's is likely to share, nearest first; records are wrong in another way than guesses."""
        return [("rough", job.use, job.kind), ("rough", job.use), ("rough",)] if rough else [("records",)]
