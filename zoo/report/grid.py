"""A small table of texts with notes under it, as markdown and as LaTeX."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import printable
from zoo.report.formats.latex import tex
from zoo.report.formats.md import escape


@dataclass(frozen=True)
class Grid:
    """A table of texts: its head, its rows, how many of its columns are words, and the notes under it."""

    title: str
    head: list[str]
    rows: list[list[str]]
    words: int
    notes: list[str]


def md(grid: Grid) -> str:
    """As markdown."""
    text = [grid.title, ""]
    if grid.head:
        text += [f"| {' | '.join(map(escape, grid.head))} |"]
        text += ["|" + "---|" * grid.words + "---:|" * (len(grid.head) - grid.words)]
        text += [f"| {' | '.join(map(escape, row))} |" for row in grid.rows] + [""]
    text += [f"- {note}" for note in grid.notes]
    return "\n".join(map(printable, text)) + "\n"


def latex(grid: Grid) -> str:
    """As a paper's table; without a head, as lines of text."""
    notes = [f"{tex(note)}\\par" for note in grid.notes]
    if not grid.head:
        return "\n".join(
            [f"% {grid.title}", r"\noindent\begin{minipage}{\linewidth}\footnotesize", *notes, r"\end{minipage}", ""]
        )
    line = [" & ".join(map(tex, row)) + r" \\" for row in (grid.head, *grid.rows)]
    return "\n".join(
        [
            r"% \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{tex(grid.title)}}}",
            r"\resizebox{\linewidth}{!}{\begin{tabular}{"
            + "l" * grid.words
            + "r" * (len(grid.head) - grid.words)
            + "}",
            *(r"\toprule", line[0], r"\midrule", *line[1:], r"\bottomrule", r"\end{tabular}}"),
            *(r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright", *notes, r"\end{minipage}"),
            r"\end{table}",
            "",
        ]
    )


FORMS = {"md": md, "latex": latex}
