"""What a plan will cost, before it is run: measured on this machine with a few steps, not guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo import label_sets, records
from zoo.bench import guests
from zoo.bench.plan import Cell
from zoo.bench.view.growth import Growth, answered, tried
from zoo.data._room import memory
from zoo.errors import BadInput
from zoo.kinds import unknown

if TYPE_CHECKING:
    from zoo.bench.run import Benchmark

PROBE_STEPS = 20
GUESS_S = 2.0  # seconds of a relational method and fold that has not run before


@dataclass(frozen=True)
class Estimate:
    """The plan as counts per row, and its seconds."""

    suite: str
    folder: str
    cells: int
    done: int
    rows: list[dict[str, Any]]
    unsupported: list[dict[str, str]]
    seconds: float
    workers: int
    label_sets: dict[str, dict[str, int]]

    def to_json(self) -> dict[str, Any]:
        return vars(self)

    def __str__(self) -> str:
        lines = [f"{self.suite}: {self.cells} cells, {self.done} of them done before, in {self.folder}", ""]
        width = max((len(r["label"]) for r in [*self.rows, *self.unsupported]), default=0)
        for r in self.rows:
            lines.append(
                f"{r['label']:{width}}  {r['learner']:12} {r['setting']:22} {r['cells']:5} cells  {r['seconds']:8.1f} s"
            )
        lines += [f"{u['label']:{width}}  {u['learner']:12} unsupported: {u['reason']}" for u in self.unsupported]
        lines += _memory(self.rows, self.workers)
        lines += ["", *(f"classes of {line}" for line in label_sets.lines(self.label_sets.items()))] * bool(
            self.label_sets
        )
        lines += ["", f"about {self.seconds:.0f} s on {self.workers} workers, imports not counted"]
        lines += [
            "(seconds from this folder's records where there are any, otherwise from a probe of source_only here)"
        ]
        return "\n".join(lines)


def estimate(benchmark: Benchmark) -> Estimate:
    """Count the cells that are left and estimate their cost from records, or from a probe of source_only."""
    earlier: dict[tuple[str, str], list[float]] = {}
    if (benchmark.store.folder / "run.json").exists():
        for r in records.read(benchmark.store.folder).records:
            if r["status"] == "ok":
                earlier.setdefault((r["method"], r["learner"]), []).append(r["fit_s"] + r["predict_s"])
    probes: dict[str, float] = {}
    grown: dict[tuple[str, str, str], tuple[Growth, int] | None] = {}

    def seconds(cell: Cell) -> float:
        known = earlier.get((cell.row.info.name, cell.identity["learner"]))
        if known:
            return sum(known) / len(known)
        domain = benchmark.data.domains[cell.target]
        rounds = benchmark.suite.kind.rounds(benchmark.suite, domain, cell.row.info)
        if (growth := grown[_key(cell)]) is not None:
            return growth[0].seconds(growth[1]) * rounds
        if not benchmark.suite.kind.learners:
            return GUESS_S * rounds
        if cell.use not in probes:
            probes[cell.use] = _probe(benchmark, cell.use)
        streams = len(cell.grant & {"Xs", "Xt", "Xl"})
        return probes[cell.use] * rounds * (streams if cell.use == "net" else 1)

    counts: Counter[tuple[str, str, str]] = Counter()
    costs: Counter[tuple[str, str, str]] = Counter()
    for cell in benchmark.todo:
        if (key := _key(cell)) not in grown:
            grown[key] = tried(benchmark, cell)
        counts[key] += 1
        costs[key] += seconds(cell)  # type: ignore[assignment]
    rows = [
        {"label": k[0], "learner": k[1], "setting": k[2], "cells": n, "seconds": round(float(costs[k]), 3)}
        | ({"memory_mb": growth[0].megabytes(growth[1])} if (growth := grown[k]) else {})
        for k, n in counts.items()
    ]
    total = len(benchmark.cells)
    return Estimate(
        benchmark.suite.name,
        str(benchmark.store.folder),
        total,
        total - len(benchmark.todo),
        rows,
        benchmark.plan.unsupported,
        float(sum(costs.values())) / benchmark.workers,
        benchmark.workers,
        benchmark.label_sets,
    )


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.row.label, cell.identity["learner"], cell.identity["setting"]


def _memory(rows: list[dict[str, Any]], workers: int) -> list[str]:
    """What is foretold of memory, where that is much."""
    much = [r for r in rows if r.get("memory_mb", 0) > 1000]
    lines = [f"{r['label']} will take about {r['memory_mb'] / 1000:.1f} GB of memory a worker" for r in much]
    most = max((r["memory_mb"] * 1e6 for r in much), default=0.0)
    if most * min(workers, 2) > memory():
        lines.append(
            f"this machine has {memory() / 1e9:.1f} GB: fewer --workers, fewer samples, or leave these methods out"
        )
    return ["", *lines, "(foretold from fits on 500, 1,000 and 2,000 samples)"] if lines else []


def _probe(benchmark: Benchmark, use: str) -> float:
    """Seconds that the learner takes on the first pair's source."""
    suite = benchmark.suite
    source, target = benchmark.plan.pairs[0]
    kind, info = suite.kind, benchmark.known["source_only"]
    nodes = kind.handed(suite, info, use)
    pair = kind.draws(suite, benchmark.data).pair(source, target, 0, kind.vectors(suite, info, use))
    fields = pair.round(0, oracle=False).fields
    executor = benchmark.executor = benchmark.executor or benchmark._executor()
    guest = guests.of(suite) is not None
    channel = executor.open(guest)
    budget = {**suite.net_budget, "steps": min(PROBE_STEPS, suite.steps)}
    message: dict[str, Any] = {
        "op": "model",
        "info": info,
        "arrays": {k: fields[k] for k in sorted({"Xs", "ys"} | kind.beside(nodes, {"Xs"}))},
        "nodes": nodes,
        "learner": {
            **{"task": suite.task, "base": suite.base, "net": guests.name(suite, guest), "backbone": suite.backbone},
            **{"use": "net", "budget": budget, "seed": 0},
        },
        "n_classes": len(unknown.known(benchmark.data, source)),
        "device": benchmark.device,
        "checkpoint_s": float("inf"),
        "state": None,
        **guests.shown(suite, guest),
    }
    if use == "base":
        message |= {"op": "fit", "parameters": {}, "needs": sorted(info.needs), "model": None}
        message |= {"featurise": False, "shaped": False, "seed": 0}
        message["learner"] |= {"use": "base"}
    times = []
    arrays = message["arrays"]
    for left_out in (1, 0):  # the first pays for imports and warm-up; a row less, or the second would be shared
        rows = {k: v if k == "As" else v[left_out:] for k, v in arrays.items()}
        channel.send(message | {"arrays": rows if use == "base" else arrays})
        try:
            answer = answered(executor, channel)
        except EOFError:
            raise BadInput(f"source_only, timed for the estimate, gave no answer: {channel.obituary()}") from None
        times.append(answer["fit_s"] + answer.get("shared_s", 0.0))
    channel.close()
    return times[1] * (suite.steps / budget["steps"] if use == "net" else 1)
