"""One benchmark run: suite → plan → cells → records → table."""

from __future__ import annotations

import importlib
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo import discover, machine, plain, plugged, records, select, streams, wrappers
from zoo.bench import foreign, guests, plan, suite
from zoo.bench.execute import Driver
from zoo.bench.executors import Executor
from zoo.bench.jobs import View
from zoo.bench.judge import Judges, probing
from zoo.bench.pairs import CHOOSING, alone
from zoo.data import _cache
from zoo.errors import BadInput
from zoo.records.meta import refuse_another_suite
from zoo.records.store import MADE, MODELS, Store
from zoo.results import Results as Results
from zoo.vault import confine, plugins

MOST_WORKERS, MOST_SECONDS = 1000, 1e7  # processes; a third of a year, which clocks of all systems can wait


class Benchmark:
    """A run that has been checked and planned, but has written nothing yet.

    Parameters are those of ``zoo run``; see docs/suites.md.

    Raises
    ------
    BadInput
        Anything wrong with the suite, the data, the methods or the folder.
    """

    def __init__(
        self,
        name: str | Path | Mapping[str, Any],
        *,
        methods: Sequence[str] | None = None,
        pairs: Sequence[str] | None = None,
        seeds: int | None = None,
        data_root: str | Path | None = None,
        plugins: Sequence[str | Path] = (),
        validators: Sequence[str] = (),
        keep: Sequence[str] = (),
        settings: Sequence[str] = (),
        device: str = "auto",
        executor: str = "processes",
        workers: int | None = None,
        timeout: float | None = None,
        ray_address: str | None = None,
        out: str | Path | None = None,
        fresh: bool = False,
        shard: str | None = None,
        **overrides: Any,
    ) -> None:
        wanted = {"methods": methods, "pairs": pairs, "seeds": seeds, **overrides}
        given = plugged.parted(plugins)
        self.suite = suite.load(name, wanted, [*given["dataset"], *given["net"]])
        if executor not in (known := discover.executors()):
            raise discover.unknown("executor", executor, known)
        for option, value, most in (("--workers", workers, MOST_WORKERS), ("--timeout", timeout, MOST_SECONDS)):
            if value is not None and not value > 0:
                raise BadInput(f"{option}: expected a number above 0, got {value}")
            if value is not None and value > most:
                raise BadInput(f"{option}: expected at most {most:g}, got {value}")
        part, parts = _shard(shard)
        if fresh and shard:
            raise BadInput("--fresh with --shard: one shard would delete what the others did; choose another --out")
        self.device, self.executor_name, self.timeout = machine.device(device), executor, timeout
        self.workers = workers or (machine.cores() if self.device == "cpu" else 1)
        self.asked = workers if ray_address else self.workers  # a cluster knows itself how many it has room for
        self.where = {"address": ray_address or "", "device": self.device}
        if ray_address is not None and "address" not in self._kind(executor).takes:
            raise BadInput(f"--ray-address: --executor {executor} joins no cluster; use --executor ray")
        self.known = discover.methods(given["method"]) | wrappers.named(self.suite.methods)
        rows, pairs_ = plan.parse_rows(self.suite, self.known, list(settings)), plan.parse_pairs(self.suite)
        each = alone(self.suite.sources, pairs_)
        if each and self.suite.problem.classes and not self.suite.open:
            validators = validators or CHOOSING
        self.judges = select.chosen(validators, select.validators(given["validator"]))
        if self.judges and not self.suite.problem.classes:
            raise BadInput(f"--validators: they judge class scores, which task: {self.suite.task} does not have")
        if self.judges and self.suite.open:
            raise BadInput(f"--validators: they judge scores of known classes, not label_sets: {self.suite.label_sets}")
        if self.suite.protocol == streams.NAME and (validators or keep):
            option, why = ("--validators", "to judge by") if validators else ("--keep", "to keep anything of")
            raise BadInput(f"{option}: protocol: stream: no target sample is there {why} beside the stream itself")
        if odd := set(keep) - {"features", "model"}:
            raise BadInput(f"--keep {min(odd)}: features and model can be kept, and nothing else")
        self.keep, self.keep_models = "features" in keep, "model" in keep
        if out and (why := plain.unwritable(out)):
            raise BadInput(f"--out {out} {why}; choose another --out")
        self.store = Store(Path(out) if out else Path("runs") / self.suite.name)
        self.fresh = fresh
        self.old = {} if fresh else self.store.meta()
        if self.old:
            refuse_another_suite(self.old["suite"], self.suite.recorded(), self.store.folder)
        self.root = machine.data_root(data_root)
        self.executor: Executor | None = None
        if executor == "processes":
            self.executor = self._executor()  # its imports run beside the loading of the data
        try:
            foreign.lend(self.suite.source, self.executor)
            self.data = self.suite.kind.load(self.suite, [*pairs_, *each], self.root, self.device)
            if self.executor:
                self.executor.hide(foreign.hidden(self.suite.source))
            self.suite = self._made()
            self.plan = plan.build(self.suite, self._tried(rows), pairs_, self.data)
            self.codes = self._judged()
            self.watched = self._watched()
            self.shard = shard
            self.cells = [c for c in self.plan.cells if int(c.id, 16) % parts == part - 1]
            done = set() if fresh else self.store.done(self.watched)
            self.todo = [c for c in self.cells if c.id not in done]
            self.failed: list[dict[str, Any]] = []  # records of this run whose cells the next will try again
            self.unjudged: list[str] = []  # values that a validator did not give, and why
        except BaseException:
            self.close()
            raise

    def _executor(self, name: str = "") -> Executor:
        kind = self._kind(name or self.executor_name)
        workers = self.asked if "address" in kind.takes else self.workers
        return kind(workers, self._hidden(), **{k: self.where[k] for k in kind.takes})

    @staticmethod
    def _kind(name: str) -> Any:
        return getattr(importlib.import_module(f"zoo.bench.executors.{name}"), name.capitalize())

    def _hidden(self) -> list[Path]:
        """What no plugin may read, where the kernel can keep it from that: data, and records of this and other runs."""
        own: Sequence[Any] = self.suite.data.paths if self.suite.data else ()
        runs = {p.parent for place in (self.store.folder.parent, Path("runs")) for p in place.glob("*/run.json")}
        others = [run / name for run in runs - {self.store.folder} for name in (*MADE, MODELS, "explanations")]
        own = [*map(Path, own), *foreign.hidden(self.suite.source)]
        return [*filter(None, [self.root]), *own, self.store.folder, *others, _cache.folder()]

    def _tried(self, rows: list[plan.Row]) -> list[plan.Row]:
        """The rows, each plugin's with the files that importing it loads: in a process of its own, before all else."""
        if not any(r.info.plugin for r in rows):
            return rows
        apart, away = self.executor or self._executor("processes"), self._hidden()
        try:
            return [
                replace(r, files=plugins.loaded(apart, r.info, r.parameters, away)) if r.info.plugin else r
                for r in rows
            ]
        finally:
            if apart is not self.executor:
                apart.shutdown()

    def _made(self) -> suite.Suite:
        """The suite, a plugin's network with the files that importing it loads."""
        if not guests.of(self.suite):
            return self.suite
        apart = self.executor or self._executor("processes")
        try:
            return guests.tried(self.suite, apart, self._hidden())
        finally:
            if apart is not self.executor:
                apart.shutdown()

    def _watched(self) -> dict[str, str]:
        """Files that plugins' fits have opened, by the folder's records, with their hashes as they are now."""
        if not self.old:
            return {}
        said = {name for r in records.read(self.store.folder).records for name in r.get("files") or ()}
        return plugins.now([*(r.info for r in self.plan.rows), *(i for i, *_ in guests.kept(self.suite))], said)

    @property
    def unconfined(self) -> bool:
        """Whether plugins run in the vault on a kernel that cannot keep them from the data and the run folder."""
        return self._kind(self.executor_name).keeps_apart and self._strangers and not confine.abi()

    @property
    def _strangers(self) -> bool:
        own = [*foreign.hidden(self.suite.source), *guests.kept(self.suite)]
        return bool(own) or any(r.info.plugin for r in self.plan.rows) or any(i.plugin for i in self.judges)

    def start(self) -> None:
        """Have the workers' executor, before anything is written or shown: there may be no cluster to run on."""
        if (self.todo or self.judges) and not self.executor:
            try:
                self.executor = self._executor()
            except BaseException:
                self.close()
                raise
            self.workers = self.workers if self.asked else self.executor.width

    def run(self, view: View | None = None) -> Results:
        """Run what is not done yet; `view` is told of every record, and how far trainings are."""
        try:
            self.start()
            if self.fresh:
                self.store.clear()
            self.store.begin(self._meta())
            for info, code, files in self._carried():
                plugins.keep(self.store.folder, code, info, files)
                if self.executor:
                    self.executor.bring(info.path, plugins.sources(info, files))
            foreign.keep(self.suite.source, self.store.folder)
            draws = self.suite.kind.draws(self.suite, self.data)
            if self.todo and self.executor:
                driver = Driver(
                    draws,
                    self.store,
                    self.executor,
                    common={"device": self.device, "versions": machine.versions()},
                    timeout=self.timeout,
                    view=view or View(),
                    probes=self.keep or probing(self.judges),
                    keep=self.keep_models,
                )
                self.failed = driver.failed
                driver.run(self.todo)
            self._judge(draws, view or View())
        finally:
            self.close()
        return Results(self.store.folder)

    def _carried(self) -> Iterator[tuple[Any, str, Sequence[Path]]]:
        """The plugins, each with the hash of its code and the files that importing it loads."""
        for row in self.plan.rows:
            if row.info.plugin:
                yield row.info, self._code(row), row.files
        yield from guests.kept(self.suite)
        for info in self.judges:
            if info.plugin:
                yield info, self.codes[info.name], self.loads[info.name]

    def _judge(self, draws: Any, view: View) -> None:
        """Let the validators that are asked for judge what this command planned."""
        if not self.judges or not self.executor:
            return
        keep = self.keep or bool(self.old.get("keeps"))  # an earlier command may have asked for it
        judges = Judges(draws, self.store, self.executor, self.codes, self.device, self.timeout, keep, view.judged)
        self.unjudged = judges.failed
        judges.run(self.cells, records.read(self.store.folder).records, self.judges)

    def _judged(self) -> dict[str, str]:
        """The hashes of the validators' code; a plugin is imported in a process of its own, before all else."""
        codes: dict[str, str] = {}
        self.loads: dict[str, Sequence[Path]] = {}
        for info in self.judges:
            codes[info.name] = discover.code_hash(info.path)
            if info.plugin:
                apart, away = self.executor or self._executor("processes"), self._hidden()
                try:
                    files = plugins.loaded(apart, info, {}, away)
                finally:
                    if apart is not self.executor:
                        apart.shutdown()
                self.loads[info.name] = files
                codes[info.name] = plugins.judged(codes[info.name], info, files)
        return codes

    def unkept(self) -> int:
        """How many finished cells have no model, though this command was to keep them."""
        cells = {c.id for c in self.cells} if self.keep_models else set()
        done = [r for r in records.read(self.store.folder).records if r["cell"] in cells and r["status"] == "ok"]
        return sum(not r.get("models_sha256") for r in done)

    def close(self) -> None:
        """End the workers."""
        if self.executor:
            self.executor.shutdown()
            self.executor = None
        self.store.close()

    @property
    def label_sets(self) -> dict[str, dict[str, int]]:
        """How many classes both sides of a pair have, and one alone; of pairs where both have labels."""
        return {f"{s}:{t}": found.counts for (s, t), found in self.data.sets.items()}

    def _code(self, row: plan.Row) -> str:
        """One of the hashes of a row's code."""
        return next(iter(self.plan.code.get(row.label, {}).values()), row.label)

    def _meta(self) -> dict[str, Any]:
        p = self.plan
        return {
            "suite": self.suite.recorded(),
            "metric": self.suite.metric,
            "domains": {
                name: {"content": d.content, "classes": len(self.data.classes), **d.described()}
                for name, d in self.data.domains.items()
            },
            "pairs": [f"{s}:{t}" for s, t in p.pairs],
            "rows": {
                r.label: {
                    "method": r.info.name,
                    "family": r.info.family,
                    "parameters": r.parameters,
                    "code": p.code.get(r.label, {}),
                    "cells": p.ids(r),
                    **({"predicts": r.info.predicts} if self.suite.order and r.info.stream else {}),
                    **({"trials": p.trials[r.label]} if len(p.trials[r.label]) > 1 else {}),
                    **({"plugin": f"plugins/{self._code(r)[:16]}/{r.info.path.name}"} if r.info.plugin else {}),
                }
                for r in p.rows
            },
            "unsupported": p.unsupported,
            "partial": {f"{s}:{t}": why for (s, t), why in self.data.partial.items()},
            **({"label_sets": sets} if (sets := self.label_sets) else {}),
            "files": self.watched,
            **foreign.place(self.suite.source),
            **guests.place(self.suite),
            **({"validators": self.codes} if self.codes else {}),
            **({"keeps": True} if self.keep else {}),
            "versions": machine.versions() | {k: v for r in p.rows for k, v in r.info.library.items()},
            "device": self.device,
            "git": machine.revision(),
            "command": " ".join(["zoo", *sys.argv[1:]]) if Path(sys.argv[0]).name == "zoo" else sys.argv[0],
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }


