"""run.json: what it has to be, and how what several commands planned in one folder is joined."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zoo.errors import BadInput
from zoo.records.schema import Refused, check_tree

Count = Annotated[int, Field(ge=0, lt=2**53)]
Ids = dict[str, dict[str, list[str]]]  # of cells, by learner and setting
# May differ in one folder; data are known by content.
FREE = {"name", "methods", "pairs", "sources", "seeds", "trials", "data"}


class Part(BaseModel):
    """What readers rely on. run.json may say more."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Suite(Part):
    name: str | None = None
    dataset: str | None = None
    protocol: str = ""
    base: str | None = None
    net: str | None = None
    reference: str | None = None
    features: str | None = None
    normalise: list[str] | str | None = None
    normalise_by: str | None = None
    optimiser: str | None = None
    schedule: str | None = None
    precision: str | None = None
    trainable: str | None = None
    labels: Count | str | None = None
    seeds: Annotated[int, Field(ge=1, le=100_000)] = 1
    trials: Count | None = None
    sources: str | None = None
    steps: Count | None = None
    batch_size: Count | None = None
    order: str | None = None
    stream_batch: Count | None = None
    learning_rate: float | None = None
    backbone_rate: float | None = None
    data: dict[str, Any] | None = None


class Domain(Part):
    content: str | None = None
    classes: Count | None = None
    n: Count | None = None
    folds: Count | None = None
    groups: Count | None = None
    positives: Count | None = None
    notes: list[str] = []


class Row(Part):
    method: str
    family: str
    parameters: dict[str, Any]
    code: dict[str, str]
    cells: Ids | None = None  # no run of before wrote them
    predicts: str = ""  # of a stream: scores of before or after its step
    trials: list[dict[str, Any]] | None = None  # parameters of a search, the row's own first; none: no search


class Left(Part):
    label: str
    learner: str
    reason: str
    pair: str | None = None


class Meta(Part):
    suite: Suite
    metric: str = ""  # that tables show unless told otherwise; runs of before do not say it
    domains: dict[str, Domain]
    pairs: list[Annotated[str, Field(pattern=r"^[^:]+:[^:]+$")]]
    rows: dict[str, Row]
    unsupported: list[Left] = []
    partial: dict[str, str] = {}
    label_sets: dict[str, dict[str, Count]] = {}  # of each pair; runs of before do not say it
    versions: dict[str, str] = {}
    validators: dict[str, str] = {}  # the hashes of their code
    keeps: bool = False  # what validators see beside the predictions
    files: dict[str, str | None] = {}  # that fits opened, with their hashes as they are now
    device: str = ""
    git: str | None = None
    command: str = ""
    started: str = ""


def read_meta(folder: Path) -> dict[str, Any]:
    """Read run.json alone.

    Raises
    ------
    BadInput
        There is no run in the folder, or its run.json is damaged.
    """
    path = Path(folder) / "run.json"
    try:
        meta = json.loads(path.read_bytes())
        check_tree(meta)
    except Refused as error:
        raise BadInput(f"{path}: damaged ({error})") from None
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise BadInput(f"{path}: damaged ({why})" if Path(folder).is_dir() else _none(folder)) from None
    except OSError:
        raise BadInput(_none(folder)) from None
    try:
        Meta.model_validate(meta)
    except ValidationError as error:
        raise BadInput(f"{path}: damaged: {_first(error)}") from None
    return {"unsupported": [], "partial": {}, "versions": {}, "device": "", "command": "", **meta}


def refuse_another_suite(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    """A run folder holds one suite; methods, pairs and seeds may be added.

    Raises
    ------
    BadInput
        Another resolved value of any other key, which it names.
    """
    for key in sorted((old.keys() & new.keys()) - FREE):  # one that only an older or newer zoo knows moves cell ids
        if old.get(key) != new.get(key):
            raise BadInput(
                f"{folder} holds a run with {key}: {old.get(key)}, not {new.get(key)}; "
                "choose another --out, or start again with --fresh"
            )


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A folder's run.json after another command: its pairs and rows join those that were there."""
    rows = dict(old["rows"])
    data = all(old["domains"].get(name, d) == d for name, d in new["domains"].items())
    for label, row in new["rows"].items():
        before = rows.get(label, {})
        same = all(before.get(k) == row[k] for k in ("method", "parameters"))
        if same:
            cells = _joined(before, row) if data else row["cells"]
            rows[label] = {**row, "code": {**before["code"], **row["code"]}, "cells": cells, **_searched(before, row)}
        else:
            rows[label] = row
    said = {(u["label"], u["learner"], u.get("pair")): u for u in (*old["unsupported"], *new["unsupported"])}
    files = {**old.get("files", {}), **new.get("files", {})}
    sets = {**old.get("label_sets", {}), **new.get("label_sets", {})}
    judges = {**old.get("validators", {}), **new.get("validators", {})}
    each = "each" in (old["suite"].get("sources"), new["suite"].get("sources"))
    most = max(old["suite"].get("trials") or 1, new["suite"].get("trials") or 1)
    return {
        **new,
        "suite": {**new["suite"], "trials": most, **({"sources": "each"} if each else {})},
        "pairs": list(dict.fromkeys([*old["pairs"], *new["pairs"]])),
        "rows": rows,
        "domains": {**old["domains"], **new["domains"]},
        "partial": {**old.get("partial", {}), **new["partial"]},
        "unsupported": [
            u
            for (label, learner, pair), u in said.items()
            if pair or learner not in rows.get(label, {"code": ()})["code"]
        ],
        **({"label_sets": sets} if sets else {}),
        **({"files": files} if files else {}),
        **({"validators": judges} if judges else {}),
        **({"keeps": True} if old.get("keeps") or new.get("keeps") else {}),
    }


def _joined(before: dict[str, Any], row: dict[str, Any]) -> Ids:
    """A row's planned cells, with those that earlier commands planned with the same code."""
    joined = dict(row["cells"])
    for learner, settings in (before.get("cells") or {}).items():
        now = row["code"].get(learner)
        if now in (None, before["code"].get(learner)):
            planned = joined.get(learner, {})
            union = {s: sorted({*ids, *planned.get(s, ())}) for s, ids in settings.items()}
            joined[learner] = planned | union
    return joined


def _searched(before: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """A row's trials after another command: the longer list where one goes on from the other, else the new one."""
    old, new = (r.get("trials") or [r["parameters"]] for r in (before, row))
    kept = old if len(old) > len(new) and old[: len(new)] == new else new
    return {"trials": kept} if len(kept) > 1 else {}


def _none(folder: Path) -> str:
    return f"{folder}: no run here (no readable run.json)"


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, as ``rows.coral.code has to be a valid dictionary``."""
    found = error.errors()[0]
    place = ".".join(map(str, found["loc"])) or "it"
    what = "has to be there" if found["type"] == "missing" else found["msg"].replace("Input should", "has to", 1)
    return f"{place} {what}"
