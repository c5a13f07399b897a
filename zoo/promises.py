"""What plugins promise, in words: what was promised, what happened instead, and in which line of the plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.errors import ZooError


class Broken(ZooError):
    """A plugin gave something else than it promises."""


def place(function: Callable[..., Any]) -> str:
    """The last line of a function, which is where it gives what it gives: ``(my.py:17)``; '' of what has no source.

    >>> place(len)
    ''
    """
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return ""
    lines = [line for _, _, line in code.co_lines() if line]
    return f"({Path(code.co_filename).name}:{max(lines, default=code.co_firstlineno)})"


def require(holds: bool, why: str, function: Callable[..., Any]) -> None:
    """Broken, with the function's line, unless a promise holds."""
    if not holds:
        raise Broken(f"{why} {place(function)}".rstrip())


def counted(n: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "row"), counted(2, "row")
    ('1 row', '2 rows')
    """
    return f"{n} {what}{'s'[: n != 1]}"
