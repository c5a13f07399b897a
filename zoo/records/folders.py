"""Folders whose names are on the disk too: what is synced inside one is lost with a name that was not."""

from __future__ import annotations

import os
from pathlib import Path


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
