"""What a table needs for a paper beside its numbers: display names, references, marks of significance, a label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.records import Run, main_metric
from zoo.report import compare
from zoo.report.cells import Paper, Table
from zoo.report.statistics.paired import LEVEL

BETTER, WORSE = "*", "°"


def dressed(table: Table, run: Run, methods: Mapping[str, Any], references: Sequence[str] = ()) -> Table:
    """A table with what it has in a paper.

    Parameters
    ----------
    run : with all rows, though the table may show some: a test of rows that were chosen by their accuracy is too sure
    methods : what is known of methods, by name
    references : keys that may be cited; none: no method is
    """
    suite, metric = run.meta["suite"], main_metric(run.meta)
    head, _, foot = table.caption.partition(". Data: ")
    said = f"{head}; {suite.get('protocol', 'holdout')} protocol." if foot else table.caption
    name = str(suite.get("name") or "run") + ("" if table.metric == metric else f"-{table.metric}")
    titles = {
        row.method: methods[row.method].title for _, rows in table.groups for row in rows if row.method in methods
    }
    cites = {
        m: [k for key in methods[m].cite.split(",") if (k := key.strip()) in references] for m in titles if references
    }
    signs = _signs(run, table)
    return replace(
        table,
        paper=Paper(
            label="tab:" + (re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "run"),
            caption=said,
            foot=f"Data: {foot}" if foot else "",
            titles=titles,
            cites={m: keys for m, keys in cites.items() if keys},
            signs=signs,
            notes=_meaning(run, signs),
        ),
    )


def _signs(run: Run, table: Table) -> dict[tuple[str, str, str], str]:
    """Rows that `zoo compare` calls significantly better or worse than their reference, and no others."""
    _, rows, _ = compare.gains(run, table.metric, expect=False)
    sure = [r for r in rows if r.trusted and r.p is not None and r.p < 1 - LEVEL]
    shown = {(row.setting, row.learner, row.label) for _, rows in table.groups for row in rows}
    found = {(r.setting, r.learner, r.label): BETTER if r.overall.mean > 0 else WORSE for r in sure}
    return {key: sign for key, sign in found.items() if key in shown}


def _meaning(run: Run, signs: Mapping[tuple[str, str, str], str]) -> list[str]:
    reference = run.meta["suite"].get("reference", "source_only")
    how = (
        f"than {reference} of the same learner (Wilcoxon over pairs, Holm over all rows, p < .05; pairs share domains)"
    )
    words = ((BETTER, "better"), (WORSE, "worse"))
    return [f"{sign}: significantly {word} {how}" for sign, word in words if sign in signs.values()]
