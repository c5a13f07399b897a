"""Validators over a run: after the cells, for each what is asked for and not there yet, behind the vault."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.bench import evidence, messages, reverse
from zoo.bench.executors import Channel, Executor
from zoo.bench.jobs import has_room
from zoo.bench.plan import Cell
from zoo.errors import one_line
from zoo.kinds.base import Draws
from zoo.records import Record, values
from zoo.records.store import Store
from zoo.records.values import NA, Value
from zoo.select import PROBED, ValidatorInfo
from zoo.vault import answers
from zoo.vault.wire import Malformed

PATIENCE = 600.0  # seconds that a validator may take, unless --timeout says otherwise
SMALL = 1 << 10  # bytes of arrays in an answer that is a number
NOTHING = "no finite value"


@dataclass(eq=False)
class Task:
    """A validator of a cell: messages that go out one after another, and what is made of the last answer."""

    cell: Cell
    info: ValidatorInfo
    record: Record
    messages: deque[tuple[dict[str, Any], int]]  # and the bytes that an answer's arrays may have
    value: Callable[[dict[str, Any]], float]
    stranger: bool
    seconds: float = 0.0


@dataclass(eq=False)
class Slot:
    channel: Channel | None = None
    task: Task | None = None
    deadline: float = 0.0


@dataclass
class Judges:
    """Computes and stores the values that a run lacks.

    Attributes
    ----------
    codes : the hash of each validator's code
    keep : whether features stay when all validators have seen them
    told : is called with how many values are done, and of how many
    """

    protocol: Draws
    store: Store
    executor: Executor
    codes: Mapping[str, str]
    device: str
    timeout: float | None = None
    keep: bool = False
    told: Callable[[int, int], None] = lambda done, of: None
    failed: list[str] = field(default_factory=list)

    def run(self, cells: Iterable[Cell], records: Iterable[Record], infos: Iterable[ValidatorInfo]) -> None:
        """Judge all ok records of `cells` that are no oracle's; what is asked again and stands already is left."""
        known = {r["cell"]: r for r in records if r["status"] == "ok"}
        self.there, _ = values.read(self.store.folder, known.values(), self.codes)
        judges = [i for i in infos if i.outside != "oracle"]
        todo = [c for c in cells if c.id in known and "yt" not in c.grant]
        self.total = sum(not self._done(c.id, i) for c in todo for i in judges)
        self.count = 0
        tasks = self._tasks(sorted(todo, key=lambda c: c.id), known, judges)
        slots = [Slot() for _ in range(self.executor.width)]
        try:
            while True:
                for slot in slots:
                    if slot.task is None and has_room(slot, slots, self.executor) and (task := next(tasks, None)):
                        self._begin(slot, task)
                busy = {id(s.channel): s for s in slots if s.task}
                if not busy:
                    break
                patience = max(0.0, min(s.deadline for s in busy.values()) - time.monotonic())
                for channel in self.executor.wait([s.channel for s in busy.values() if s.channel], patience):
                    self._advance(busy[id(channel)])
                for slot in busy.values():
                    if slot.task and time.monotonic() > slot.deadline:
                        self._end(slot)
                        self._finish(slot, "failed", f"stopped after {self.limit:g} s")
        finally:
            for slot in slots:
                self._end(slot)
        if not self.keep:
            for cell in todo:
                self.store.forget_seen(cell.id)

    @property
    def limit(self) -> float:
        return self.timeout or PATIENCE

    def _done(self, cell: str, info: ValidatorInfo) -> bool:
        """Whether a value stands: a number, or that there is none. Other failures are tried again."""
        value = self.there.get((cell, info.name))
        return value is not None and (value.status == "ok" or value.reason == NOTHING)

    def _tasks(self, cells: list[Cell], known: Mapping[str, Record], infos: list[ValidatorInfo]) -> Iterator[Task]:
        """What is to be done, cell by cell, each read when its turn comes."""
        suite = self.protocol.suite
        for cell in cells:
            left = [i for i in infos if not self._done(cell.id, i)]
            if not left:
                continue
            pair = cell.pair(self.protocol)
            labels = evidence.source_labels(self.protocol.data, cell.source, pair)
            seen = evidence.fields(self.store.seen(cell.id), labels, suite.protocol == "transductive")
            for info in left:
                missing = sorted(info.needs - seen.keys())
                why = evidence.WHY[missing[0]] if missing else ""
                if not why and info.outside == "reverse":
                    why = reverse.refusal(suite, cell)
                if why:
                    self._say(cell, info, known[cell.id], Value(info.name, self.codes[info.name], NA, why, *[None] * 3))
                elif info.outside == "reverse":
                    yield self._reversed(cell, info, known[cell.id], seen)
                else:
                    arrays = {k: np.ascontiguousarray(seen[k]) for k in sorted(info.needs)}
                    message = {"op": "validate", "info": info, "arrays": arrays}
                    sent = deque([(message, SMALL)])
                    yield Task(cell, info, known[cell.id], sent, lambda a: answers.validated(a)[0], info.plugin)

    def _reversed(self, cell: Cell, info: ValidatorInfo, record: Record, seen: evidence.Arrays) -> Task:
        now = cell.pair(self.protocol).round(0, False)
        n_classes = len(self.protocol.data.classes)
        suite = self.protocol.suite
        head = messages.head(suite, self.protocol.data, cell, self.device, cell.use)
        sent = reverse.messages_of(cell, now, seen["pt"].argmax(1), head)
        held = seen["yv"]

        def accuracy(answer: dict[str, Any]) -> float:
            scores = answers.predict(answer, {"test": len(held)}, n_classes, suite.problem)["scores"]["test"]
            return float((scores.argmax(1) == held).mean())

        return Task(cell, info, record, sent, accuracy, cell.stranger)

    def _begin(self, slot: Slot, task: Task) -> None:
        """Start a task: of a stranger in a process of its own, of ours in one that goes on."""
        if task.stranger or slot.channel is None:
            self._end(slot)
            slot.channel = self.executor.open(task.stranger)
        slot.task, slot.deadline = task, time.monotonic() + self.limit
        self._send(slot, task)

    def _send(self, slot: Slot, task: Task) -> None:
        message, bytes_ = task.messages.popleft()
        assert slot.channel
        slot.channel.expect(bytes_)
        slot.channel.send(message)

    def _advance(self, slot: Slot) -> None:
        task, channel = slot.task, slot.channel
        assert task
        assert channel
        try:
            answer = channel.receive()
            if "note" in answer:
                return
            if failure := answers.failure(answer):
                self._finish(slot, "failed", failure[1])
            elif task.messages:
                task.seconds += _seconds(answer)
                self._send(slot, task)
            else:
                task.seconds += _seconds(answer)
                self._finish(slot, "ok", "", task.value(answer))
        except EOFError:
            reason = channel.obituary()
            self._end(slot)
            self._finish(slot, "failed", reason)
        except Malformed as error:
            self._end(slot)
            self._finish(slot, "failed", f"its worker's answer: {one_line(str(error))}")

    def _finish(self, slot: Slot, status: str, reason: str, value: float | None = None) -> None:
        task, slot.task = slot.task, None
        assert task
        if task.stranger:
            self._end(slot)
        code = self.codes[task.info.name]
        said = Value(task.info.name, code, status, one_line(reason), value, round(task.seconds, 6), None)
        self._say(task.cell, task.info, task.record, said)

    def _say(self, cell: Cell, info: ValidatorInfo, record: Record, value: Value) -> None:
        """Store a value; one that says what stands already, or less than it, is not repeated."""
        before = self.there.get((cell.id, info.name))
        self.count += 1
        if value.status == NA and before is not None:
            return
        sha = record.get("predictions_sha256")
        made = Value(info.name, value.code, value.status, value.reason, value.value, value.seconds, sha)
        self.store.append_value(cell.id, made)
        if value.status == "failed":
            self.failed.append(f"{info.name} of {record['method']}: {value.reason}")
        self.told(self.count, self.total)

    def _end(self, slot: Slot) -> None:
        if slot.channel:
            slot.channel.close()
        slot.channel = None


def probing(infos: Iterable[ValidatorInfo]) -> bool:
    """Whether some validator wants to see more of a fit than its predictions."""
    return any(info.needs & PROBED for info in infos)


def _seconds(answer: Mapping[str, Any]) -> float:
    """Seconds that a worker says it took, for whatever it did."""
    said = [answer.get(key) for key in ("seconds", "fit_s", "predict_s")]
    return sum(v for v in said if isinstance(v, int | float) and not isinstance(v, bool) and 0 <= v < 1e9)
