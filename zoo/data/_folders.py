"""Folders with a folder of files for each class, as people have them: links, droppings of systems, parts of a split."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from zoo.errors import BadInput

DROPPINGS = frozenset({"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r", "@eadir", "__pycache__"})
PARTS = frozenset({"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"})


def tree(
    folder: Path, suffixes: Sequence[str], holds: Callable[[Path], bool] = lambda _: False
) -> tuple[list[Path], np.ndarray, str]:
    """Files of a folder with a folder per class, their classes, and what was left out, in words.

    What a file is its content decides where its suffix is none of `suffixes`; what systems leave behind is no file.

    Raises
    ------
    BadInput
        No class folders, or one without a file of the kind; folders of a split in their place.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder: expected one folder per class in it")
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not dropping(p))
    if not classes:
        raise BadInput(f"{folder} holds no class folders: expected {folder}/CLASS/FILE{suffixes[0]}")
    if parts := split(folder):
        listed = ", ".join(str(p) for p in parts)
        raise BadInput(
            f"{folder} holds {' and '.join(p.name for p in parts)} with the classes below, a split of its own: "
            f"pool it with NAME: [{listed}], or name one of them"
        )
    files: list[Path] = []
    labels: list[str] = []
    left: Counter[str] = Counter()
    for c in classes:
        found, others = [], Counter[str]()
        for path in walked(c):
            if path.suffix.lower() in suffixes or holds(path):
                found.append(path)
            else:
                others[path.suffix.lower() or "no suffix"] += 1
        if not found:
            has = f" but for {_counted(others)}" if others else ""
            raise BadInput(
                f"class folder {c} is empty{has}: expected {', '.join(suffixes[:3])} … files in it, or remove it"
            )
        left += others
        files += found
        labels += [unicodedata.normalize("NFC", c.name)] * len(found)
    beside = [p for p in folder.iterdir() if not p.is_dir() and not dropping(p)]
    left.update(f"{p.suffix.lower() or 'no suffix'} beside the classes" for p in beside)
    return files, np.array(labels), _counted(left)


def flat(
    folder: Path, suffixes: Sequence[str], holds: Callable[[Path], bool] = lambda _: False
) -> tuple[list[Path], np.ndarray, str]:
    """As `tree`, of files without classes: all that there are below a folder.

    Raises
    ------
    BadInput
        There is no file of the kind.
    """
    every = list(walked(folder))
    files = [path for path in every if path.suffix.lower() in suffixes or holds(path)]
    if not files:
        raise BadInput(f"{folder} holds no file of the kind: expected {', '.join(suffixes[:3])} … in it")
    left = Counter(path.suffix.lower() or "no suffix" for path in every if path not in {*files})
    return files, np.full(len(files), ""), _counted(left)


def split(folder: Path) -> list[Path]:
    """The folders of a split that stand where classes should: two or more called train, test and the like."""
    below = [p for p in sorted(folder.iterdir()) if p.is_dir() and not dropping(p)]
    if len(below) < 2 or any(p.name.lower() not in PARTS for p in below):
        return []
    return below if all(any(q.is_dir() and not dropping(q) for q in p.iterdir()) for p in below) else []


def dropping(path: Path) -> bool:
    """Whether it is what systems leave behind.

    >>> [dropping(Path(p)) for p in (".DS_Store", "Thumbs.db", "a/__MACOSX", "a/._0.jpg", "a/0.jpg")]
    [True, True, True, True, False]
    """
    return path.name.startswith(".") or path.name.lower() in DROPPINGS


def walked(folder: Path) -> Iterator[Path]:
    """All files below, sorted, without droppings; a folder that links lead to twice is walked once."""
    seen: set[str] = set()
    found: list[Path] = []
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = [f for f in folders if not dropping(Path(f))]
        found += [Path(here) / name for name in names if not dropping(Path(name))]
    return iter(sorted(found))


def _counted(left: Counter[str]) -> str:
    kinds = ", ".join(f"{kind} ({n})" for kind, n in left.most_common(5))
    total = left.total()
    return (
        f"{total} file{'s'[: total > 1]} that {'are' if total > 1 else 'is'} none of the kind: {kinds}" if left else ""
    )
