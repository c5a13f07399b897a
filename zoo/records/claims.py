"""Who runs which cell, where several processes work in one folder: a file for each cell, linked there atomically."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from pathlib import Path
from typing import Any

from zoo.records.folders import told

SILENCE_S = 120.0  # without a heartbeat, after which a claim is void
HEARTBEAT_S = 20.0


class Claims:
    """The claims of one process on the cells of a run folder; made with the first, and gone when it is closed.

    A claim is void after two minutes without a heartbeat, or at once where its owner was a process of this machine that
    is no more.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "claims"
        self.owner = {**_whereabouts(), "pid": os.getpid(), "began": _began(os.getpid()), "key": uuid.uuid4().hex}
        self.held: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, key: str) -> bool:
        """Claim a cell; False where another process has."""
        if key in self.held:
            return True
        path, mine = self.folder / key, self.folder / f".{self.owner['key']}"
        try:
            with told(path):
                self.folder.mkdir(exist_ok=True)
                mine.write_text(json.dumps(self.owner))
                if not self._link(mine, path) and not (self._seize(path, mine) and self._link(mine, path)):
                    return False
        finally:
            mine.unlink(missing_ok=True)
        self.held.add(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="claims", daemon=True)
            self._thread.start()
        return True

    def release(self, key: str) -> None:
        """Give a claim up."""
        if key in self.held:
            self.held.discard(key)
            (self.folder / key).unlink(missing_ok=True)

    def close(self) -> None:
        """Give all up."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for key in sorted(self.held):
            self.release(key)
        with contextlib.suppress(OSError):  # others' claims are in it, or it never was
            self.folder.rmdir()

    def _link(self, mine: Path, path: Path) -> bool:
        try:
            os.link(mine, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without such links
            try:
                with path.open("x") as file:
                    file.write(json.dumps(self.owner))
            except FileExistsError:
                return False
        return True

    def _seize(self, path: Path, mine: Path) -> bool:
        """Move a void claim out of the way; False where it is none, or another process was faster."""
        try:
            said = path.read_text()
            silent = mine.stat().st_mtime - path.stat().st_mtime  # both by the clock of the disk
            if silent < SILENCE_S and not _gone(said):
                return False
            away = path.with_name(f".{uuid.uuid4().hex}")
            path.rename(away)
            if away.read_text() != said:  # another process has claimed it anew in between
                with contextlib.suppress(FileExistsError):
                    os.link(away, path)
                away.unlink()
                return False
            away.unlink()
        except FileNotFoundError:
            return not path.exists()
        return True

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            for key in [*self.held]:
                with contextlib.suppress(OSError):  # a folder that was deleted: the next cell will tell
                    os.utime(self.folder / key)


def _whereabouts() -> dict[str, Any]:
    """What tells this machine, and the numbers of its processes, from others: containers share host names."""
    found = {"host": socket.gethostname()}
    with contextlib.suppress(OSError):
        found["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        found["processes"] = os.readlink("/proc/self/ns/pid")
    return found


def _began(pid: int) -> str:
    """When a process began, by its system; '' where there is none, or it is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _gone(said: str) -> bool:
    """Whether a claim's owner was a process of this machine that has ended."""
    try:
        owner = json.loads(said)
        here = _whereabouts()
        known = "boot" in here and all(owner.get(k) == v for k, v in here.items())
        return known and bool(owner["began"]) and _began(int(owner["pid"])) != owner["began"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
