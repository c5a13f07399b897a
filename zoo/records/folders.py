"""Folders whose names are on the disk too, as what is synced in one is lost with it; and what is said of full ones."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import BadInput, DiskFull

FULL = (errno.ENOSPC, errno.EDQUOT)


def make(path: Path) -> None:
    """Make a folder and those above it where they are not there, each name on the disk on return."""
    new = [p for p in (path, *path.parents) if not p.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(new):
        sync(folder.parent)


def sync(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    if os.name == "nt":  # where a folder cannot be opened
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """What the system says when something cannot be written, as one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            why = f"no space is left on the disk of {path.parent}: the run stops here, and all that is done is kept"
            raise DiskFull(f"{why}; free some space, and the same command goes on") from None
        raise BadInput(f"cannot write {path}: {error.strerror}; the same command goes on from what is done") from None
