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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import BadInput, DiskFull, one_line
from zoo.records import folders, schema, values
from zoo.records import meta as run_json
from zoo.records.folders import FULL, told
from zoo.records.ids import digest
from zoo.records.reading import outdated, read
from zoo.records.verdicts import FILE

MADE = ("records", "predictions", "cache", "checkpoints")
SEEN = "features"  # what validators see of fitted methods beside their predictions
MODELS = "models"  # fits that were kept
# The others come with what needs them: an explanation, a plugin, a validator.
FOLDERS = (*MADE, "explanations", "plugins", values.FOLDER, SEEN, MODELS)
KEPT = (*FOLDERS, "claims", "run.json", ".lock", FILE)
REASON = 500  # characters of a record's reason
BINARY = getattr(os, "O_BINARY", 0)  # of Windows
LOWEST = float(np.finfo(np.float16).min)


def predictions(scores: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is kept of the scores [n, n_classes] of each set, and of the rows of its domain that it holds.

    Of no classes, but of one column, they are values.

    >>> predictions({"test": np.array([[0.25, 0.75]])}, {"test": np.array([7])})["test_log_scores"].tolist()
    [[-1.38..., -0.28...]]
    """
    kept: dict[str, np.ndarray] = {}
    for name, said in scores.items():
        if said.shape[1] > 1:
            with np.errstate(divide="ignore"):
                kept[f"{name}_log_scores"] = np.maximum(np.log(said), LOWEST).astype(np.float16)
            kept[f"{name}_predicted"] = said.argmax(1).astype(np.int16)
        else:
            kept[f"{name}_predicted"] = said[:, 0].astype(np.float32)
        kept[f"{name}_rows"] = rows.get(name, np.empty(0, np.int64)).astype(np.int32)
    return kept


def unpacked(log_scores: np.ndarray) -> np.ndarray:
    """The class scores [n, n_classes] of which `predictions` kept logarithms in half precision; rows sum to 1."""
    scores = np.exp(log_scores.astype(np.float64))
    return scores / scores.sum(1, keepdims=True)


class Store:
    """One writer's view of a run folder.

    Parameters
    ----------
    folder : Path
        Made with the first thing written, so that bad input leaves nothing behind.

    Raises
    ------
    BadInput
        The folder cannot be written, holds something that is no run, or holds a run of another suite. Of all methods
        that write: something cannot be written; `DiskFull` where that is why.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: _Log | None = None
        self.values: _Log | None = None
        self.plan = b""  # run.json as this writer left it
        self.again: dict[str, list[str]] = {}  # cells → digests of the lines that running them again replaces
        _check_folder(folder)

    def clear(self) -> None:
        """Forget everything (``--fresh``)."""
        for name in KEPT:
            path = self.folder / name
            with told(path):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)

    def meta(self) -> dict[str, Any]:
        """run.json, or an empty dict in a new folder."""
        return run_json.read_meta(self.folder) if (self.folder / "run.json").exists() else {}

    def done(self, files: Mapping[str, str | None] | None = None) -> set[str]:
        """Ids of cells that need not run again: those that have a record which can be trusted.

        Parameters
        ----------
        files : files that fits opened, with their hashes now; default: those in run.json
        """
        if not (self.folder / "run.json").exists():
            return set()
        run = read(self.folder)
        now = run.meta.get("files", {}) if files is None else files
        old = [r for r in run.records if r["status"] == "ok" and outdated(r, now)]
        self.again = {**run.disputed, **{r["cell"]: [digest(r)] for r in old}}
        return {r["cell"] for r in run.records if r["status"] in schema.FINAL} - self.again.keys()

    def others(self) -> dict[str, int]:
        """The sizes of the files of records that other writers have made."""
        found = {}
        for path in (self.folder / "records").glob("*.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                if self.log is None or path != self.log.path:
                    found[path.name] = path.stat().st_size
        return found

    def begin(self, meta: dict[str, Any]) -> None:
        """Write run.json, merged with what other commands planned in this folder."""
        self.make()
        with self._locked():
            if old := self.meta():
                meta = run_json.merged(old, meta)
            text = json.dumps(schema.finite(meta), indent=1, sort_keys=True, allow_nan=False)
            self.plan = text.encode() + b"\n"
            _write(self.folder / "run.json", self.plan)

    def append(
        self, record: dict[str, Any], predictions: dict[str, np.ndarray], explanations: list[Any] | None = None
    ) -> None:
        """Store a finished cell: predictions and explanations first, renamed into place, then the record's line."""
        record["reason"] = one_line(record.get("reason") or "", REASON)
        if record["status"] == "ok" and record["cell"] in self.again:
            record["supersedes"] = self.again[record["cell"]]
        arrays = _packed(predictions) if predictions else b""
        if predictions:
            record["predictions_sha256"] = hashlib.sha256(arrays).hexdigest()
        line = schema.line(record)
        told = json.dumps(schema.finite(explanations), allow_nan=False).encode() + b"\n" if explanations else b""
        self._mend()
        if explanations:
            self._make_folder("explanations")
            _write(self.folder / "explanations" / f"{record['cell']}.json", told)
        if predictions:
            _write(self.folder / "predictions" / f"{record['cell']}.npz", arrays)
        self.log = self.log or _Log(self.folder / "records" / _writer())
        self.log.append(line)

    def append_value(self, cell: str, value: values.Value) -> None:
        """Store what a validator said of a cell."""
        if self.values is None:
            self._make_folder(values.FOLDER)
            self.values = _Log(self.folder / values.FOLDER / _writer())
        self.values.append(values.line(cell, value))

    def keep_model(self, key: str, state: np.ndarray) -> str:
        """Keep a fitted method as its worker gave it, in bytes that nobody here looks into; returns their sha256."""
        self._make_folder(MODELS)
        packed = state.tobytes()
        _write(self.folder / MODELS / f"{key}.pt", packed)
        return hashlib.sha256(packed).hexdigest()

    def keep_seen(self, cell: str, arrays: dict[str, np.ndarray]) -> None:
        """Keep features and answers to probes of a cell for its validators."""
        self._make_folder(SEEN)
        _write(self.folder / SEEN / f"{cell}.npz", _packed(arrays))

    def seen(self, cell: str) -> dict[str, np.ndarray]:
        """What is stored of a cell's predictions, features and probes; what cannot be read is not there."""
        found: dict[str, np.ndarray] = {}
        for folder in ("predictions", SEEN):
            with contextlib.suppress(Exception), np.load(self.folder / folder / f"{cell}.npz", allow_pickle=False) as a:
                found |= dict(a)
        return found

    def forget_seen(self, cell: str) -> None:
        """Delete a cell's features, once its validators have seen them."""
        with told(self.folder / SEEN):
            (self.folder / SEEN / f"{cell}.npz").unlink(missing_ok=True)

    def artefact(self, key: str) -> dict[str, np.ndarray] | None:
        """A shared artefact from the cache; None if it is not there, or not whole."""
        try:
            with np.load(self.folder / "cache" / f"{key}.npz", allow_pickle=False) as arrays:
                return dict(arrays)
        except Exception:  # zip, zlib and numpy raise many kinds; whatever it is, the artefact is made anew
            return None

    def keep(self, key: str, arrays: dict[str, np.ndarray]) -> None:
        """Put a shared artefact into the cache."""
        self._mend()
        _write(self.folder / "cache" / f"{key}.npz", _packed(arrays))

    def checkpoint(self, key: str) -> np.ndarray | None:
        """The state of a training that was interrupted, as bytes; None if there is none, or not a whole one."""
        import safetensors

        try:
            state = (self.folder / "checkpoints" / f"{key}.safetensors").read_bytes()
            safetensors.deserialize(state)
        except (OSError, safetensors.SafetensorError):
            return None
        return np.frombuffer(state, np.uint8)

    def keep_checkpoint(self, key: str, state: np.ndarray | None) -> None:
        """Put the state of a training in the place of its last; None when it has ended."""
        path = self.folder / "checkpoints" / f"{key}.safetensors"
        if state is None:
            with told(path):
                path.unlink(missing_ok=True)
        else:
            self._mend()
            _write(path, state.tobytes())

    def close(self) -> None:
        """End writing; what was deleted under this writer is there again."""
        if self.log is not None:
            self._mend()
            self.log.close()
            self.log = None
        if self.values is not None:
            self.values.mend()
            self.values.close()
            self.values = None

    def make(self) -> None:
        """Make the folder, and those in it, where they are not there."""
        for name in MADE:
            self._make_folder(name)

    def _make_folder(self, name: str) -> None:
        with told(self.folder / name):
            folders.make(self.folder / name)

    def _mend(self) -> None:
        """Write again what was deleted since: a method that ran may have done it, and the folder stays readable."""
        if not all((self.folder / name).is_dir() for name in MADE):
            self.make()
        if self.plan and not (self.folder / "run.json").exists():
            _write(self.folder / "run.json", self.plan)
        if self.log is not None:
            self.log.mend()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Other writers wait here while run.json is read and replaced."""
        with told(self.folder / ".lock"):
            lock = (self.folder / ".lock").open("w")
        with lock:
            try:
                import fcntl
            except ImportError:  # no such locks on Windows
                yield
                return
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _writer() -> str:
    """What the files of this writer are called."""
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{socket.gethostname()}-{os.getpid()}"


class _Log:
    """A new file of lines, each on the disk when `append` returns, or not in the file at all.

    Its name begins with that of `path`.
    """

    def __init__(self, path: Path) -> None:
        self.lines: list[bytes] = []
        names = (f"{path.name}{turn}.jsonl" for turn in ("", *(f"-{i}" for i in range(1, 100))))
        # Containers may share host name, process id and second.
        self.path = next(p for p in map(path.with_name, names) if not os.path.lexists(p))
        self._open(os.O_EXCL)

    def append(self, line: bytes) -> None:
        with told(self.path):
            try:
                _pour(self.file, line)
                os.fsync(self.file)
            except BaseException:
                with contextlib.suppress(OSError):  # then `mend` writes the file anew
                    os.ftruncate(self.file, self.size)  # half a line is none
                raise
        self.lines.append(line)
        self.size += len(line)

    def mend(self) -> None:
        """Put the lines back where somebody deleted or cut the file."""
        try:
            there, ours = self.path.stat(), os.fstat(self.file)
            if (there.st_ino, there.st_dev, there.st_size) == (ours.st_ino, ours.st_dev, self.size):
                return
        except OSError:  # it is not there
            pass
        os.close(self.file)
        _write(self.path, b"".join(self.lines))
        self._open()

    def close(self) -> None:
        os.close(self.file)

    def _open(self, how: int = 0) -> None:
        with told(self.path):
            self.file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | BINARY | how, 0o666)
            folders.sync(self.path.parent)
        self.size = os.fstat(self.file).st_size


def _check_folder(folder: Path) -> None:
    """Refuse a folder that cannot hold a run, before anything is computed; see `Store`."""
    other = "choose another --out"
    try:
        existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        hanging = next((p for p in (folder, *folder.absolute().parents) if p.is_symlink() and not p.exists()), None)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"{one_line(folder, 120)} cannot be a folder: {why}; {other}") from None
    if hanging:
        raise BadInput(f"{hanging} is a symbolic link to nothing; {other}")
    try:
        with tempfile.TemporaryFile(dir=existing):  # `os.access` says yes to root wherever it asks
            pass
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(f"cannot write to {folder}: no space is left on its disk; free some, or {other}") from None
        raise BadInput(f"cannot write to {folder}: {existing} is not a writable folder; {other}") from None
    if existing != folder:
        return
    # A run that was killed while it began has no run.json yet.
    ours = all(p.name in KEPT or p.name.startswith(".run.json.") for p in folder.iterdir())
    if not (folder / "run.json").exists() and not ours:
        raise BadInput(f"{folder} exists and is not a run folder; {other}")
    for name in FOLDERS:
        if os.path.lexists(folder / name) and not (folder / name).is_dir():
            raise BadInput(f"{folder / name} is no folder, where a run keeps its {name}; {other}")
    for name in ("run.json", ".lock"):
        if (folder / name).is_dir():
            raise BadInput(f"{folder / name} is a folder, where a run has a file; {other}")


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write, flush to the disk and rename, so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with told(path):
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o666)
        try:
            try:
                _pour(file, content)
                os.fsync(file)
            finally:
                os.close(file)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        folders.sync(path.parent)


def _pour(file: int, content: bytes) -> None:
    """Write all of it: the system may take less at once."""
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]
