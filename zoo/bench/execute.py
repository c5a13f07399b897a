"""Cells become records: the driver's loop over workers. It alone holds labels, scores, and writes."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.bench import graphs
from zoo.bench.executors import Channel, Executor
from zoo.bench.folds import Folds, FoldsPair
from zoo.bench.plan import Cell
from zoo.bench.protocol import Pair, Protocol, Round
from zoo.records import FINAL
from zoo.records.store import Store

LOWEST = float(np.finfo(np.float16).min)
CHECKPOINT_S = 60.0  # seconds of training between checkpoints; the environment's ZOO_CHECKPOINT says otherwise


@dataclass
class Job:
    """A cell, or a source model (``cell`` is then one of the cells that need it), and how far it is."""

    cell: Cell
    model: bool = False
    round: int = 0
    phase: str = ""
    costs: dict[str, Any] = field(default_factory=dict)
    scores: list[dict[str, np.ndarray]] = field(default_factory=list)  # of each round
    explanations: list[Any] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The name of its checkpoint."""
        return str(self.cell.model) if self.model else f"{self.cell.id}-{self.round}" if self.round else self.cell.id

    @property
    def worker(self) -> tuple[Any, ...]:
        return ("source models",) if self.model else self.cell.worker


@dataclass
class Slot:
    """A place for a worker; ``sent`` are the arrays it holds, by name."""

    channel: Channel | None = None
    worker: tuple[Any, ...] = ()
    job: Job | None = None
    deadline: float = float("inf")
    sent: dict[str, Any] = field(default_factory=dict)


class View:
    """Who looks on: is told of records and trainings. This one shows nothing."""

    def record(self, record: dict[str, Any]) -> None:
        """A cell has been stored."""

    def progress(self, worker: int, cell: Cell, news: dict[str, Any]) -> None:
        """How far a worker's training is: ``step``, ``steps``, ``per_s`` and the loss ``terms``."""

    def ended(self, worker: int) -> None:
        """A worker's training is over."""


