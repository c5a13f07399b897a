"""Cells become records: the driver's loop over workers. It alone holds labels, scores, and writes."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from zoo.bench import guests, messages
from zoo.bench.executors import Channel, Executor
from zoo.bench.jobs import MAKERS, Job, Slot, View, add, has_room, planned
from zoo.bench.plan import Cell
from zoo.bench.turns import Turns
from zoo.bench.view import cost
from zoo.errors import one_line
from zoo.kinds.base import Draws, Pair, Round
from zoo.records import FINAL
from zoo.records.store import Store, predictions
from zoo.vault import answers
from zoo.vault.wire import Malformed

CHECKPOINT_S = 60.0  # seconds of training between checkpoints; the environment's ZOO_CHECKPOINT says otherwise
STATE_LIMIT, STRANGER_LIMIT = 1 << 32, 1 << 30  # bytes of what trusted workers make, and of a plugin's checkpoint
DEATHS = 2  # of its server, after which a plugin runs no more


class Driver:
    """Runs jobs on an executor and stores a record for each cell.

    Parameters
    ----------
    common : dict
        What every record says alike (device, versions).
    timeout : seconds that one cell may take, or None
    view : is told what happens
    probes : whether fitted methods are asked for what validators see: features, and scores of mixtures
    keep : whether fits of the zoo's own methods are kept, to predict with later
    """

    def __init__(
        self,
        protocol: Draws,
        store: Store,
        executor: Executor,
        *,
        common: dict[str, Any],
        timeout: float | None = None,
        view: View,
        probes: bool = False,
        keep: bool = False,
    ) -> None:
        self.protocol, self.suite, self.store, self.executor = protocol, protocol.suite, store, executor
        self.common, self.timeout, self.view, self.probes, self.keep = common, timeout, view, probes, keep
        self.checkpoint_s = float(os.environ.get("ZOO_CHECKPOINT", CHECKPOINT_S))
        self.made: dict[str, dict[str, np.ndarray]] = {}  # source models and strangers' features
        self.failed: list[dict[str, Any]] = []
        self.users: Counter[str] = Counter()  # cells that have yet to use such features
        self.lost: dict[str, str] = {}  # what could not be made, and why
        self.deaths: Counter[str] = Counter()  # of the strangers' server, by the plugin that it died under
        self.one_stranger = False  # at a time, since it died under several
        self.queues: dict[tuple[Any, ...], deque[Job]] = {}
        self.slots, self.turns = list[Slot](), Turns(store)

    def run(self, cells: Iterable[Cell]) -> None:
        """Run all cells; a worker that dies or overruns costs its own cell only."""
        self._enqueue(cells)
        self.view.plan([job for queue in self.queues.values() for job in queue])
        self.slots = slots = [Slot() for _ in range(self.executor.width)]
        try:
            while True:
                for slot in slots:
                    while slot.job is None and has_room(slot, slots, self.executor) and (job := self._next(slot)):
                        if (mine := self.turns.mine(job)) is not False:
                            self._begin(slot, job) if mine else self._theirs(slot, job)
                busy = {id(s.channel): s for s in slots if s.job}
                if not busy:
                    if not (again := self.turns.waited()):
                        return
                    for job in again:
                        self.queues.setdefault(job.worker, deque()).append(job)
                    continue
                patience = max(0.0, min(s.deadline for s in busy.values()) - time.monotonic())
                channels = [s.channel for s in busy.values() if s.channel]
                ready = self.executor.wait(channels, None if patience == float("inf") else patience)
                for channel in ready:
                    if busy[id(channel)].channel is channel:
                        self._advance(busy[id(channel)])
                for slot in busy.values():
                    if slot.job and time.monotonic() > slot.deadline:
                        self._end(slot)
                        self._finish(slot, "timeout", f"stopped after {self.timeout:g} s")
        finally:
            for slot in slots:
                self._end(slot)
            self.turns.claims.close()

    def _theirs(self, slot: Slot, job: Job) -> None:  # has run it
        self.users[messages.stranger_features(self.suite, job.cell)] -= 1
        self.view.began(self.slots.index(slot), job)
        self._told(slot, None)

    def _enqueue(self, cells: Iterable[Cell]) -> None:
        jobs, makers = planned(sorted(cells, key=cost.order), self.suite)
        for job in jobs:
            self.users.update(job.wants[:-1])  # but of the source model, which stays
            self.queues.setdefault(job.worker, deque()).append(job)
        for key, maker in makers.items():
            if (arrays := self.store.artefact(key) if maker.op == "model" else None) is not None:
                self.made[key] = arrays
            else:
                self.queues.setdefault(maker.worker, deque()).append(maker)

    def _next(self, slot: Slot) -> Job | None:
        """The next job that can run: of the worker at hand, then of the longest queue; what others wait for in time.

        A queue that another worker serves comes last: two of them would compute twice what its methods share.
        """
        others = [s for s in self.slots if s is not slot and s.job]
        served = {s.worker for s in others}

        def turn(w: tuple[Any, ...]) -> tuple[bool, bool, int]:
            return w != slot.worker, w in served, -len(self.queues[w])

        ready = (job for w in sorted(self.queues, key=turn) if w != MAKERS for job in [self._ready(w)] if job)
        cell, maker = next(ready, None), self._ready(MAKERS)
        making = sum(1 for s in others if s.job and s.job.makes)
        if maker and cost.make_first(len(self.slots), making, maker, cell):
            cell = maker
        if cell:
            self.queues[cell.worker].remove(cell)
            if not self.queues[cell.worker]:
                del self.queues[cell.worker]
        return cell

    def _ready(self, worker: tuple[Any, ...]) -> Job | None:
        """The first job of a queue that has all that it wants."""
        full = self.one_stranger and any(s.job and s.job.stranger for s in self.slots)
        jobs = (j for j in self.queues.get(worker, ()) if not (full and j.stranger))
        return next((j for j in jobs if all(k in self.made or k in self.lost for k in j.wants)), None)

    def _begin(self, slot: Slot, job: Job) -> None:
        slot.job, job.started = job, time.monotonic()
        job.begin()
        self.view.began(self.slots.index(slot), job)
        if lost := [self.lost[k] for k in job.wants if k in self.lost]:
            status, _, reason = lost[0].partition(": ")
            self._finish(slot, status, reason if reason.startswith("its source") else f"its source model: {reason}")
        elif job.stranger and self.deaths[job.plugin] >= DEATHS:
            self._finish(slot, "failed", f"the server of plugins died {DEATHS} times under this plugin")
        else:
            slot.deadline = float("inf") if self.timeout is None else time.monotonic() + self.timeout
            self._send_fit(slot, job)

    def _send_fit(self, slot: Slot, job: Job) -> None:
        """Send what a fit, a source model or an extraction needs; a stranger's fit gets a fresh process."""
        if slot.channel is None or slot.worker != job.worker or job.stranger:
            self._end(slot)
            slot.channel, slot.worker = self.executor.open(job.stranger), job.worker
        cell, suite, now = job.cell, self.suite, self._round(job)
        trains = job.op == "model"
        names = ({"Xs", "ys"} & now.fields.keys() or {"Xl"}) if trains else cell.grant & now.fields.keys()
        fields, features = now.fields, self._featured(job)
        use, data = "net" if trains else cell.use, self.protocol.data
        message = messages.head(suite, data, cell, self.common["device"], use, trains)
        if features is not None:
            fields = fields | {k: features[f"field {k}"] for k in ("Xs", "Xt", "Xl") if f"field {k}" in features}
            message["nodes"] = ""
        else:
            names |= suite.kind.beside(message["nodes"], names)
        arrays = {k: None if slot.sent.get(k) is fields[k] else fields[k] for k in sorted(names)}
        slot.sent |= {k: fields[k] for k in names}
        wanted = cell.model and not trains and message["nodes"] != "own" and not now.folds
        wanted = wanted and (features is None or "model" in cell.grant)
        model = {k: v for k, v in self.made[str(cell.model)].items() if not k.startswith("__")} if wanted else None
        message |= messages.fit(suite, cell, job.op, job.round > 0, arrays, model, features is None)
        message |= {
            "checkpoint_s": self.checkpoint_s,
            "shape": list(now.sets["test"].shape[1:]) if now.batches else None,
            "state": self.store.checkpoint(job.key) if cell.use == "net" or trains else None,
            "keep": self.keep and job.op == "fit" and not job.stranger and not now.folds,
        }
        if job.op == "extract":
            message |= {"sets": now.sets, "graphs": self._whole(slot, now)}
        assert slot.channel
        slot.channel.expect(STRANGER_LIMIT if job.stranger else STATE_LIMIT)
        slot.channel.send(message)

    def _send_predict(self, slot: Slot, job: Job) -> None:
        """Test rows, only now that `fit` has returned; where test is adapt (transductive) they are sent once."""
        now, part, features = self._round(job), job.parts[0], self._featured(job)
        graphs = {} if features is not None else self._whole(slot, now)
        message = messages.predict(job.cell, now, part, messages.sets(now, features), graphs)
        message |= {"device": self.common["device"], "last": len(job.parts) == 1}
        assert slot.channel
        slot.channel.expect(8 * self._columns(job) * sum(map(len, part.values())))
        slot.channel.send(message)

    def _send_probe(self, slot: Slot, job: Job) -> None:
        """Ask what validators want to see, after the fit and before the test rows."""
        now, features = self._round(job), self._featured(job)
        graphs = {} if features is not None else self._whole(slot, now)
        message = messages.probe(job.cell, now, messages.sets(now, features), features, graphs)
        job.probed = {"adapt" if k == now.fitted else k: v.shape[0] for k, v in message["arrays"].items()}
        assert slot.channel
        slot.channel.expect(STRANGER_LIMIT if job.stranger else STATE_LIMIT)
        slot.channel.send(message | {"device": self.common["device"]})

    def _featured(self, job: Job) -> dict[str, np.ndarray] | None:
        """Features that a stranger is sent in place of its samples."""
        return self.made.get(messages.stranger_features(self.suite, job.cell)) if job.stranger else None

    def _whole(self, slot: Slot, now: Round) -> dict[str, Any]:
        return {k: None if slot.sent.get(k) is graph else graph for k, graph in now.whole.items()}

    def _advance(self, slot: Slot) -> None:
        """Take a worker's answer and send the next message of its job, if there is one."""
        job, channel = slot.job, slot.channel
        assert job
        assert channel
        try:
            answer = channel.receive()
            if "note" in answer:
                self._note(slot, job, answer)
                return
            self.store.keep_checkpoint(job.key, None)
            if job.probed:
                self._seen_of(job, answer)
                self._send_predict(slot, job)
            elif failure := answers.failure(answer):
                job.opened |= set(answers.opened(answer))
                self._finish(slot, *failure)
            elif job.makes:
                self._keep(slot, job, answer)
            elif not job.parts:
                self._fitted(slot, job, answers.fit(answer))
            else:
                rows = {name: len(rows) for name, rows in job.parts[0].items()}
                self._predicted(slot, job, answers.predict(answer, rows, self._columns(job), self.suite.problem))
        except EOFError:
            self._died(slot, job, channel)
        except Malformed as error:
            self._end(slot)
            self._finish(slot, "failed", f"its worker's answer: {one_line(str(error))}")

    def _fitted(self, slot: Slot, job: Job, answer: dict[str, Any]) -> None:
        add(job, answer, ("fit_s", "fit_cpu_s", "shared_s"))
        now = self._round(job)
        job.costs |= {k: answer[k] for k in ("certificate", "curves") if not now.folds}
        job.explanations += [e for e in [answer["explanation"]] if e is not None]
        job.kept += [self.store.keep_model(job.key, m) for m in [answer["kept"]] if m is not None and self.keep]
        self._seen(job, answer)
        rng = self.protocol.data.domains[job.cell.target].secret.generator("chunks", job.cell.id, job.round)
        job.parts.extend(messages.parts(now, job.cell, rng))
        if self.probes and "yt" not in job.cell.grant and self.suite.kind.learners and not now.folds:
            self._send_probe(slot, job)
        else:
            self._send_predict(slot, job)

    def _seen_of(self, job: Job, answer: dict[str, Any]) -> None:
        """Keep what validators will see of a fitted method; one that cannot be probed is scored all the same."""
        rows, job.probed = job.probed, {}
        if answers.failure(answer) is None:
            seen, job.costs["probe_s"] = answers.probed(answer, rows, self._columns(job), self.suite.problem)
            self.store.keep_seen(job.cell.id, seen)

    def _predicted(self, slot: Slot, job: Job, answer: dict[str, Any]) -> None:
        add(job, answer, ("predict_s", "shared_s"))
        self._seen(job, answer)
        job.said.append((job.parts.popleft(), answer["scores"]))
        if job.parts:
            self._send_predict(slot, job)
            return
        scores, apart = messages.gathered(self._round(job), self._columns(job), job.said)
        job.said.clear()
        exact = self.common["device"] == "cpu" or self.suite.precision == "fp32"
        if apart > (messages.DIFFER if exact else messages.DIFFER_BF16):
            self._finish(slot, "failed", f"not row-wise: a row's scores differ by {apart:.2g} in other company")
            return
        job.scores.append(scores)
        job.round += 1
        rejects = messages.rejects(self.protocol.data, job.cell)
        if job.round < self._pair(job.cell).n_rounds("yt" in job.cell.grant, rejects):
            return self._send_fit(slot, job)
        self._finish(slot, "ok", "")

    def _seen(self, job: Job, answer: dict[str, Any]) -> None:
        for peak in ("peak_rss_mb", "peak_cuda_mb"):
            job.costs[peak] = max((v for v in (job.costs.get(peak), answer[peak]) if v is not None), default=None)
        job.opened |= set(answer["opened"])

    def _died(self, slot: Slot, job: Job, channel: Channel) -> None:
        """A worker has ended before it answered: its cell fails, unless that was not the cell's doing."""
        reason = channel.obituary()  # which waits for the server's word; a worker's end may be met before its server's
        if not channel.server_died:
            self._end(slot)
            job.blame += channel.blame
            return self._again(slot) if job.blame < 1 else self._finish(slot, "failed", reason)
        died = (s for s in self.slots if s.job and s.channel and s.channel.server_died)
        fallen = [s for s in died if s.job and s.job.stranger == job.stranger]
        if job.stranger and len(fallen) == 1:
            self.deaths[job.plugin] += 1
        for other in fallen:
            assert other.job
            self._end(other)
            other.job.tries += 1
            if other.job.stranger and len(fallen) > 1:  # under whom, shows when they run one by one
                self.one_stranger = True
                other.job.tries -= 1
            if other.job.tries >= DEATHS:
                self._finish(other, "failed", f"the server that forks workers died {DEATHS} times under it")
            else:
                self._again(other)

    def _again(self, slot: Slot) -> None:
        """Put a job back, to be the next of its queue."""
        job, slot.job = slot.job, None
        assert job
        self.view.ended(self.slots.index(slot))
        self.queues.setdefault(job.worker, deque()).appendleft(job)

    def _note(self, slot: Slot, job: Job, answer: dict[str, Any]) -> None:
        """What a worker tells while it trains: the state to go on from after a kill, or how far it is."""
        note = answers.note(answer)
        if job.parts:
            raise Malformed(f"a note ({note['note']}) after its fit has returned")
        if note["note"] == "checkpoint":
            self.store.keep_checkpoint(job.key, note["state"])
        else:
            self.view.progress(self.slots.index(slot), job.cell, note)

    def _keep(self, slot: Slot, job: Job, answer: dict[str, Any]) -> None:
        """Keep what a worker has made; source models in the cache, too."""
        seconds, said = answers.made(answer)
        trained, curves = np.array(seconds), np.array(json.dumps(said))
        if job.op == "model":
            self.made[job.makes] = {**answers.arrays(answer, "state"), "__fit_s__": trained, "__curves__": curves}
            self.store.keep(job.makes, self.made[job.makes])
        else:
            self.made[job.makes] = {**answers.arrays(answer, "features"), "__fit_s__": trained}
        slot.job = None
        self._told(slot, seconds)
        if job.stranger:
            self._end(slot)

    def _finish(self, slot: Slot, status: str, reason: str) -> None:
        """Score, store and report a cell, whatever became of it."""
        job, slot.job = slot.job, None
        assert job
        cell = job.cell
        spent = [job.costs[k] for k in ("fit_s", "predict_s") if status == "ok" and k in job.costs]
        self._told(slot, sum(spent) if spent else None)
        if job.stranger:
            self._end(slot)
        if job.makes:
            return self.lost.update({job.makes: f"{status}: {reason}"})
        pair = self._pair(cell)
        gathered = job.gathered(pair, self.protocol.data) if status == "ok" else {}
        sources = [self.made[k] for k in {cell.model, messages.stranger_features(self.suite, cell)} if k in self.made]
        trained = sum(float(source["__fit_s__"]) for source in sources)
        source = self.made.get(cell.model or "", {})
        if source and cell.use == "net" and not job.costs.get("curves"):  # source_only is the source model
            job.costs["curves"] = json.loads(str(source["__curves__"]))
        metrics = pair.metrics(gathered["test"]) if status == "ok" else {}
        record = job.record(status, reason, metrics, len(pair.y_test), trained, self.common)
        record |= {"constant": True} if status == "ok" and pair.constant(gathered["test"]) else {}
        if job.opened:
            record["files"] = guests.stamps(self.suite, cell, job.opened)
        self.store.append(record, predictions(gathered, pair.rows), job.explanations if status == "ok" else [])
        self.turns.claims.release(cell.id)
        features = messages.stranger_features(self.suite, cell)
        self.users[features] -= 1
        if self.users[features] == 0:
            self.made.pop(features, None)
        if status not in FINAL:
            self.failed.append(record)
        self.view.record(record)

    def _told(self, slot: Slot, seconds: float | None) -> None:
        self.view.done(self.slots.index(slot), seconds)
        self.view.ended(self.slots.index(slot))

    def _end(self, slot: Slot) -> None:
        if slot.channel:
            slot.channel.close()
        slot.channel, slot.worker, slot.sent = None, (), {}

    def _columns(self, job: Job) -> int:
        return messages.widths(self.protocol.data, job.cell)["columns"]

    def _pair(self, cell: Cell) -> Pair:
        return cell.pair(self.protocol)

    def _round(self, job: Job) -> Round:
        """What the job fits and scores now; source models are trained on what all rounds share."""
        return self._pair(job.cell).round(job.round, "yt" in job.cell.grant and job.op != "model")
