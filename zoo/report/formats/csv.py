"""CSV, long, for machines: a line for each row and column, with value, std, n, status and mark.

Values are as in the records (an accuracy is a fraction), pairs are written ``source:target``.
"""

from __future__ import annotations

import csv
import io

from zoo.report.cells import Table

FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # a spreadsheet takes the wide signs too


def render(table: Table) -> str:
    """A table as text, with one newline at its end."""
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


def text_cell(text: str) -> str:
    """Text for a cell of a CSV file, which a spreadsheet would run as a formula if it began as one.

    >>> text_cell("=1+1"), text_cell("coral")
    ("'=1+1", 'coral')
    """
    return f"'{text}" if text.lstrip().startswith(FORMULAS) else text
