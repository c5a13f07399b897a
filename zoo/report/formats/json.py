"""JSON: all that the table holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from zoo.report.cells import Row, Table


def render(table: Table) -> str:
    """A table as text, with one newline at its end."""

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
