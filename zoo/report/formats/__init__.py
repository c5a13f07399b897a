"""A table as Markdown, LaTeX, CSV, HTML, JSON, or on the terminal."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from zoo.errors import BadInput, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from zoo.report.table import Cell, Row, Table

FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # a spreadsheet takes the wide signs too
STUB = ("method", "learner", "family")


def render(table: Table, format: str = "md") -> str:
    """A table as text, with one newline at its end.

    Parameters
    ----------
    format : {'md', 'latex', 'csv', 'html', 'json'}
        ``csv`` is long, for machines: one line for each row and column, with value, std, n, status and mark; values
        are as in the records (an accuracy is a fraction), pairs are written ``source:target``.
    """
    writers: dict[str, Callable[[Table], str]] = {
        "md": _md, "latex": _latex, "csv": _csv, "html": _html, "json": _json
    }  # fmt: skip
    if format not in writers:
        raise BadInput(f"unknown format {format!r}: it is one of {', '.join(writers)}")
    return writers[format](_printable(table))


def text_cell(text: str) -> str:
    """Text for a cell of a CSV file, which a spreadsheet would run as a formula if it began as one.

    >>> text_cell("=1+1"), text_cell("coral")
    ("'=1+1", 'coral')
    """
    return f"'{text}" if text.lstrip().startswith(FORMULAS) else text


def escape(text: str) -> str:
    """Text for Markdown, on one line.

    >>> print(escape("a|b <c>"))
    a\\|b \\<c>
    """
    return re.sub(r"([<*|`\\])", r"\\\1", printable(text))


def _printable(table: Table) -> Table:
    """The table with whatever labels, domains and reasons hold made printable; see `zoo.errors.printable`."""

    def row(row: Row) -> Row:
        names = {key: printable(getattr(row, key)) for key in ("setting", "learner", "family", "label", "method")}
        cells = [replace(cell, text=printable(cell.text)) for cell in row.cells]
        return replace(row, cells=cells, **names)  # type: ignore[arg-type]

    return replace(
        table,
        caption=printable(table.caption),
        columns=[replace(c, key=printable(c.key), head=printable(c.head)) for c in table.columns],
        groups=[(printable(setting), [row(r) for r in rows]) for setting, rows in table.groups],
        notes=[printable(note) for note in table.notes],
    )


def rich(table: Table) -> RenderableType:
    """A table for the terminal."""
    from rich import box
    from rich.console import Group
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.table import Table as Grid
    from rich.text import Text

    table = _printable(table)
    styles = {"best": "bold", "second": "underline", "": ""}
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 0), pad_edge=False, header_style="")
    for head in STUB[:2]:
        grid.add_column(head)
    for column in table.columns:
        # Heads break where they have a joint, so that columns are as narrow as their numbers.
        head = column.head.replace("→", "\n→") if len(column.head) > 9 else column.head
        grid.add_column(Text(head.replace(" ", "\n"), justify="right"), justify="right", no_wrap=True)
    for setting, rows in table.groups:
        if _ruled(setting):
            grid.add_row(*(Rule(style="") for _ in grid.columns))
        else:
            grid.add_section()
        grid.add_row(Text(setting, style="italic"))
        for row in rows:
            texts = [Text.assemble((c.text, styles[c.mark]), c.tail) for c in row.cells]
            grid.add_row(Text(f" {row.name}"), Text(row.learner), *texts)
    notes = Text("\n".join(table.notes), style="dim")
    return Group(Text(table.caption), Padding(grid, (1, 0)), notes)


def _ruled(setting: str) -> bool:
    """Whether a rule sets a group apart, since its rows are not to be ranked with those above."""
    return setting.endswith("oracle") or setting.startswith("published")


def _md(table: Table) -> str:
    def show(cell: Cell) -> str:
        left, right = {"best": ("**", "**"), "second": ("<ins>", "</ins>"), "": ("", "")}[cell.mark]
        return left + escape(cell.text) + right + escape(cell.tail)

    width = len(STUB) + len(table.columns)
    body = [[*STUB, *(escape(column.head) for column in table.columns)], []]
    for setting, rows in table.groups:
        if _ruled(setting) and len(table.groups) > 1:
            body.append(["---"] * width)
        body.append([f"*{setting}*"] + [""] * (width - 1))
        body += [[*map(escape, (row.name, row.learner, row.family)), *map(show, row.cells)] for row in rows]
    widths = [max(3, *(len(line[j]) for line in body if line)) for j in range(width)]
    body[1] = [":" + "-" * (w - 1) if j < len(STUB) else "-" * (w - 1) + ":" for j, w in enumerate(widths)]
    pads = [str.ljust] * len(STUB) + [str.rjust] * len(table.columns)
    text = [[pad(x, w) for pad, x, w in zip(pads, line, widths, strict=True)] for line in body]
    parts = [escape(table.caption), "", *(f"| {' | '.join(line)} |" for line in text)]
    return "\n".join([*parts, *([""] if table.notes else []), *(f"- {escape(note)}" for note in table.notes)]) + "\n"


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", '"': "''", "→": r"$\to$", "±": r"$\pm$", "×": r"$\times$",
    "–": "--", "—": "---", "≤": r"$\leq$", "≥": r"$\geq$", "…": r"\dots{}", "’": "'",
    "λ": r"$\lambda$", "Ω": r"$\Omega$", "θ": r"$\theta$",
}  # fmt: skip


def tex(text: str) -> str:
    """Text for LaTeX; a sign that pdfTeX might not know becomes a question mark, since a table has to compile."""

    def one(part: str) -> str:
        return "".join(LATEX.get(c, c if 32 <= ord(c) < 127 or 0xC0 <= ord(c) < 0x180 else "?") for c in part)

    return "-{}-".join(map(one, text.split("--")))  # an option's two hyphens are no dash


def _latex(table: Table) -> str:
    def show(cell: Cell) -> str:
        mark = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}[cell.mark]
        return mark % tex(cell.text) + tex(cell.tail)

    def line(cells: list[str]) -> str:
        return " & ".join(cells) + r" \\"

    width, wide = len(STUB) + len(table.columns), len(table.columns) > 8
    body = [line([*STUB, *(tex(column.head) for column in table.columns)])]
    for setting, rows in table.groups:
        body.append(r"\midrule[\heavyrulewidth]" if _ruled(setting) else r"\midrule")
        body.append(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{tex(setting)}}}}} \\")
        body += [line([*map(tex, (row.name, row.learner, row.family)), *map(show, row.cells)]) for row in rows]
    notes = [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
    notes += [f"{tex(note)}\\par" for note in table.notes] + [r"\end{minipage}"]
    return "\n".join(
        [
            r"% \usepackage{booktabs" + (",graphicx}" if wide else "}"),
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{tex(table.caption)}}}",
            (r"\resizebox{\linewidth}{!}{" if wide else "")
            + rf"\begin{{tabular}}{{{'l' * len(STUB)}{'r' * len(table.columns)}}}",
            r"\toprule",
            *body,
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            *(notes if table.notes else []),
            r"\end{table}",
            "",
        ]
    )


def _csv(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    stub = ["setting", "learner", "family", "method", "column", "metric"]
    writer.writerow([*stub, "value", "std", "n", "status", "mark"])
    for _, rows in table.groups:
        for row in rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                status = "ok" if cell.value is not None else "" if cell.text == "–" else cell.text
                metric = column.key if column.unit in ("pairs", "s", "MB") else table.metric
                entry = [cell.value, cell.std, cell.n, status, cell.mark]
                names = (row.setting, row.learner, row.family, row.label, column.key, metric)
                writer.writerow([*map(text_cell, names), *entry])
    return out.getvalue()


def _json(table: Table) -> str:
    def entry(row: Row) -> dict[str, Any]:
        cells = {c.key: asdict(cell) for c, cell in zip(table.columns, row.cells, strict=True)}
        return {**asdict(row), "cells": cells}

    content = {
        "caption": table.caption,
        "metric": table.metric,
        "columns": [asdict(column) for column in table.columns],
        "rows": [entry(row) for _, rows in table.groups for row in rows],
        "notes": table.notes,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _html(table: Table) -> str:
    def show(cell: Cell) -> str:
        left, right = {"best": ("<b>", "</b>"), "second": ("<u>", "</u>"), "": ("", "")}[cell.mark]
        return f'<td style="text-align:right">{left}{html.escape(cell.text)}{right}{html.escape(cell.tail)}</td>'

    def left(text: str, tag: str = "td") -> str:
        return f'<{tag} style="text-align:left">{html.escape(text)}</{tag}>'

    width = len(STUB) + len(table.columns)
    heads = [left(head, "th") for head in STUB] + [f"<th>{html.escape(c.head)}</th>" for c in table.columns]
    out = [
        "<table>",
        f'<caption style="text-align:left">{html.escape(table.caption)}</caption>',
        f"<thead><tr>{''.join(heads)}</tr></thead>",
    ]
    for setting, rows in table.groups:
        rule = ' style="border-top:2px solid"' if _ruled(setting) else ""
        out.append(f"<tbody{rule}>")
        out.append(f'<tr><th colspan="{width}" style="text-align:left"><i>{html.escape(setting)}</i></th></tr>')
        for row in rows:
            stub = "".join(map(left, (row.name, row.learner, row.family)))
            out.append(f"<tr>{stub}{''.join(map(show, row.cells))}</tr>")
        out.append("</tbody>")
    if table.notes:
        notes = "<br>".join(map(html.escape, table.notes))
        out.append(f'<tfoot><tr><td colspan="{width}" style="text-align:left">{notes}</td></tr></tfoot>')
    return "\n".join([*out, "</table>", ""])
