"""LaTeX, with booktabs."""

from __future__ import annotations

from zoo.report.cells import STUB, Cell, Table, ruled


def render(table: Table) -> str:
    """A table as text, with one newline at its end."""

    def show(cell: Cell) -> str:
        mark = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}[cell.mark]
        return mark % tex(cell.text) + tex(cell.tail)

    def line(cells: list[str]) -> str:
        return " & ".join(cells) + r" \\"

    width, wide = len(STUB) + len(table.columns), len(table.columns) > 8
    body = [line([*STUB, *(tex(column.head) for column in table.columns)])]
    for setting, rows in table.groups:
        body.append(r"\midrule[\heavyrulewidth]" if ruled(setting) else r"\midrule")
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
