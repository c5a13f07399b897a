"""Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoo.errors import printable
from zoo.report.cells import STUB, Cell, Table, ruled


def render(table: Table) -> str:
    """A table as text, with one newline at its end."""

    def show(cell: Cell) -> str:
        left, right = {"best": ("**", "**"), "second": ("<ins>", "</ins>"), "": ("", "")}[cell.mark]
        return left + escape(cell.text) + right + escape(cell.tail)

    width = len(STUB) + len(table.columns)
    body = [[*STUB, *(escape(column.head) for column in table.columns)], []]
    for setting, rows in table.groups:
        if ruled(setting) and len(table.groups) > 1:
            body.append(["---"] * width)
        body.append([f"*{setting}*"] + [""] * (width - 1))
        body += [[*map(escape, (row.name, row.learner, row.family)), *map(show, row.cells)] for row in rows]
    widths = [max(3, *(len(line[j]) for line in body if line)) for j in range(width)]
    body[1] = [":" + "-" * (w - 1) if j < len(STUB) else "-" * (w - 1) + ":" for j, w in enumerate(widths)]
    pads = [str.ljust] * len(STUB) + [str.rjust] * len(table.columns)
    text = [[pad(x, w) for pad, x, w in zip(pads, line, widths, strict=True)] for line in body]
    parts = [escape(table.caption), "", *(f"| {' | '.join(line)} |" for line in text)]
    return "\n".join([*parts, *([""] if table.notes else []), *(f"- {escape(note)}" for note in table.notes)]) + "\n"


def escape(text: str) -> str:
    """Text for Markdown, on one line.

    >>> print(escape("a|b <c>"))
    a\\|b \\<c>
    """
    return re.sub(r"([<*|`\\])", r"\\\1", printable(text))


def padded(table: Sequence[Sequence[str]], left: int) -> list[str]:
    """The lines of a table, its head first, padded; the first `left` columns are text."""
    widths = [max(3, *map(len, column)) for column in zip(*table, strict=True)]
    rule = [":" + "-" * (w - 1) if j < left else "-" * (w - 1) + ":" for j, w in enumerate(widths)]

    def one(line: Sequence[str]) -> str:
        cells = (c.ljust(w) if j < left else c.rjust(w) for j, (c, w) in enumerate(zip(line, widths, strict=True)))
        return f"| {' | '.join(cells)} |"

    return [one(line) for line in (table[0], rule, *table[1:])]
