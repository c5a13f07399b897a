"""A table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.report.cells import STUB, Table, ruled

if TYPE_CHECKING:
    from rich.console import RenderableType


def rich(table: Table) -> RenderableType:
    """A table for the terminal."""
    from rich import box
    from rich.console import Group
    from rich.padding import Padding
    from rich.rule import Rule
    from rich.table import Table as Grid
    from rich.text import Text

    table = table.printable()
    styles = {"best": "bold", "second": "underline", "": ""}
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 0), pad_edge=False, header_style="")
    for head in STUB[:2]:
        grid.add_column(head)
    for column in table.columns:
        # Heads break where they have a joint, so that columns are as narrow as their numbers.
        head = column.head.replace("→", "\n→") if len(column.head) > 9 else column.head
        grid.add_column(Text(head.replace(" ", "\n"), justify="right"), justify="right", no_wrap=True)
    for setting, rows in table.groups:
        if ruled(setting):
            grid.add_row(*(Rule(style="") for _ in grid.columns))
        else:
            grid.add_section()
        grid.add_row(Text(setting, style="italic"))
        for row in rows:
            texts = [Text.assemble((c.text, styles[c.mark]), c.tail) for c in row.cells]
            grid.add_row(Text(f" {row.name}"), Text(row.learner), *texts)
    notes = Text("\n".join(table.notes), style="dim")
    return Group(Text(table.caption), Padding(grid, (1, 0)), notes)