def run(suite: str | Path | Mapping[str, Any], *, quiet: bool = False, **options: Any) -> Results:
    """Run a suite and return its `Results`; what the run folder holds already is not run again.

    Parameters
    ----------
    suite : a suite's name, the path of a YAML file, or a suite's keys as a dict, whose paths are relative to the
        working directory
    quiet : show no progress; else it is shown in the notebook, or on stderr
    **options : those of `Benchmark`, i.e. of ``zoo run``: ``methods=[...]``, ``pairs=["a:b"]``, ``seeds=3``, ...

    Examples
    --------
    >>> import zoo
    >>> zoo.run({"dataset": "digits8", "steps": "many"})
    Traceback (most recent call last):
    zoo.errors.BadInput: the suite given as a dict: steps: input should be a valid integer...
    """
    benchmark = Benchmark(suite, **options)
    if quiet:
        return benchmark.run()
    from zoo.bench.view.progress import progress

    benchmark.start()
    with progress(benchmark) as view:
        return benchmark.run(view)


def _shard(text: str | None) -> tuple[int, int]:
    """Which of how many parts of the plan: a cell belongs to the I-th of N where its id, mod N, is I - 1.

    >>> _shard("2/3"), _shard(None)
    ((2, 3), (1, 1))
    """
    if text is None:
        return 1, 1
    found = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text)
    part, parts = map(int, found.groups()) if found else (1, 0)
    if part > parts:
        raise BadInput(f"--shard {text}: expected I/N with I from 1 to N, such as 1/4")
    return part, parts
