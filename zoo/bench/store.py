"""The run folder: append-only records, predictions, shared artefacts. Any kill loses at most the cells in flight."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import BadInput
from zoo.report import records

KEPT = ("records", "plugins", "predictions", "explanations", "cache", "checkpoints", "run.json", ".lock")


class Store:
    """One writer's view of a run folder.

    Parameters
    ----------
    folder : Path
        Made with the first thing written, so that bad input leaves nothing behind.

    Raises
    ------
    BadInput
        The folder cannot be written, holds something that is no run, or holds a run of another suite.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: Any = None
        existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        try:
            with tempfile.TemporaryFile(dir=existing):  # `os.access` says yes to root wherever it asks
                pass
        except OSError:
            why = f"cannot write to {folder}: {existing} is not a writable folder; choose another --out"
            raise BadInput(why) from None
        # A run that was killed while it began has no run.json yet.
        ours = (
            p.name in KEPT or p.name.startswith(".run.json.") for p in (folder.iterdir() if existing == folder else ())
        )
        if not (folder / "run.json").exists() and not all(ours):
            raise BadInput(f"{folder} exists and is not a run folder; choose another --out")

    def clear(self) -> None:
        """Forget everything (``--fresh``)."""
        for name in KEPT:
            path = self.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def meta(self) -> dict[str, Any]:
        """run.json, or an empty dict in a new folder."""
        return records.read_meta(self.folder) if (self.folder / "run.json").exists() else {}

    def done(self) -> set[str]:
        """Ids of cells that need not run again."""
        if not (self.folder / "run.json").exists():
            return set()
        return {r["cell"] for r in records.read(self.folder).records if r["status"] in records.FINAL}

    def begin(self, meta: dict[str, Any]) -> None:
        """Write run.json, merged with what other commands planned in this folder."""
        for name in ("records", "predictions", "cache", "checkpoints"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with self._locked():
            if old := self.meta():
                meta = _merged(old, meta)
            _write(self.folder / "run.json", json.dumps(meta, indent=1, sort_keys=True).encode() + b"\n")

    def append(
        self, record: dict[str, Any], predictions: dict[str, np.ndarray], explanations: list[Any] | None = None
    ) -> None:
        """Store a finished cell: predictions and explanations first, renamed into place, then the record's line."""
        if explanations:
            (self.folder / "explanations").mkdir(exist_ok=True)
            _write(self.folder / "explanations" / f"{record['cell']}.json", json.dumps(explanations).encode() + b"\n")
        if predictions:
            buffer = io.BytesIO()
            np.savez(buffer, **predictions)  # type: ignore[arg-type]
            record["predictions_sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
            _write(self.folder / "predictions" / f"{record['cell']}.npz", buffer.getvalue())
        if self.log is None:
            name = f"{time.strftime('%Y%m%dT%H%M%S')}-{socket.gethostname()}-{os.getpid()}.jsonl"
            self.log = (self.folder / "records" / name).open("a", encoding="utf-8")
        self.log.write(json.dumps(record, sort_keys=True) + "\n")
        self.log.flush()

    def artefact(self, key: str) -> dict[str, np.ndarray] | None:
        """A shared artefact from the cache; None if it is not there. It is whole, for it was renamed into place."""
        path = self.folder / "cache" / f"{key}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    def keep(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Put a shared artefact into the cache."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        _write(self.folder / "cache" / f"{key}.npz", buffer.getvalue())

    def checkpoint(self, key: str) -> np.ndarray | None:
        """The state of a training that was interrupted, as bytes; None if there is none."""
        path = self.folder / "checkpoints" / f"{key}.safetensors"
        return np.fromfile(path, np.uint8) if path.exists() else None

    def keep_checkpoint(self, key: str, state: np.ndarray | None) -> None:
        """Put the state of a training in the place of its last; None when it has ended."""
        path = self.folder / "checkpoints" / f"{key}.safetensors"
        if state is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, state.tobytes())

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Other writers wait here while run.json is read and replaced."""
        with (self.folder / ".lock").open("w") as lock:
            try:
                import fcntl
            except ImportError:  # no such locks on Windows
                yield
                return
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def refuse_another_suite(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    """A run folder holds one suite; methods, pairs and seeds may be added.

    Raises
    ------
    BadInput
        Another resolved value of any other key, which it names.
    """
    free = {"name", "methods", "pairs", "seeds", "trials", "data"}  # data are known by their content
    for key in sorted((old.keys() & new.keys()) - free):  # one that only an older or newer zoo knows moves cell ids
        if old.get(key) != new.get(key):
            raise BadInput(
                f"{folder} holds a run with {key}: {old.get(key)}, not {new.get(key)}; "
                "choose another --out, or start again with --fresh"
            )


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A folder's run.json after another command: its pairs and rows join those that were there."""
    rows = dict(old["rows"])
    data = all(old["domains"].get(name, d) == d for name, d in new["domains"].items())
    for label, row in new["rows"].items():
        before = rows.get(label, {})
        same = all(before.get(k) == row[k] for k in ("method", "parameters"))
        if same:
            cells = _joined(before, row) if data else row["cells"]
            rows[label] = {**row, "code": {**before["code"], **row["code"]}, "cells": cells}
        else:
            rows[label] = row
    said = {(u["label"], u["learner"], u.get("pair")): u for u in (*old["unsupported"], *new["unsupported"])}
    return {
        **new,
        "pairs": list(dict.fromkeys([*old["pairs"], *new["pairs"]])),
        "rows": rows,
        "domains": {**old["domains"], **new["domains"]},
        "partial": {**old.get("partial", {}), **new["partial"]},
        "unsupported": [u for (label, learner, pair), u in said.items() if pair or learner not in rows[label]["code"]],
    }


def _joined(before: dict[str, Any], row: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """A row's planned cells, with those that earlier commands planned with the same code."""
    joined = dict(row["cells"])
    for learner, settings in before.get("cells", {}).items():
        now = row["code"].get(learner)
        if now in (None, before["code"].get(learner)):
            planned = joined.get(learner, {})
            union = {s: sorted({*ids, *planned.get(s, ())}) for s, ids in settings.items()}
            joined[learner] = planned | union
    return joined


def _write(path: Path, content: bytes) -> None:
    """Write and rename, so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
