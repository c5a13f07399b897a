"""Formats of a table, one file each, found by being there: its ``render(table)`` gives the text."""

from __future__ import annotations

from zoo import discover
from zoo.errors import BadInput
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
