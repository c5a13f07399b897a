"""The few ways in which zoo says no, and how it says what others wrote: in one line, and printable."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # of terminals, for colours and worse
BREAKS = "\n\r\t\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"
JOINERS = "\u200c\u200d"  # without which some scripts are misspelt


class ZooError(Exception):
    """Base of all errors that zoo raises on purpose."""


class BadInput(ZooError):
    """What the user gave cannot be used: one line that says what, where, and what would be right.

    `fix` are the keys of ``data:`` that mend it, where some do.
    """

    def __init__(self, message: object = "", fix: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.fix = fix


class DiskFull(BadInput):
    """Nothing more can be written; what has been written is whole, and the same command goes on."""


class Unsupported(ZooError):
    """A method cannot run in this suite; the reason becomes one line under the table."""


class LeakError(ZooError):
    """An adapter read a field that its ``needs`` does not name.

    Deliberately no AttributeError, so that ``getattr(task, "yt", None)`` cannot hide it.
    """


class Diverged(ZooError):
    """A loss became NaN or infinite."""


def printable(text: object) -> str:
    r"""Text that stays on its line and does nothing to a terminal: newlines and tabs are spaces, escape sequences gone.

    Control characters, what turns or hides text (bidirectional controls, tags) and lone surrogates become U+FFFD.

    >>> printable("a\nb\x1b[31m red\x07")
    'a b red�'
    """
    if (plain := str(text)).isascii() and plain.isprintable():
        return plain
    return "".join(map(_shown, ESCAPES.sub("", plain)))


def one_line(text: object, limit: int = 300) -> str:
    """`printable`, with single spaces, and cut to `limit` characters (0: to none).

    >>> one_line("first line   and\\n  the second", limit=15)
    'first line and…'
    """
    line = " ".join(printable(text).split())
    return line if not limit or len(line) <= limit else line[: limit - 1] + "…"


def _shown(c: str) -> str:
    if c in BREAKS:
        return " "
    hidden = unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in JOINERS
    return "\N{REPLACEMENT CHARACTER}" if hidden else c


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that does not exist, with the names that were perhaps meant.

    >>> unknown("method", "danm", ["dan", "dann", "kmm"])
    BadInput("unknown method 'danm': did you mean 'dan' or 'dann'?")
    >>> unknown("net", "x", ["mlp", "cnn"])
    BadInput("unknown net 'x': there are cnn, mlp")
    """
    from difflib import get_close_matches

    known = sorted(known)
    close = get_close_matches(name, known, n=3) or [k for k in known if k.casefold() == name.casefold()]
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {', '.join(known) or 'none'}"
    return BadInput(f"unknown {kind} {name!r}: {hint}")
