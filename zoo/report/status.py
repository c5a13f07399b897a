"""How far a run is: the cells that run.json planned, against the records that are there."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from zoo.errors import BadInput, one_line
from zoo.records import FINAL, Record, Run

COLUMNS = ("method", "learner", "setting", "planned", "ok", "failed", "unsupported", "left", "time (s)")


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    planned, ok, unsupported : numbers of cells
    failed : how many of each status that is tried again (failed, timeout, oom, diverged)
    left : how many running again would run: the failed ones, and those that have not run
    seconds : fit and predict of its finished cells, source models not counted
    """

    label: str
    learner: str
    setting: str
    planned: int
    ok: int
    failed: dict[str, int]
    unsupported: int
    left: int
    seconds: float

    def texts(self) -> tuple[Any, ...]:
        """Its entries as printed under `COLUMNS`."""
        failed = ", ".join(f"{n} {status}" for status, n in self.failed.items()) or 0
        counts = (self.planned, self.ok, failed, self.unsupported, self.left)
        return (self.label, self.learner, self.setting, *counts, f"{self.seconds:.1f}")


@dataclass(frozen=True)
class Status:
    """Where a run stands. Cells that several rows share count once in the totals.

    Attributes
    ----------
    failed : the cells that did not finish, with status and reason
    refused : how many record lines are not trusted, by reason
    undigested : how many records have no digest, since an older zoo made them
    estimate : seconds that the cells left may take one after another; None where some row has no finished cell yet
    command : what finishes the run
    """

    suite: str
    planned: int
    done: int
    left: int
    seconds: float
    estimate: float | None
    rows: list[Row]
    failed: list[dict[str, Any]]
    unsupported: list[dict[str, str]]
    command: str
    refused: dict[str, int] = field(default_factory=dict)
    undigested: int = 0
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if key != "remarks"}

    @property
    def head(self) -> str:
        return f"{self.suite}, {self.done} of {self.planned} cells done, {self.seconds:.0f} s spent in them"

    @property
    def notes(self) -> list[str]:
        """The lines below the rows: what cannot run, what failed and why, and what running again would do."""
        said = [f"unsupported: {u['label']} ({u['learner']}): {u['reason']}" for u in self.unsupported]
        for f in self.failed:
            seed = "" if f["seed"] is None else f" (seed {f['seed']})"
            row = f"{f['label']} ({f['learner']}, {f['setting']})"
            said.append(f"{f['status']}: {row} on {f['source'] or '·'}→{f['target']}{seed}: {f['reason']}")
        said += self.remarks
        if not self.left:
            return [*said, "running it again would run nothing"]
        about = "" if self.estimate is None else f", about {self.estimate:.0f} s of work by the finished ones"
        tried = f", {len(self.failed)} of them failed before" if self.failed else ""
        return [*said, f"running it again would run {_cells(self.left)}{tried}{about}", f"command: {self.command}"]


def build(run: Run) -> Status:
    """Compare plan and records; a record of other code or data than the last plan's is none.

    Raises
    ------
    BadInput
        run.json does not say what was planned.
    """
    known = {record["cell"]: record for record in run.records}
    planned: set[str] = set()
    final: dict[str, Record] = {}
    failed: dict[str, dict[str, Any]] = {}
    rows: list[Row] = []
    means: dict[str, float | None] = {}
    for label, row in run.meta["rows"].items():
        if row.get("cells") is None:
            raise BadInput("run.json does not say which cells were planned; running the same command again adds that")
        for learner, settings in row["cells"].items():
            for setting, ids in settings.items():
                records = [known[c] for c in ids if c in known and not run.stale(known[c], label)]
                ended = [r for r in records if r["status"] in FINAL]
                seconds = [r["fit_s"] + (r.get("predict_s") or 0) for r in ended if r["status"] == "ok"]
                statuses = Counter(r["status"] for r in records)
                again = {s: n for s, n in sorted(statuses.items()) if s not in FINAL}
                count = (len(ids), statuses["ok"], again, statuses["unsupported"], len(ids) - len(ended))
                rows.append(Row(label, learner, setting, *count, round(sum(seconds), 3)))
                planned |= set(ids)
                final |= {r["cell"]: r for r in ended}
                missing = set(ids) - {r["cell"] for r in ended}
                means |= dict.fromkeys(missing, fmean(seconds) if seconds else None)
                for r in records:
                    if r["status"] in again and r["cell"] not in failed:
                        where = {k: r[k] for k in ("source", "target", "seed", "status")}
                        reason = one_line(r.get("reason") or "no reason given", 0)
                        of = {"cell": r["cell"], "label": label, "learner": learner, "setting": setting}
                        failed[r["cell"]] = of | where | {"reason": reason}
    spent = sum(r["fit_s"] + (r.get("predict_s") or 0) for r in final.values() if r["status"] == "ok")
    costs = [cost for cost in means.values() if cost is not None]
    return Status(
        suite=run.meta["suite"].get("name") or "",
        planned=len(planned),
        done=len(final),
        left=len(planned - final.keys()),
        seconds=round(spent, 3),
        estimate=round(sum(costs), 3) if len(costs) == len(means) else None,
        rows=rows,
        failed=sorted(failed.values(), key=lambda f: (f["label"], f["learner"], f["setting"], f["cell"])),
        unsupported=run.meta["unsupported"],
        # A shard's command would leave the others' cells; without it, one process does what is left.
        command=re.sub(r" --shard[ =]\S+", "", run.meta["command"]),
        refused=run.refused,
        undigested=run.undigested,
        remarks=[*run.remarks(), *run.age()],
    )


def _cells(n: int) -> str:
    return f"{n} cell{'s'[: n > 1]}"
