"""Checking a run folder: ids and digests, predictions, metrics from them, and some of its cells run again.

What a record says follows from the plan (its id), from what lies beside it (predictions and their hash), from data that
the reader has (metrics of these predictions) or from running its cell again; each is a verdict of its own, and what
could not be checked is counted.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import discover, machine, records
from zoo.bench import plan
from zoo.bench.execute import Driver
from zoo.bench.executors import Executor
from zoo.bench.jobs import View
from zoo.bench.known import again
from zoo.bench.plan import Cell, Plan
from zoo.errors import BadInput, one_line
from zoo.kinds.base import Data, Draws
from zoo.records import Record, Run
from zoo.records.schema import REPLACED
from zoo.records.store import Store, unpacked
from zoo.records.verdicts import IDENTICAL, WITHIN, Verdict, Verified, fingerprint
from zoo.vault import plugins as strangers

EXACT = 1e-9  # of what follows from predicted classes alone
SINGLE = 1e-5  # of values, which are kept as float32
ROUNDED = 0.02  # of what follows from scores, which are kept as float16 logarithms: relative, and absolute below 1
AGAIN = 0.005  # of metrics between machines: half a sample in a hundred
CLASSES = ("accuracy", "balanced_accuracy", "f1_macro")  # that follow from predicted classes
CHEAP = 4  # cells are drawn from so many times as many of the cheapest ones


@dataclass(frozen=True)
class Rebuilt:
    """The plan of a run folder by the code, the data and the methods that the reader has."""

    plan: Plan
    data: Data
    draws: Draws
    cells: dict[str, Cell]

    def absent(self, record: Record) -> Verdict:
        """What is to be said of a record that is of no cell of this plan."""
        codes = {c: r.info.name for r in self.plan.rows for c in self.plan.code.get(r.label, {}).values()}
        domains, found = self.data.domains, "unchecked"
        if record["method"] not in {r.info.name for r in self.plan.rows}:
            why = "its method is not in the zoo that verifies"
        elif codes.get(record["code"], record["method"]) != record["method"]:
            found, why = "different", f"its code is that of {codes[record['code']]}"
        elif any(domains[d].content != c for d, c in record["data"].items() if d in domains):
            why = "made on other data"
        elif record["code"] not in codes:
            why = "made by other code"
        else:
            found, why = "different", "no cell of this run: its id is not in the plan"
        return Verdict(record["cell"], "plan", found, why)


def verify(
    folder: Path,
    *,
    cells: int = 10,
    everything: bool = False,
    dear: bool = False,
    seed: int = 0,
    data_root: str | Path | None = None,
    plugins: Sequence[Path] = (),
    weights: str = "",
    workers: int | None = None,
    device: str = "auto",
    told: Callable[[Record], None] | None = None,
) -> Verified:
    """Check a run folder.

    Parameters
    ----------
    cells, everything, dear, seed
        How many cells are run again, drawn by the seed among the cheapest, or among all (`dear`); or all of them.
    plugins
        Files of methods that are not the zoo's; those kept in the run folder are not run unless given here.
    weights
        The file of weights, where the run had one.
    told
        Is told of each record that running a cell again gave.

    Raises
    ------
    BadInput
        There is no run, or it cannot be planned again, which says why.
    """
    run, root, device = records.read(folder), machine.data_root(data_root), machine.device(device)
    ok = [r for r in run.records if r["status"] == "ok" and run.tried(r)]  # others are in no table
    kept = {r["cell"]: _kept(folder, r) for r in ok}
    verdicts = [Verdict("", "lines", "refused", f"{n}: {why}") for why, n in run.refused.items() if why != REPLACED]
    verdicts += [Verdict(r["cell"], "lines", IDENTICAL) for r in ok if "digest" in r]
    verdicts += [_stored(r, kept[r["cell"]]) for r in ok]
    width = workers or (machine.cores() if device == "cpu" else 1)
    executor = _processes(width, [p for p in (root, folder) if p])
    try:
        rebuilt = _rebuilt(run, ok, root, plugins, weights, device, executor)
        verdicts += [
            _scored(rebuilt, r, kept[r["cell"]]) if r["cell"] in rebuilt.cells else rebuilt.absent(r) for r in ok
        ]
        known = [r for r in ok if r["cell"] in rebuilt.cells]
        drawn = known if everything else _drawn(known, cells, seed, dear)
        again = _run(rebuilt, [rebuilt.cells[r["cell"]] for r in drawn], device, executor, told)
    except Unplanned as error:
        verdicts += [Verdict(r["cell"], "plan", error.found, str(error)) for r in ok]
        return _said(folder, run, device, verdicts, 0, len(ok))
    finally:
        executor.shutdown()
    verdicts += [_compared(r, again[r["cell"]]) for r in drawn]
    return _said(folder, run, device, verdicts, len(drawn), len(ok))


class Unplanned(Exception):
    """A run cannot be planned again; `found` says whether that speaks against it."""

    def __init__(self, found: str, why: object) -> None:
        super().__init__(f"the run cannot be planned again: {why}")
        self.found = found


def _rebuilt(
    run: Run,
    ok: Sequence[Record],
    root: Path | None,
    files: Sequence[Path],
    weights: str,
    device: str,
    executor: Executor,
) -> Rebuilt:
    """The run's plan anew, from what run.json says and the reader has.

    Raises
    ------
    Unplanned
        The data are not here, say; or the rows of run.json are none that a suite could have.
    """
    meta, known = run.meta, discover.methods(files)
    rows = {label: row for label, row in meta["rows"].items() if row["method"] in known}
    methods = tuple({row["method"]: {**row["parameters"], "as": label}} for label, row in rows.items())
    seeds = max([meta["suite"].get("seeds", 1), *(1 + r["seed"] for r in ok if r["seed"] is not None)])
    trials = max(len(row.get("trials", ())) or 1 for row in [*rows.values(), {}])
    keys = {"trials": trials, "seeds": seeds, "methods": methods} | ({"weights": weights} if weights else {})
    try:
        suite, pairs, data = again(meta, root, device, **keys)
    except BadInput as error:
        raise Unplanned("unchecked", one_line(str(error))) from None
    try:
        parsed = plan.parse_rows(suite, known, [])
    except BadInput as error:
        raise Unplanned("different", error) from None
    parsed = [replace(r, fixed=_kept_in_all(rows[r.label])) for r in parsed]
    away = [p for p in (root,) if p]
    parsed = [
        replace(r, files=strangers.loaded(executor, r.info, r.parameters, away)) if r.info.plugin else r for r in parsed
    ]
    built = plan.build(suite, parsed, pairs, data)
    return Rebuilt(built, data, suite.kind.draws(suite, data), {c.id: c for c in built.cells})


def _kept_in_all(row: Mapping[str, Any]) -> frozenset[str]:
    """The parameters of a row that its search left alone."""
    said = row["parameters"]
    return frozenset(k for k in said if all(trial.get(k) == said[k] for trial in row.get("trials", ())))


def _kept(folder: Path, record: Record) -> bytes | None:
    path = folder / "predictions" / f"{record['cell']}.npz"
    return path.read_bytes() if path.is_file() else None


def _stored(record: Record, kept: bytes | None) -> Verdict:
    """Whether the predictions are those whose hash the record holds."""
    if kept is None:
        return Verdict(record["cell"], "predictions", "unchecked", "its predictions are not in the folder")
    if hashlib.sha256(kept).hexdigest() != record.get("predictions_sha256"):
        return Verdict(record["cell"], "predictions", "different", "its predictions are not those whose hash it holds")
    return Verdict(record["cell"], "predictions", IDENTICAL)


def _scored(rebuilt: Rebuilt, record: Record, kept: bytes | None) -> Verdict:
    """Whether the metrics follow from the predictions, and these are of the rows that the cell's seed draws."""
    cell = record["cell"]
    if kept is None:
        return Verdict(cell, "metrics", "unchecked", "its predictions are not in the folder")
    try:
        with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
            found = dict(arrays)
        guessed = found["test_predicted"]
        logs = found["test_log_scores"] if rebuilt.plan.suite.problem.classes else None
    except (ValueError, KeyError, OSError, EOFError) as error:
        return Verdict(cell, "metrics", "different", f"its predictions cannot be read ({error})")
    pair = rebuilt.cells[cell].pair(rebuilt.draws)
    drawn = pair.rows.get("test")
    if drawn is not None and not np.array_equal(found["test_rows"], drawn):
        return Verdict(cell, "metrics", "different", "its predictions are of other rows than its seed draws")
    if len(guessed) != len(pair.y_test) or record.get("n_test") != len(pair.y_test):
        return Verdict(cell, "metrics", "different", f"the test has {len(pair.y_test)} rows, not {len(guessed)}")
    off = [
        f"{name} {said if said is None else format(said, '.4f')}, from its predictions {value:.4f}"
        for name, value, most in _metrics(pair, logs, guessed)
        if name in record["metrics"] and _apart(said := record["metrics"][name], value) > most
    ]
    return Verdict(cell, "metrics", "different", off[0]) if off else Verdict(cell, "metrics", IDENTICAL)


