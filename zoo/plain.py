"""What users may write: paths, names and values, each judged in a few words before anything is done with it."""

from __future__ import annotations

import errno
import math
import os
import stat
from pathlib import Path
from typing import Any

NAME_BYTES = 200  # of a run's folder; most file systems take 255 bytes and we add to it
LABEL = 100  # characters of a row's label or a domain, which are cells of tables
DEEP = 20  # levels of lists and mappings
WHOLE = 2**63  # above which a whole number means nothing to any method, nor to other readers of JSON
UNSAFE = frozenset('/\\:*?"<>|')

_WHY = {
    errno.ENAMETOOLONG: "has a part of over 255 characters",
    errno.ELOOP: "is a link that leads to itself",
    errno.EACCES: "may not be read",
    errno.EPERM: "may not be read",
}


def trouble(path: str | Path, kind: str = "") -> str:
    """Why a path cannot be read as a ``file`` or a ``folder`` (or as either), in words to follow it; '' where it can.

    >>> trouble("nowhere"), trouble("a\\0b"), trouble("/", "file"), trouble("/", "folder")
    ('is not there', 'holds a null character', 'is a folder, not a file', '')
    """
    if "\0" in str(path):
        return "holds a null character"
    try:
        mode = os.stat(path).st_mode
    except UnicodeError:
        return "is no text of this system"
    except (FileNotFoundError, NotADirectoryError):
        return _absent(Path(path))
    except OSError as error:
        return _WHY.get(error.errno or 0) or f"cannot be read: {error.strerror}"
    what = "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "device or pipe"
    if kind not in ("", what):
        return f"is a {what}, not a {kind}"
    return "" if os.access(path, os.R_OK) else "may not be read"


def unwritable(path: str | Path) -> str:
    """Why no folder can be made there, in words to follow the path; '' where it can or may be one already."""
    why = trouble(path, "folder")
    return "" if why == "is not there" else why


def unfit_name(name: str) -> str:
    """Why a run cannot be called so, in words to follow the name; '' where it can.

    >>> unfit_name("office 31 (2)"), unfit_name("../x")
    ('', 'cannot be a run\\'s name: one part of a path, without any of / \\\\ : * ? " < > |')
    """
    what = "cannot be a run's name: "
    if why := _unprintable(name):
        return what + why
    if UNSAFE & set(name):
        return what + 'one part of a path, without any of / \\ : * ? " < > |'
    if name[0] in ".-":
        return what + "it starts with a letter, a digit or _"
    if len(name.encode()) > NAME_BYTES:
        return f"{what}it is {len(name.encode())} bytes long, at most {NAME_BYTES}"
    return ""


def unfit_label(label: str) -> str:
    """Why it cannot head a row or a column of a table, in words to follow it; '' where it can.

    >>> unfit_label("coral (weak)"), unfit_label("a|b"), unfit_label("a\\nb")
    ('', 'cannot stand in a table: no |', 'cannot stand in a table: no line ends or control characters')
    """
    what = "cannot stand in a table: "
    if why := _unprintable(label):
        return what + why
    if "|" in label:
        return what + "no |"
    return f"{what}it has {len(label)} characters, at most {LABEL}" if len(label) > LABEL else ""


def unfit_value(value: Any, depth: int = 0) -> str:
    """Why a value is no JSON as others read it, in words; '' where it is.

    >>> unfit_value([1, {"a": None}]), unfit_value([math.nan]), unfit_value({1: 2}), unfit_value({1, 2})
    ('', 'nan is not a finite number', '1 is no word for a key', 'a set is no number, text, list or mapping')
    """
    if depth > DEEP:
        return f"it is nested deeper than {DEEP} levels, or holds itself"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, int):  # True and False are too
        return "" if -WHOLE < value < WHOLE else "a whole number has at most 18 digits"
    if isinstance(value, str):
        return "" if _encodes(value) else "it holds half a character"
    if isinstance(value, dict):
        if odd := [key for key in value if not isinstance(key, str)]:
            return f"{odd[0]!r} is no word for a key"
        value = [*value, *value.values()]
    elif value is not None and not isinstance(value, list | tuple):
        return f"a {type(value).__name__} is no number, text, list or mapping"
    return next(filter(None, (unfit_value(v, depth + 1) for v in value or ())), "")


def shown(message: str, most: int = 2000) -> str:
    """A message as one line that a terminal shows as it is: no line ends, nothing that moves its cursor, not endless.

    >>> shown("a\\n b\\x1b[31m")
    'a b\\\\x1b[31m'
    """
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _absent(path: Path) -> str:
    """Which part of a path is not there, where it is not the last."""
    for part in (path, *path.parents):
        if part.is_symlink() and not os.path.exists(part):
            return f"is a link to {os.readlink(part)}, which is not there"
        if part != path and part.exists():
            return "is not there" if part.is_dir() else f"is not there: {part} is a file"
    return "is not there"


def _unprintable(text: str) -> str:
    if not text.strip():
        return "it is empty"
    if not text.isprintable():
        return "no line ends or control characters"
    return "no blank at its beginning or end" if text != text.strip() else ""


def _encodes(text: str) -> bool:
    """Whether it can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