class Driver:
    """Runs jobs on an executor and stores a record for each cell.

    Parameters
    ----------
    common : dict
        What every record says alike (device, versions).
    timeout : seconds that one cell may take, or None
    view : is told what happens
    """

    def __init__(
        self,
        protocol: Protocol | Folds,
        store: Store,
        executor: Executor,
        *,
        common: dict[str, Any],
        timeout: float | None = None,
        view: View,
    ) -> None:
        self.protocol, self.store, self.executor = protocol, store, executor
        self.common, self.timeout, self.view = common, timeout, view
        self.checkpoint_s = float(os.environ.get("ZOO_CHECKPOINT", CHECKPOINT_S))
        self.models: dict[str, dict[str, np.ndarray]] = {}
        self.failed: list[dict[str, Any]] = []
        self.lost: dict[str, str] = {}  # source models that failed, and why
        self.queues: dict[tuple[Any, ...], deque[Job]] = {}

    def run(self, cells: Iterable[Cell]) -> None:
        """Run all cells; a worker that dies or overruns costs its own cell only."""
        self._enqueue(cells)
        self.slots = slots = [Slot() for _ in range(self.executor.width)]
        try:
            while True:
                for slot in slots:
                    while slot.job is None and (job := self._next(slot)):
                        self._begin(slot, job)
                busy = {id(s.channel): s for s in slots if s.job}
                if not busy:
                    return
                patience = max(0.0, min(s.deadline for s in busy.values()) - time.monotonic())
                channels = [s.channel for s in busy.values() if s.channel]
                ready = self.executor.wait(channels, None if patience == float("inf") else patience)
                for channel in ready:
                    self._advance(busy[id(channel)])
                for slot in busy.values():
                    if slot.job and time.monotonic() > slot.deadline:
                        self._end(slot)
                        self._finish(slot, "timeout", f"stopped after {self.timeout:g} s")
        finally:
            for slot in slots:
                self._end(slot)

    def _enqueue(self, cells: Iterable[Cell]) -> None:
        cells = sorted(cells, key=lambda c: (c.use != "net", str(c.seed), str(c.source), c.row.info.name, c.id))
        wanted = {c.model: c for c in cells if c.model}
        for key, cell in wanted.items():
            arrays = self.store.artefact(str(key))
            if arrays is None:
                self.queues.setdefault(("source models",), deque()).append(Job(cell, model=True))
            else:
                self.models[str(key)] = arrays
        for cell in cells:
            self.queues.setdefault(cell.worker, deque()).append(Job(cell))

    def _next(self, slot: Slot) -> Job | None:
        """The next job that can run: source models first, then of the worker at hand, then of the longest queue.

        A queue that another worker serves comes last: two of them would compute twice what its methods share.
        """
        served = {s.worker for s in self.slots if s is not slot and s.job}

        def turn(w: tuple[Any, ...]) -> tuple[bool, bool, bool, int]:
            return w != ("source models",), w != slot.worker, w in served, -len(self.queues[w])

        for worker in sorted(self.queues, key=turn):
            queue = self.queues[worker]
            for _ in range(len(queue)):
                job = queue.popleft()
                key = job.cell.model
                if job.model or key is None or key in self.models or key in self.lost:
                    if not queue:
                        del self.queues[worker]
                    return job
                queue.append(job)
        return None

    def _begin(self, slot: Slot, job: Job) -> None:
        slot.job = job
        if (why := self.lost.get(job.cell.model or "")) and not job.model:
            status, _, reason = why.partition(": ")
            self._finish(slot, status, f"its source model: {reason}")
            return
        if slot.channel is None or slot.worker != job.worker:
            self._end(slot)
            slot.channel, slot.worker = self.executor.open(), job.worker
        slot.deadline = float("inf") if self.timeout is None else time.monotonic() + self.timeout
        self._send_fit(slot, job)

    def _send_fit(self, slot: Slot, job: Job) -> None:
        cell, suite = job.cell, self.protocol.suite
        fields = self._round(job).fields
        names = ({"Xs", "ys"} & fields.keys() or {"Xl"}) if job.model else cell.grant & fields.keys()
        nodes, own = self._nodes(cell), cell.use == "base" and bool(cell.grant & graphs.GRAPHS)
        if nodes and not own:
            names |= graphs.granted(names)
        arrays = {k: None if slot.sent.get(k) is fields[k] else fields[k] for k in sorted(names)}
        slot.sent |= {k: fields[k] for k in names}
        model = None if job.model or own or not cell.model else self.models[cell.model]
        job.phase = "fit"
        assert slot.channel
        slot.channel.send(
            {
                "op": "model" if job.model else "fit",
                "info": cell.row.info,
                "parameters": cell.row.parameters,
                "needs": sorted(cell.grant),
                "arrays": arrays,
                "model": model and {k: v for k, v in model.items() if not k.startswith("__")},
                "featurise": cell.use == "base" and suite.features == "source" and not own,
                "shaped": job.model or cell.use == "net",
                "nodes": "" if not nodes else "own" if own else "net",
                "learner": {
                    "base": suite.base,
                    "net": suite.net,
                    "backbone": suite.backbone,
                    "use": "net" if job.model else cell.use,
                    "budget": suite.net_budget,
                    "seed": cell.seed or 0,
                },
                "n_classes": len(self.protocol.data.classes),
                "device": self.common["device"],
                "seed": cell.seed or 0,
                "again": job.round > 0,
                "checkpoint_s": self.checkpoint_s,
                "state": self.store.checkpoint(job.key) if cell.use == "net" or job.model else None,
            }
        )

    def _send_predict(self, slot: Slot, job: Job) -> None:
        """Test rows, only now that `fit` has returned; where test is adapt (transductive) they are sent once."""
        now = self._round(job)
        fitted = now.fitted if "Xt" in job.cell.grant else None
        whole = {k: None if slot.sent.get(k) is graph else graph for k, graph in now.whole.items()}
        job.phase = "predict"
        assert slot.channel
        message = {"arrays": now.sets, "context": now.context, "graphs": whole, "fitted": fitted}
        slot.channel.send({"op": "predict", **message})

    def _advance(self, slot: Slot) -> None:
        """Take a worker's answer and send the next message of its job, if there is one."""
        job, channel = slot.job, slot.channel
        assert job
        assert channel
        try:
            answer = channel.receive()
        except EOFError:
            reason = channel.obituary()
            self._end(slot)
            self._finish(slot, "failed", reason)
            return
        if "note" in answer:
            self._note(slot, job, answer)
            return
        self.store.keep_checkpoint(job.key, None)
        if answer["status"] != "ok":
            self._finish(slot, answer["status"], answer["reason"])
        elif job.model:
            self._keep_model(slot, job, answer)
        elif job.phase == "fit":
            _add(job.costs, answer, ("fit_s", "fit_cpu_s", "shared_s"))
            job.costs |= {k: answer[k] for k in ("certificate", "curves")}
            job.explanations += [e for e in [answer["explanation"]] if e is not None]
            self._send_predict(slot, job)
        else:
            _add(job.costs, answer, ("predict_s", "shared_s"))
            for peak in ("peak_rss_mb", "peak_cuda_mb"):
                job.costs[peak] = max((v for v in (job.costs.get(peak), answer[peak]) if v is not None), default=None)
            job.scores.append(answer["scores"])
            job.round += 1
            if job.round < self._pair(job.cell).n_rounds("yt" in job.cell.grant):
                self._send_fit(slot, job)
            else:
                self._finish(slot, "ok", "")

    def _note(self, slot: Slot, job: Job, note: dict[str, Any]) -> None:
        """What a worker tells while it trains: the state to go on from after a kill, or how far it is."""
        if note["note"] == "checkpoint":
            self.store.keep_checkpoint(job.key, note["state"])
        else:
            self.view.progress(self.slots.index(slot), job.cell, note)

    def _keep_model(self, slot: Slot, job: Job, answer: dict[str, Any]) -> None:
        key = str(job.cell.model)
        curves = np.array(json.dumps(answer["curves"]))
        arrays = {**answer["state"], "__fit_s__": np.array(answer["fit_s"]), "__curves__": curves}
        self.store.keep(key, arrays)
        self.models[key] = arrays
        slot.job = None

    def _finish(self, slot: Slot, status: str, reason: str) -> None:
        """Score, store and report a cell, whatever became of it."""
        job, slot.job = slot.job, None
        assert job
        cell = job.cell
        self.view.ended(self.slots.index(slot))
        if job.model:
            self.lost[str(cell.model)] = f"{status}: {reason}"
            return
        pair = self._pair(cell)
        predictions = {}
        gathered = pair.gathered(job.scores) if status == "ok" else {}
        for name, scores in gathered.items():
            with np.errstate(divide="ignore"):
                predictions[f"{name}_log_scores"] = np.maximum(np.log(scores), LOWEST).astype(np.float16)
            predictions[f"{name}_predicted"] = scores.argmax(1).astype(np.int16)
            predictions[f"{name}_rows"] = pair.rows.get(name, np.empty(0, np.int64)).astype(np.int32)
        source = self.models.get(cell.model or "", {})
        trained = float(source["__fit_s__"]) if source else 0.0
        if source and cell.use == "net" and not job.costs.get("curves"):  # source_only is the source model
            job.costs["curves"] = json.loads(str(source["__curves__"]))
        record = {
            "cell": cell.id,
            "family": cell.row.info.family,
            **cell.identity,
            "status": status,
            "reason": reason,
            "metrics": pair.metrics(gathered["test"]) if status == "ok" else {},
            "validators": {},
            "n_test": len(pair.y_test),
            **{"fit_s": None, "fit_cpu_s": None, "predict_s": None, "peak_rss_mb": None, "peak_cuda_mb": None},
            "certificate": {},
            "curves": {},
            **job.costs,
            "shared_s": trained + job.costs.get("shared_s", 0.0),
            **self.common,
        }
        self.store.append(record, predictions, job.explanations if status == "ok" else [])
        if status not in FINAL:
            self.failed.append(record)
        self.view.record(record)

    def _end(self, slot: Slot) -> None:
        if slot.channel:
            slot.channel.close()
        slot.channel, slot.worker, slot.sent = None, (), {}

    def _pair(self, cell: Cell) -> Pair | FoldsPair:
        base = not self._nodes(cell) if self.protocol.suite.source.graphs else cell.use == "base"
        return self.protocol.pair(cell.source, cell.target, cell.seed or 0, base)

    def _nodes(self, cell: Cell) -> bool:
        return graphs.sees_nodes(self.protocol.suite, cell.row.info, cell.use)

    def _round(self, job: Job) -> Round:
        """What the job fits and scores now; source models are trained on what all rounds share."""
        return self._pair(job.cell).round(job.round, "yt" in job.cell.grant and not job.model)


def _add(costs: dict[str, Any], answer: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        costs[name] = costs.get(name, 0.0) + answer[name]