def _metrics(pair: Any, logs: np.ndarray | None, guessed: np.ndarray) -> Iterable[tuple[str, float, float]]:
    """Metrics of stored predictions, values where there are no scores, each with how far rounding may move it."""
    if logs is None:
        found = pair.metrics(guessed.astype(np.float64)[:, None])
        yield from ((k, v, SINGLE * max(1.0, abs(v))) for k, v in found.items() if v is not None)
        return
    chosen = np.eye(logs.shape[1])[guessed]
    of_classes, of_scores = pair.metrics(chosen), pair.metrics(unpacked(logs))
    for name, value in of_classes.items():
        if name in CLASSES and value is not None:
            yield name, value, EXACT
        elif (soft := of_scores[name]) is not None:
            yield name, soft, ROUNDED * max(1.0, abs(soft))


def _apart(a: float | None, b: float | None) -> float:
    """How far two values of a metric are apart; a value and none are far."""
    if a is None or b is None:
        return 0.0 if a is b else float("inf")
    return abs(a - b)


def _drawn(known: Sequence[Record], n: int, seed: int, dear: bool) -> list[Record]:
    """Cells to run again, the cheapest first."""
    cheap = sorted(known, key=lambda r: (sum(r.get(k) or 0 for k in ("fit_s", "predict_s", "shared_s")), r["cell"]))
    pool = cheap if dear else cheap[: CHEAP * n]
    chosen = np.random.default_rng(seed).permutation(len(pool))[:n]
    return [pool[i] for i in sorted(chosen)]


