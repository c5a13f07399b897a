"""LaTeX, with booktabs, siunitx and threeparttable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.report.cells import STUB, Cell, Row, Table, ruled

NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?")
TAIL = re.compile(r"(?: ± (\d+(?:\.\d+)?))?(?: (\(.*\)))?")
LINE = 90  # characters of a line of text, beyond which the table is scaled
SETUP = r"\sisetup{detect-weight=true, table-align-text-after=false}"


def render(table: Table) -> str:
    """A table as text, with one newline at its end."""
    paper = table.paper
    rows = [row for _, rows in table.groups for row in rows]
    columns = [[row.cells[j] for row in rows] for j in range(len(table.columns))]
    signs = [[_sign(table, row, j) for row in rows] for j in range(len(table.columns))]
    formats = [_format(column, after) for column, after in zip(columns, signs, strict=True)]
    width = len(STUB) + len(table.columns)
    body = [_line([*STUB, *(f"{{{tex(column.head)}}}" for column in table.columns)])]
    for setting, members in table.groups:
        body.append(r"\midrule[\heavyrulewidth]" if ruled(setting) else r"\midrule")
        body.append(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{tex(setting)}}}}} \\")
        for row in members:
            shown = [_cell(cell, _sign(table, row, j), formats[j]) for j, cell in enumerate(row.cells)]
            body.append(_line([_name(table, row), tex(row.learner), tex(row.family), *shown]))
    notes = [_sentence(note) for note in (*paper.notes, *table.notes, *filter(None, [paper.foot]))]
    tabular = [
        rf"\begin{{tabular}}{{{'l' * len(STUB)}{''.join(f.column for f in formats)}}}",
        r"\toprule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    head = [rf"\caption{{{tex(paper.caption or table.caption)}}}"]
    head += [rf"\label{{{paper.label}}}"] if paper.label else []
    package, content = ("graphicx", _scaled) if _length(table) > LINE else ("threeparttable", _measured)
    return "\n".join(
        [
            rf"% \usepackage{{booktabs,siunitx,{package}}}",
            r"\begin{table}",
            r"\centering\small",
            SETUP,
            *content(head, tabular, notes),
            r"\end{table}",
            "",
        ]
    )


def _measured(head: list[str], tabular: list[str], notes: list[str]) -> list[str]:
    """A table whose notes are as wide as it is."""
    items = [rf"\item {note}" for note in notes]
    foot = [r"\begin{tablenotes}[flushleft]\footnotesize", *items, r"\end{tablenotes}"] if notes else []
    return [r"\begin{threeparttable}", *head, *tabular, *foot, r"\end{threeparttable}"]


def _scaled(head: list[str], tabular: list[str], notes: list[str]) -> list[str]:
    """A table that is scaled to the line, where threeparttable cannot measure it."""
    foot = [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
    foot += [rf"{note}\par" for note in notes] + [r"\end{minipage}"]
    scaled = [r"\resizebox{\linewidth}{!}{%", *tabular[:-1], tabular[-1] + "}"]
    return [*head, *scaled, *(foot if notes else [])]


def _length(table: Table) -> int:
    """How many characters a line of the table has."""
    rows = [row for _, rows in table.groups for row in rows]
    stubs = [(_name(table, row), row.learner, row.family) for row in rows]
    texts = [[stub[i] for stub in stubs] for i in range(len(STUB))]
    texts += [[c.head, *(row.cells[j].text + row.cells[j].tail for row in rows)] for j, c in enumerate(table.columns)]
    return sum(2 + max(map(len, column), default=0) for column in texts)


@dataclass(frozen=True)
class Format:
    """How the numbers of a column are set: digits before and behind the point, and the widest text after a number."""

    sign: bool
    before: int
    behind: int
    after: str

    @property
    def column(self) -> str:
        """The column of a tabular: S where there are numbers."""
        if not self.before:
            return "r"
        point = f".{self.behind}" if self.behind else ""
        after = f", table-space-text-post={{{self.after}}}" if self.after else ""
        return f"S[table-format={'+' * self.sign}{self.before}{point}{after}]"


def _format(cells: Sequence[Cell], signs: Sequence[str]) -> Format:
    numbers = [m for cell in cells if (m := NUMBER.fullmatch(cell.text))]
    before, behind = (max((len(m[i] or "") for m in numbers), default=0) for i in (2, 3))
    after = [_after(cell, sign) for cell, sign in zip(cells, signs, strict=True)]
    return Format(any(m[1] for m in numbers), before, behind, max(after, key=lambda t: (len(t), t), default=""))


def _cell(cell: Cell, sign: str, form: Format) -> str:
    """A value for its column; what is no number, or underlined, stands in braces, as wide as a number would be."""
    if not (number := NUMBER.fullmatch(cell.text)):
        return f"{{{tex(cell.text + cell.tail)}}}"
    after = _after(cell, sign)
    if cell.mark == "second":
        left = "0" * (form.before - len(number[2])) + "+" * (form.sign and not number[1])
        lead = rf"\phantom{{{left}}}" if left else ""
        return (
            f"{{{lead}\\underline{{{cell.text}}}"
            + (rf"\rlap{{{after}}}\phantom{{{form.after}}}" if form.after else "")
            + "}"
        )
    if cell.mark == "best":
        return rf"\bfseries {cell.text}" + (rf" {{\mdseries {after}}}" if after else "")
    return cell.text + (f" {{{after}}}" if after else "")


def _after(cell: Cell, sign: str) -> str:
    """What stands behind a number: its deviation, a mark, a remark."""
    tail = TAIL.fullmatch(cell.tail)
    if not tail:
        return tex(cell.tail) + sign
    return (rf"${{}}\pm{{}}${tail[1]}" if tail[1] else "") + sign + (rf"~{tex(tail[2])}" if tail[2] else "")


def _sign(table: Table, row: Row, j: int) -> str:
    """The mark of significance behind the average over pairs."""
    sign = table.paper.signs.get((row.setting, row.learner, row.label), "")
    return (
        rf"\textsuperscript{{{tex(sign)}}}"
        if sign and table.columns[j].key == "average" and row.cells[j].value is not None
        else ""
    )


def _name(table: Table, row: Row) -> str:
    """A row's display name, where its label is the method's, with what is cited for it."""
    title = table.paper.titles.get(row.method) if row.label == row.method else None
    keys = table.paper.cites.get(row.method, ())
    return tex((title or row.label) + row.remark) + (rf"~\cite{{{','.join(keys)}}}" if keys else "")


def _sentence(note: str) -> str:
    """A note; a sign at its beginning is set as it is in the table."""
    signs = re.match(r"([*°]): ", note)
    return rf"\textsuperscript{{{tex(signs[1])}}} {tex(note[3:])}" if signs else tex(note)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}", '"': "''", "→": r"$\to$", "±": r"$\pm$", "×": r"$\times$",
    "–": "--", "—": "---", "≤": r"$\leq$", "≥": r"$\geq$", "…": r"\dots{}", "’": "'", "°": r"$\circ$",
    "λ": r"$\lambda$", "Ω": r"$\Omega$", "θ": r"$\theta$", "ρ": r"$\rho$",
}  # fmt: skip


def tex(text: str) -> str:
    """Text for LaTeX; a sign that pdfTeX might not know becomes a question mark, since a table has to compile."""

    def one(part: str) -> str:
        return "".join(LATEX.get(c, c if 32 <= ord(c) < 127 or 0xC0 <= ord(c) < 0x180 else "?") for c in part)

    return "-{}-".join(map(one, text.split("--")))  # an option's two hyphens are no dash
