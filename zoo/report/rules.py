"""Methods × rules of selection, as one compact table of averages over pairs: a pure function of the records."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from zoo.records import Run, main_metric
from zoo.report.caption import caption
from zoo.report.cells import LOWER, PERCENT, Cell, Column, Row, Table
from zoo.report.lines import Line, lines
from zoo.report.notes import notes
from zoo.report.selection import NA, ORACLE, asked, said, searches, under
from zoo.report.table import averaged, finished, marked, planned_seeds


def build(run: Run, metric: str = "") -> Table:
    """Each row's average over pairs, a column for each rule; the mean of the seeds that a table of pairs would show.

    Raises
    ------
    BadInput
        As `zoo.report.table.build` with these rules.
    """
    metric = metric or main_metric(run.meta)
    names = asked(run, ["all"])
    pairs, stale = run.meta["pairs"], lines(run)[1]
    rows, chosen = under(run, names, metric)
    planned, drawn = planned_seeds(run, rows)
    n = drawn or 1
    by_row: dict[tuple[str, str, str], dict[str, Line]] = {}
    for search in searches(run):
        by_row[search.line.setting, search.line.learner, search.line.label] = dict.fromkeys(names, search.line)
    for line in rows:
        if line.rule:
            by_row[line.setting, line.learner, line.label][line.rule] = line
    groups: list[tuple[str, list[Row]]] = []
    for setting, members in groupby(by_row.items(), key=lambda item: item[0][0]):
        filled, group = [], list(members)
        done = [finished(line, pairs, metric, planned) for _, rule in group for line in rule.values()]
        common = [p for p in pairs if all(p in d for d in done if d)]
        for (_, learner, label), by_rule in group:
            first = by_rule[names[0]]
            cells: list[Cell] = []
            for rule in names:
                line = by_rule[rule]
                cell = _average(line, common, metric, planned, n, len(pairs))
                cells.append(replace(cell, ranked=False) if rule == ORACLE and line.rule else cell)
            filled.append(Row(setting, learner, first.family, label, first.method, cells))
        ranked = setting != "none" and not setting.endswith("oracle")
        groups.append((setting, marked(filled, metric) if ranked else filled))
    unit = "%" if metric in PERCENT else ""
    title = f"{metric.replace('_', ' ')}{' in %' if unit else ''}, averages over {len(pairs)} pairs, n = {n}"
    text = caption(run.meta, title, [line.learner for line in rows], {}, said(run, names))
    table = Table(text, metric, [Column(rule, rule, unit) for rule in names], groups, [])
    better = "lower" if metric in LOWER else "higher"
    heads = {pair: pair.replace(":", "→") for pair in pairs}
    kept = [note for note in chosen if not note.startswith("time")]
    return replace(table, notes=[*kept, *notes(run, table, rows, stale, heads, better)])


def _average(line: Line, common: list[str], metric: str, planned: set[int], n: int, of: int) -> Cell:
    if common and all(pair in finished(line, common, metric, planned) for pair in common):
        return averaged(line, common, metric, planned, n, of)
    statuses = {r["status"] for by_seed in line.pairs.values() for r in by_seed.values()} - {"ok"}
    return Cell(text="/".join(sorted(statuses)) or NA)