def _run(
    rebuilt: Rebuilt, cells: list[Cell], device: str, executor: Executor, told: Callable[[Record], None] | None
) -> dict[str, Record]:
    """Run cells again in a folder of their own, which is thrown away."""
    found: dict[str, Record] = {}

    class Listener(View):
        def record(self, record: Record) -> None:
            found[record["cell"]] = record
            if told:
                told(record)

    if not cells:
        return found
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place) / "again")
        store.make()
        common = {"device": device, "versions": machine.versions()}
        try:
            Driver(rebuilt.draws, store, executor, common=common, view=Listener()).run(cells)
        finally:
            store.close()
    return found


def _processes(width: int, hidden: list[Path]) -> Executor:
    module = importlib.import_module("zoo.bench.executors.processes")
    return module.Processes(width, hidden)  # type: ignore[no-any-return]


def _compared(old: Record, new: Record) -> Verdict:
    """A record beside what running its cell again gave: bits of its predictions, then metrics."""
    cell = old["cell"]
    if new["status"] != "ok":
        return Verdict(cell, "again", "different", f"{new['status']}: {new['reason']}")
    same = old.get("predictions_sha256") == new["predictions_sha256"]
    if same and old["metrics"] == new["metrics"]:
        return Verdict(cell, "again", IDENTICAL)
    worst = max(old["metrics"], key=lambda k: _apart(old["metrics"][k], new["metrics"].get(k)))
    a, b = old["metrics"][worst], new["metrics"].get(worst)
    changed = _environment(old, new)
    said = f"{worst} {a} before, {b} now" + (f" ({changed})" if changed else " (same versions and device)")
    most = EXACT if same else AGAIN * max(1.0, abs(a or 0.0))  # the same predictions have the same metrics
    near = _apart(a, b) <= most
    return Verdict(cell, "again", WITHIN if near else "different", f"{said}; tolerance {most:g}")


def _environment(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between where two records were made."""
    before, now = old.get("versions") or {}, new.get("versions") or {}
    moved = [
        f"{k} {before.get(k, '?')} → {now.get(k, '?')}" for k in sorted({*before, *now}) if before.get(k) != now.get(k)
    ]
    if old.get("device") != new.get("device"):
        moved.append(f"device {old.get('device')} → {new.get('device')}")
    return ", ".join(moved)


def _said(folder: Path, run: Run, device: str, verdicts: list[Verdict], drawn: int, of: int) -> Verified:
    return Verified(
        run=str(folder),
        verdicts=tuple(verdicts),
        drawn=drawn,
        cells=of,
        records=fingerprint(run.records),
        date=time.strftime("%Y-%m-%d"),
        versions=machine.versions(),
        device=device,
    )
