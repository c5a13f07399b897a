"""What a record is: the fields of a line, its version and digest, and why a line is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zoo.records.ids import cell_id, digest

Record = dict[str, Any]

VERSION = 2  # 1: before lines had a `v` and a `digest`
FINAL = ("ok", "unsupported")  # a cell in any other status did not finish, and the next run tries it again
STATUSES = (*FINAL, "failed", "timeout", "oom", "diverged")
FRACTIONS = ("accuracy", "balanced_accuracy", "f1_macro", "auroc", "auprc", "ece", "accuracy_last")
DEEPEST = 64  # levels of nesting, in a record or in run.json

BROKEN = "no record: broken, or nested too deeply"
UNFIT = "a field is missing, or holds what it cannot hold"
ALTERED = "altered after it was written: its digest does not follow from it"
STRIPPED = "without a digest among lines that have one"
FOREIGN = "its cell id does not follow from what it says"
NOT_A_NUMBER = "holds NaN or infinity"
OUT_OF_RANGE = "a metric is outside the range that it can have"
DISAGREES = "finished twice with different results"
NEWER = "written by a newer zoo, which can read it"
REPLACED = "replaced when its cell was run again"

Amount = Annotated[float, Field(ge=0, le=1e15)]  # seconds, or megabytes
Number = Annotated[float, Field(ge=-1e100, le=1e100)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class Refused(ValueError):
    """A line is no record that could be trusted; its text is one of the reasons above."""


class Line(BaseModel):
    """What readers rely on. A line may say more."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    cell: str
    status: str
    reason: Any = None  # of type str or None, with whatever is in it
    family: str
    data: dict[str, str]
    source: str | None
    target: str
    setting: str
    method: str
    learner: str
    seed: Count | None
    trial: Count
    parameters: dict[str, Any]
    suite: dict[str, Any]
    code: str
    metrics: dict[str, Number | None] | None = None
    validators: dict[str, Any] | None = None
    n_test: Count | None = None
    fit_s: Amount | None = None
    fit_cpu_s: Amount | None = None
    shared_s: Amount | None = None
    predict_s: Amount | None = None
    peak_rss_mb: Amount | None = None
    peak_cuda_mb: Amount | None = None
    certificate: dict[str, Any] | None = None
    curves: dict[str, list[Number | None]] | None = None
    device: str | None = None
    versions: dict[str, str] | None = None
    predictions_sha256: str | None = None
    models_sha256: list[str] | None = None  # of its fits, where they were kept, one a round
    constant: bool | None = None  # whether all test rows got one prediction; lines of before do not say
    files: dict[str, str | None] | None = None  # that its fit opened, with their hashes
    supersedes: list[str] | None = None  # digests of lines of its cell that it was run to replace

    @field_validator("reason")
    @classmethod
    def _text(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, str):
            raise ValueError("has to be text")
        return value

    @field_validator("status")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STATUSES:
            raise ValueError(f"has to be one of {', '.join(STATUSES)}")
        return value

    @field_validator("curves")
    @classmethod
    def _even(cls, value: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
        if value and not even(value):
            raise ValueError("has to have a value of each term for each step")
        return value

    @model_validator(mode="after")
    def _timed(self) -> Line:
        if self.status == "ok" and (self.fit_s is None or self.predict_s is None or not self.metrics):
            raise ValueError("has to say what an ok cell gave and took")
        return self


def even(curves: Mapping[str, list[Any]]) -> bool:
    """Whether curves have a value, or null, of each term for each step.

    >>> even({"step": [0, 1], "loss": [2.0, None]}), even({"step": [0, 1], "loss": [2.0]})
    (True, False)
    """
    return "step" in curves and None not in curves["step"] and len({*map(len, curves.values())}) == 1


def parse(line: bytes) -> Record:
    """The record of one line of a file.

    Raises
    ------
    Refused
        It is none, or another than was written; the text says why.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused(BROKEN) from None
    if not isinstance(record, dict) or not {"cell", "status"} <= record.keys():
        raise Refused(BROKEN)
    check_tree(record)
    _check_digest(record)
    try:
        Line.model_validate(record)
    except ValidationError:
        raise Refused(UNFIT) from None
    if cell_id(record) != record["cell"]:
        raise Refused(FOREIGN)
    metrics = record.get("metrics") or {}
    if any(name in metrics and not 0 <= (metrics[name] or 0) <= 1 for name in FRACTIONS):
        raise Refused(OUT_OF_RANGE)
    return record


def line(record: Mapping[str, Any]) -> bytes:
    """A record as a line of a file, with its version and its digest; what is NaN or infinite has become null."""
    plain = json.loads(json.dumps({**finite(record), "v": VERSION}, allow_nan=False))  # as it will be read
    return json.dumps({**plain, "digest": digest(plain)}, sort_keys=True, allow_nan=False).encode() + b"\n"


def finite(value: Any) -> Any:
    """A JSON value with null in the place of what is no number.

    >>> finite({"nll": float("inf"), "curve": [1.0, float("nan")], "n": 3})
    {'nll': None, 'curve': [1.0, None], 'n': 3}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    return [finite(entry) for entry in value] if isinstance(value, list | tuple) else value


def check_tree(value: Any) -> None:
    """Refuse what JSON of ours never holds, and would end readers: NaN, infinity, very deep nesting."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        if not level:
            return
        if any(isinstance(entry, float) and not math.isfinite(entry) for entry in level):
            raise Refused(NOT_A_NUMBER)
        maps = [entry.values() for entry in level if isinstance(entry, dict)]
        level = [inner for entries in (*maps, *(e for e in level if isinstance(e, list))) for inner in entries]
    raise Refused(BROKEN)


def _check_digest(record: Record) -> None:
    version = record.get("v", 1)
    if isinstance(version, int) and version > VERSION:
        raise Refused(NEWER)
    if "digest" not in record and version == 1 and version is not True:
        return
    if version != VERSION or record.get("digest") != digest(record):
        raise Refused(ALTERED)
