"""What the driver has to do, where it is done, and who looks on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.bench.executors import Channel, Executor
from zoo.bench.messages import Part, rejects, stranger_features
from zoo.bench.plan import Cell
from zoo.bench.suite import Suite
from zoo.kinds.base import Data, Pair

MAKERS = ("source models",)  # the workers that make what cells need


@dataclass(eq=False)
class Job:
    """A cell, or what cells need of trusted workers: a source model, or features by it for strangers.

    Attributes
    ----------
    cell : the cell, or one of those that need what is made
    makes : key of what is made; empty for a cell
    wants : keys of what has to be made before
    """

    cell: Cell
    makes: str = ""
    op: str = "fit"
    wants: tuple[str, ...] = ()
    round: int = 0
    parts: deque[Part] = field(default_factory=deque)  # of the prediction that is going on; the first is out
    said: list[tuple[Part, Any]] = field(default_factory=list)
    probed: dict[str, int] = field(default_factory=dict)  # sets, and their rows, of a probe that is out
    costs: dict[str, Any] = field(default_factory=dict)
    scores: list[dict[str, np.ndarray]] = field(default_factory=list)  # of each round
    explanations: list[Any] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # hashes of the models of its rounds
    opened: set[str] = field(default_factory=set)
    tries: int = 0
    blame: float = 0.0  # for workers that were lost under it
    started: float = 0.0

    @property
    def key(self) -> str:
        """The name of its checkpoint."""
        return self.makes or (f"{self.cell.id}-{self.round}" if self.round else self.cell.id)

    @property
    def stranger(self) -> bool:
        return self.cell.foreign or (self.cell.row.info.plugin and not self.makes)

    @property
    def plugin(self) -> str:
        """Under whose name a stranger's deaths are counted: the method's, or the network's under one of the zoo."""
        return self.cell.row.info.name if self.cell.row.info.plugin else str(self.cell.identity["learner"])

    @property
    def worker(self) -> tuple[Any, ...]:
        return MAKERS if self.makes else self.cell.worker

    def record(
        self,
        status: str,
        reason: str,
        metrics: dict[str, Any],
        n_test: int,
        trained: float,
        common: dict[str, Any],
    ) -> dict[str, Any]:
        """The cell's record; `trained` are the seconds of the source models and features that it was sent."""
        return {
            "cell": self.cell.id,
            "family": self.cell.row.info.family,
            **self.cell.identity,
            "trial": self.cell.row.trial,
            "status": status,
            "reason": reason,
            "metrics": metrics,
            "validators": {},
            "n_test": n_test,
            **{"fit_s": None, "fit_cpu_s": None, "predict_s": None, "peak_rss_mb": None, "peak_cuda_mb": None},
            "certificate": {},
            "curves": {},
            **self.costs,
            "shared_s": trained + self.costs.get("shared_s", 0.0),
            **common,
            "versions": common["versions"] | self.cell.row.info.library,
            **({"models_sha256": [*self.kept]} if self.kept and status == "ok" else {}),
        }

    def gathered(self, pair: Pair, data: Data) -> dict[str, np.ndarray]:
        """The scores of all sets; what a method for closed label sets does not know is rejected here."""
        found = pair.gathered(self.scores)
        if rejects(data, self.cell):
            found, limit = pair.rejected(found)
            self.costs["certificate"] = self.costs["certificate"] | {"rejected_above": limit}
        return found

    def begin(self) -> None:
        """Nothing of an earlier try counts."""
        self.round, self.opened = 0, set()
        for kept in (self.parts, self.said, self.probed, self.costs, self.scores, self.explanations, self.kept):
            kept.clear()


def planned(cells: Iterable[Cell], suite: Suite) -> tuple[list[Job], dict[str, Job]]:
    """A job for each cell, in their order, and by their keys those that make what cells want."""
    jobs, makers = [], dict[str, Job]()
    for cell in cells:
        features = stranger_features(suite, cell)
        makers |= {cell.model: Job(cell, cell.model, "model")} if cell.model else {}
        makers |= {features: Job(cell, features, "extract", (str(cell.model),))} if features else {}
        jobs.append(Job(cell, wants=tuple(k for k in (features, cell.model) if k)))
    return jobs, makers


@dataclass
class Slot:
    """A place for a worker; ``sent`` are the arrays it holds, by name."""

    channel: Channel | None = None
    worker: tuple[Any, ...] = ()
    job: Job | None = None
    deadline: float = float("inf")
    sent: dict[str, Any] = field(default_factory=dict)


def has_room(slot: Any, slots: Iterable[Any], executor: Executor) -> bool:
    """Whether a slot has a worker, or the executor room for one more."""
    return slot.channel is not None or sum(s.channel is not None for s in slots) < executor.room


def add(job: Job, answer: dict[str, Any], names: Iterable[str]) -> None:
    """Add seconds to a job's; what a plugin says of its own is believed up to those since the job began."""
    most = time.monotonic() - job.started if job.stranger else float("inf")
    for name in names:
        job.costs[name] = job.costs.get(name, 0.0) + min(answer[name], most)


class View:
    """Who looks on: is told of jobs, records and trainings. This one shows nothing."""

    def plan(self, jobs: Sequence[Job]) -> None:
        """All that is to be done, once, before anything is."""

    def began(self, worker: int, job: Job) -> None:
        """A worker has been given a job, perhaps not for the first time."""

    def done(self, worker: int, seconds: float | None) -> None:
        """Its job is done, whatever became of it, after `seconds` of fitting and predicting; None if not known."""

    def record(self, record: dict[str, Any]) -> None:
        """A cell has been stored."""

    def progress(self, worker: int, cell: Cell, news: dict[str, Any]) -> None:
        """How far a worker's training is: ``step``, ``steps``, ``per_s`` and the loss ``terms``."""

    def judged(self, done: int, of: int) -> None:
        """How many of the values of validators are there."""

    def ended(self, worker: int) -> None:
        """A worker's training is over, after `done` or because its job waits again."""
