"""HTML, as notebooks show it."""

from __future__ import annotations

from html import escape

from zoo.report.cells import STUB, Cell, Table, ruled


def render(table: Table) -> str:
    """A table as text, with one newline at its end."""

    def show(cell: Cell) -> str:
        left, right = {"best": ("<b>", "</b>"), "second": ("<u>", "</u>"), "": ("", "")}[cell.mark]
        return f'<td style="text-align:right">{left}{escape(cell.text)}{right}{escape(cell.tail)}</td>'

    def left(text: str, tag: str = "td") -> str:
        return f'<{tag} style="text-align:left">{escape(text)}</{tag}>'

    width = len(STUB) + len(table.columns)
    heads = [left(head, "th") for head in STUB] + [f"<th>{escape(c.head)}</th>" for c in table.columns]
    out = [
        "<table>",
        f'<caption style="text-align:left">{escape(table.caption)}</caption>',
        f"<thead><tr>{''.join(heads)}</tr></thead>",
    ]
    for setting, rows in table.groups:
        rule = ' style="border-top:2px solid"' if ruled(setting) else ""
        out.append(f"<tbody{rule}>")
        out.append(f'<tr><th colspan="{width}" style="text-align:left"><i>{escape(setting)}</i></th></tr>')
        for row in rows:
            stub = "".join(map(left, (row.name, row.learner, row.family)))
            out.append(f"<tr>{stub}{''.join(map(show, row.cells))}</tr>")
        out.append("</tbody>")
    if table.notes:
        notes = "<br>".join(map(escape, table.notes))
        out.append(f'<tfoot><tr><td colspan="{width}" style="text-align:left">{notes}</td></tr></tfoot>')
    return "\n".join([*out, "</table>", ""])
