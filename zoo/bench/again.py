"""The plan of a run folder anew: what of it the reader's code, data and methods still give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo import discover, plugged, wrappers
from zoo.bench import foreign, guests, plan
from zoo.bench.executors import Executor
from zoo.bench.known import again
from zoo.bench.plan import Cell, Plan
from zoo.bench.suite import Suite
from zoo.errors import BadInput, one_line
from zoo.kinds.base import Data, Draws
from zoo.records import Record, Run
from zoo.records.verdicts import Verdict
from zoo.vault import plugins as strangers


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


class Unplanned(Exception):
    """A run cannot be planned again; `found` says whether that speaks against it."""

    def __init__(self, found: str, why: object) -> None:
        super().__init__(f"the run cannot be planned again: {why}")
        self.found, self.why = found, str(why)


def loaded(run: Run, root: Path | None, device: str = "cpu", **keys: Any) -> tuple[Suite, list[tuple[str, str]], Data]:
    """The suite of a run, with some `keys` anew, its pairs and their data.

    Raises
    ------
    Unplanned
        The data are not here, say.
    """
    try:
        return again(run.meta, root, device, **keys)
    except BadInput as error:
        raise Unplanned("unchecked", one_line(str(error))) from None


def rebuilt(
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
    meta, given = run.meta, plugged.parted(files)
    known = discover.methods(given["method"]) | wrappers.here(row["method"] for row in meta["rows"].values())
    rows = {label: row for label, row in meta["rows"].items() if row["method"] in known}
    methods = tuple({row["method"]: {**row["parameters"], "as": label}} for label, row in rows.items())
    seeds = max([meta["suite"].get("seeds", 1), *(1 + r["seed"] for r in ok if r["seed"] is not None)])
    trials = max(len(row.get("trials", ())) or 1 for row in [*rows.values(), {}])
    keys = {"trials": trials, "seeds": seeds, "methods": methods} | ({"weights": weights} if weights else {})
    suite, pairs, data = loaded(run, root, device, files=[*given["dataset"], *given["net"]], executor=executor, **keys)
    executor.hide(foreign.hidden(suite.source))
    try:
        parsed = plan.parse_rows(suite, known, [])
    except BadInput as error:
        raise Unplanned("different", error) from None
    parsed = [replace(r, fixed=_kept_in_all(rows[r.label])) for r in parsed]
    away = [p for p in (root,) if p]
    parsed = [
        replace(r, files=strangers.loaded(executor, r.info, r.parameters, away)) if r.info.plugin else r for r in parsed
    ]
    suite = guests.tried(suite, executor, away)
    built = plan.build(suite, parsed, pairs, data)
    return Rebuilt(built, data, suite.kind.draws(suite, data), {c.id: c for c in built.cells})


def _kept_in_all(row: Mapping[str, Any]) -> frozenset[str]:
    """The parameters of a row that its search left alone."""
    said = row["parameters"]
    return frozenset(k for k in said if all(trial.get(k) == said[k] for trial in row.get("trials", ())))
