"""Scripts for clusters, one file each: `script` makes of a command the script that runs it in parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Batch:
    """A run that is to be done in parts.

    Attributes
    ----------
    words : the command that runs all of it, without ``--shard`` and ``--workers``
    folder : the run folder that all parts write into
    parts, cells : how many parts, and how many cells in all of them
    seconds : what one part will take about, on its workers
    cpus : how many workers a part has
    gpu : whether it has a GPU
    """

    words: tuple[str, ...]
    name: str
    folder: Path
    parts: int
    cells: int
    seconds: float
    cpus: int
    gpu: bool
