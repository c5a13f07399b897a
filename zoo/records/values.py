"""Values of validators: lines of ``DIR/validators/*.jsonl`` beside the records, one a cell and validator."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from zoo.errors import BadInput
from zoo.records.ids import digest
from zoo.records.schema import ALTERED, BROKEN, UNFIT, Amount, Number, Refused, check_tree

FOLDER = "validators"
VERSION = 1
NA = "n/a"  # what the validator needs is not there, and will not be


class Line(BaseModel):
    """A line as it is read; it may say more."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    cell: str
    validator: str
    code: str  # of the validator
    status: Literal["ok", "failed", "n/a"]
    reason: str = ""
    value: Number | None = None
    seconds: Amount | None = None
    predictions_sha256: str | None = None  # of the record that was judged


@dataclass(frozen=True)
class Value:
    """What a validator said of a cell; `value` is None where its status is not ok."""

    validator: str
    code: str
    status: str
    reason: str
    value: float | None
    seconds: float | None
    predictions: str | None


Values = dict[tuple[str, str], Value]  # by cell and validator


def line(cell: str, value: Value) -> bytes:
    """A value as a line of a file. One that is not finite is a failure: it selects nothing."""
    said: dict[str, Any] = {
        "cell": cell,
        "validator": value.validator,
        "code": value.code,
        "status": value.status,
        "reason": value.reason,
        "value": value.value,
        "seconds": value.seconds,
        "predictions_sha256": value.predictions,
        "v": VERSION,
    }
    if value.status == "ok" and (value.value is None or not math.isfinite(value.value)):
        said |= {"status": "failed", "value": None, "reason": "no finite value"}
    said = json.loads(json.dumps(said, allow_nan=False))
    return json.dumps({**said, "digest": digest(said)}, sort_keys=True, allow_nan=False).encode() + b"\n"


def read(folder: Path, records: Iterable[Mapping[str, Any]], codes: Mapping[str, str]) -> tuple[Values, dict[str, int]]:
    """The values in a run folder that stand for its records, and how many lines were refused, by reason.

    A value stands where it was computed from the predictions that the record has now, and by the code that `codes` says
    of its validator, if that says one. Of several, a number goes before the lack of one, and later before earlier; a
    torn last line is none.

    Raises
    ------
    BadInput
        A file cannot be read.
    """
    refused: Counter[str] = Counter()
    found: Values = {}
    made = {r["cell"]: r.get("predictions_sha256") for r in records}
    for file in sorted((Path(folder) / FOLDER).glob("*.jsonl")):
        for said in _lines(file, refused):
            name, cell = said["validator"], said["cell"]
            ours = cell in made and made[cell] == said.get("predictions_sha256")
            if ours and codes.get(name, said["code"]) == said["code"]:
                kept = (said.get("reason") or "", said.get("value"), said.get("seconds"))
                value = Value(name, said["code"], said["status"], *kept, said.get("predictions_sha256"))
                before = found.get((cell, name))
                if before is None or before.status != "ok" or value.status == "ok":
                    found[cell, name] = value
    return found, dict(sorted(refused.items()))


def _lines(file: Path, refused: Counter[str]) -> Iterator[dict[str, Any]]:
    try:
        *whole, last = file.read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(f"{file}: cannot be read ({error.strerror})") from None
    for text in (*whole, last):
        try:
            if text:
                yield _parsed(text)
        except Refused as error:
            if text is not last or str(error) != BROKEN:
                refused[str(error)] += 1


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(BROKEN) from None
    if not isinstance(said, dict) or "cell" not in said:
        raise Refused(BROKEN)
    check_tree(said)
    if said.get("digest") != digest(said):
        raise Refused(ALTERED)
    try:
        Line.model_validate(said)
    except ValidationError:
        raise Refused(UNFIT) from None
    if (said["status"] == "ok") != (said.get("value") is not None):
        raise Refused(UNFIT)
    return said
