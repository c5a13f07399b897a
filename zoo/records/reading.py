"""Reading what a run left behind: run.json and one JSON line a cell. What cannot be trusted is refused and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import BadInput
from zoo.records import values
from zoo.records.ids import digest
from zoo.records.meta import read_meta
from zoo.records.schema import (
    BROKEN,
    DISAGREES,
    NEWER,
    REPLACED,
    STRIPPED,
    Record,
    Refused,
    parse,
)

RESULT = ("metrics", "predictions_sha256", "files")  # in which two finished lines of one cell have to agree
AGAIN = "what only they hold counts as not done: the same command runs it again, with --fresh the whole run"


@dataclass(frozen=True)
class Run:
    """A run folder as read: `meta` is run.json, `records` one record a cell, in the order of their ids.

    Attributes
    ----------
    refused : how many lines were refused, by reason
    undigested : how many records were made before version 2, so that a change of theirs would not be seen
    disputed : cells whose finished lines disagree, with the digests of those lines
    values : what validators said of the records, by cell and validator
    misjudged : how many lines of validators were refused, by reason
    shown : the rows that reports are asked for, by setting, learner and label, in their order; none where it is all
    omitted : what reports say of the others
    """

    meta: dict[str, Any]
    records: list[Record]
    refused: dict[str, int] = field(default_factory=dict)
    undigested: int = 0
    disputed: dict[str, list[str]] = field(default_factory=dict)
    values: values.Values = field(default_factory=dict)
    misjudged: dict[str, int] = field(default_factory=dict)
    shown: tuple[tuple[str, str, str], ...] = ()
    omitted: str = ""

    def labels(self, record: Record) -> list[str]:
        """The row labels under which a record's method and parameters were last planned; usually one."""
        return sorted(
            label
            for label, row in self.meta["rows"].items()
            if row["method"] == record["method"] and row["parameters"] == record["parameters"]
        )

    def tried(self, record: Record) -> dict[str, int]:
        """The rows of whose search a record is a trial, and which of it; 0 is the row's own parameters."""
        found = {}
        for label, row in self.meta["rows"].items():
            trials = row.get("trials") or [row["parameters"]]
            if row["method"] == record["method"] and record["parameters"] in trials:
                found[label] = trials.index(record["parameters"])
        return found

    def stale(self, record: Record, label: str) -> bool:
        """Whether other code, other data or other files than the last plan's gave this record."""
        code = self.meta["rows"][label]["code"].get(record["learner"])
        domains = self.meta["domains"]
        data = all(domains.get(name, {}).get("content") == sha for name, sha in record["data"].items())
        return code != record["code"] or not data or outdated(record, self.meta.get("files", {}))

    def remarks(self) -> list[str]:
        """What a reader of any report has to know: a line for each reason for which lines were refused."""
        return [
            f"refused: {n} record line{'s'[: n > 1]}: {reason}" + ("" if reason in (REPLACED, NEWER) else f"; {AGAIN}")
            for reason, n in self.refused.items()
        ] + [f"refused: {n} line{'s'[: n > 1]} of validators: {reason}" for reason, n in self.misjudged.items()]

    def age(self) -> list[str]:
        """The line that says how many records are older than digests, if there are any."""
        return [f"records without a digest (made before version 2): {self.undigested}"] if self.undigested else []


def read(folder: Path) -> Run:
    """Read a run folder.

    A torn last line is a cell that will be run again; any other line that is no record of ours is refused and counted.

    Raises
    ------
    BadInput
        There is no run in the folder, its run.json is damaged, or a file of records cannot be read.
    """
    meta = read_meta(folder)
    refused: Counter[str] = Counter()
    lines: list[Record] = []
    for file in sorted((Path(folder) / "records").glob("*.jsonl")):
        lines += _lines(file, refused)
    kept, disputed = settled(lines, refused)
    found = resolve({**record, "metrics": record.get("metrics") or {}} for record in kept)
    old = sum("digest" not in record for record in found)
    judged, misjudged = values.read(folder, found, meta.get("validators") or {})
    return Run(meta, found, dict(sorted(refused.items())), old, disputed, judged, misjudged)


def main_metric(meta: dict[str, Any]) -> str:
    """The metric that a run's table shows unless told otherwise; of a run that does not say it, by its protocol."""
    if said := meta.get("metric"):
        return str(said)
    return "auroc" if meta["suite"].get("protocol") == "folds" else "accuracy"


def outdated(record: Record, files: Mapping[str, str | None]) -> bool:
    """Whether a file that the record's fit opened is another now, by the hashes in `files`; one not in it is not known.

    >>> outdated({"files": {"a.csv": "12"}}, {"a.csv": "34"}), outdated({"files": {"a.csv": "12"}}, {})
    (True, False)
    """
    return any(files.get(path, sha) != sha for path, sha in (record.get("files") or {}).items())


def settled(lines: Iterable[Record], refused: Counter[str]) -> tuple[list[Record], dict[str, list[str]]]:
    """Lines without those of cells that finished twice with different results, and the digests of these by cell.

    A line that was run because others disagreed names them, and stands in their place.
    """
    kept: list[Record] = []
    disputed: dict[str, list[str]] = {}
    finished: dict[str, list[Record]] = {}
    for record in lines:
        (finished.setdefault(record["cell"], []) if record["status"] == "ok" else kept).append(record)
    for cell, records in finished.items():
        gone = {old for record in records if "digest" in record for old in record.get("supersedes") or ()}
        left = [record for record in records if not gone or digest(record) not in gone]
        refused.update({REPLACED: len(records) - len(left)} if len(left) < len(records) else {})
        if len({json.dumps([record.get(key) for key in RESULT], sort_keys=True) for record in left}) > 1:
            refused[DISAGREES] += len(left)
            disputed[cell] = [digest(record) for record in left]
        else:
            kept += left
    return kept, disputed


def resolve(records: Iterable[Record]) -> list[Record]:
    """One record a cell, sorted by id: the last that is ok, or else the last."""
    best: dict[str, Record] = {}
    for record in records:
        old = best.get(record["cell"])
        if old is None or old["status"] != "ok" or record["status"] == "ok":
            best[record["cell"]] = record
    return [best[cell] for cell in sorted(best)]


def _lines(file: Path, refused: Counter[str]) -> Iterator[Record]:
    """The records of one writer, who wrote either all lines with a digest or none."""
    try:
        *lines, last = file.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror})") from None
    found: list[Record] = []
    for line in (*lines, last):
        try:
            found += [parse(line)] if line else []
        except Refused as error:
            if line is not last or str(error) != BROKEN:  # torn by a kill
                refused[str(error)] += 1
    signed = [record for record in found if "digest" in record]
    if signed and len(signed) < len(found):
        refused[STRIPPED] += len(found) - len(signed)
    return iter(signed or found)
