"""Formats of a table, one file each, found by being there: its ``render(table)`` gives the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo import discover
from zoo.errors import BadInput
from zoo.promises import require
from zoo.report.cells import Table


def render(table: Table, format: str = "md") -> str:
    """A table as text, with one newline at its end; `format` is the name of a file here.

    Raises
    ------
    BadInput
        There is no such format.
    """
    known = discover.formats()
    if format not in known:
        raise BadInput(f"unknown format {format!r}: it is one of {', '.join(known)}")
    text: str = discover.load(known[format]).render(table.printable())
    return text


def apart(plugin: Any, tables: Sequence[Table]) -> dict[str, Any]:
    """Tables as a plugin's format writes them, in the process that has imported it, as what can be sent from there.

    Raises
    ------
    Broken
        It gives no text, or one that does not end its last line.
    """
    import numpy as np

    found = []
    for table in tables:
        text = plugin.render(table)
        what = "None" if text is None else f"a {type(text).__name__}"
        require(isinstance(text, str), f"render(table) gave {what}, where a text is promised", plugin.render)
        why = "render(table) gave a text with no newline at its end, where one is promised"
        require(text.endswith("\n") and not text.endswith("\n\n"), why, plugin.render)
        found.append(np.frombuffer(text.encode(), np.uint8))
    return {"texts": found}
