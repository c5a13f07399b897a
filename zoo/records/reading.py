"""Reading what a run left behind: run.json and one JSON line a cell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import BadInput

Record = dict[str, Any]
FINAL = ("ok", "unsupported")  # a cell in any other status did not finish, and the next run tries it again


@dataclass(frozen=True)
class Run:
    """A run folder as read: `meta` is run.json, `records` one record a cell, in the order of their ids."""

    meta: dict[str, Any]
    records: list[Record]

    def labels(self, record: Record) -> list[str]:
        """The row labels under which a record's method and parameters were last planned; usually one."""
        return sorted(
            label
            for label, row in self.meta["rows"].items()
            if row["method"] == record["method"] and row["parameters"] == record["parameters"]
        )

    def stale(self, record: Record, label: str) -> bool:
        """Whether other code or other data than the last plan's gave this record."""
        code = self.meta["rows"][label]["code"].get(record["learner"])
        domains = self.meta["domains"]
        data = all(domains.get(name, {}).get("content") == sha for name, sha in record["data"].items())
        return code != record["code"] or not data


def read(folder: Path) -> Run:
    """Read a run folder.

    Lines that are no record are ignored wherever they stand: a torn line is a cell that will be run again.

    Raises
    ------
    BadInput
        There is no run in the folder, or its run.json is damaged.
    """
    meta = read_meta(folder)
    files = sorted((Path(folder) / "records").glob("*.jsonl"))
    return Run(meta, resolve(record for file in files for record in _lines(file)))


def read_meta(folder: Path) -> dict[str, Any]:
    """Read run.json alone; raises as `read` does."""
    path = Path(folder) / "run.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise BadInput(f"{folder}: no run here (no readable run.json)") from None
    except ValueError as error:
        raise BadInput(f"{path}: damaged ({error})") from None
    shape = {"suite": dict, "domains": dict, "pairs": list, "rows": dict}
    if not isinstance(meta, dict) or any(not isinstance(meta.get(key), kind) for key, kind in shape.items()):
        raise BadInput(f"{path}: damaged (it has to hold {', '.join(shape)})")
    return meta


def main_metric(meta: dict[str, Any]) -> str:
    """The metric that a run's table shows unless told otherwise: facts are ranked, everything else is classified."""
    return "auroc" if meta["suite"].get("protocol") == "folds" else "accuracy"


def resolve(records: Iterable[Record]) -> list[Record]:
    """One record a cell, sorted by id: the last that is ok, or else the last."""
    best: dict[str, Record] = {}
    for record in records:
        old = best.get(record["cell"])
        if old is None or old["status"] != "ok" or record["status"] == "ok":
            best[record["cell"]] = record
    return [best[cell] for cell in sorted(best)]


def _lines(file: Path) -> Iterable[Record]:
    for line in file.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and {"cell", "status"} <= record.keys():
            yield {**record, "metrics": record.get("metrics") or {}}
