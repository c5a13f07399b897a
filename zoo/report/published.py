"""Published figures under a table, in its columns, each method's above the difference of ours to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from statistics import fmean

from zoo.published import Figure
from zoo.records import Run
from zoo.report.cells import PERCENT, Cell, Row, Table
from zoo.report.lines import Line, lines

# What papers call a baseline by its classifier is source_only of that learner here. All other names are ours.
CLASSIFIERS = {"1nn": "1nn", "svm": "linear_svm"}
SETTINGS = ("none", "unsupervised", "oracle")  # no published figure here had a few target labels


def beside(table: Table, run: Run, figures: Iterable[Figure]) -> Table:
    """The table with a group for each source of figures of the run's data set, pairs and metric.

    A method's figures are a row of family "published"; below it stands, for each row of ours of that method, ours minus
    theirs, in a row of family "difference" that says what else differs. A method that we did not run has no such row.
    """
    wanted = [
        f
        for f in figures
        if (f.dataset, f.metric) == (run.meta["suite"].get("dataset"), table.metric) and f.pair in run.meta["pairs"]
    ]
    if not wanted:
        none = f"published: no {table.metric} of {run.meta['suite'].get('dataset')} on these pairs"
        return replace(table, notes=[*table.notes, none])
    ours, _ = lines(run)
    groups, notes = [], []
    for source in dict.fromkeys(f.source for f in wanted):
        title = f"published: {source.reference}, {source.split}{', leaks' if source.leaks else ''}"
        methods: dict[str, list[Figure]] = {}
        for figure in wanted:
            if figure.source == source:
                methods.setdefault(figure.method, []).append(figure)
        groups.append((title, [row for known in methods.values() for row in _rows(title, table, run, known, ours)]))
        notes.append(f"{title}: {source.representation}; {source.protocol}")
        for note in dict.fromkeys(f.note for known in methods.values() for f in known if f.note):
            who = [method for method, known in methods.items() if known[0].note == note]
            notes.append(f"{source.reference}{'' if len(who) == len(methods) else ', ' + ', '.join(who)}: {note}")
        cautions: dict[str, list[str]] = {}
        for f in wanted:
            if f.source == source and f.caution:
                cautions.setdefault(f.caution, []).append(f.pair.replace(":", "→"))
        notes += [f"{', '.join(dict.fromkeys(pairs))}: {caution}" for caution, pairs in cautions.items()]
    legend = ["difference: ours minus published, of methods that we ran; in parentheses what is not the same in both"]
    if any(f.source.leaks for f in wanted):
        legend.append("leaks: labels of the target chose parameters or epochs, so the figures are too high to compare")
    return replace(table, groups=[*table.groups, *groups], notes=[*table.notes, *legend, *notes])


def counterparts(figure: Figure, run: Run, ours: Iterable[Line]) -> list[Line]:
    """Our rows of a published method: networks beside networks, base learners beside base learners."""
    net = run.meta["suite"].get("net")
    classifier = CLASSIFIERS.get(figure.method)

    def same(line: Line) -> bool:
        if classifier:
            return (line.method, line.learner) == ("source_only", classifier)
        shallow = figure.learner in ("own", *CLASSIFIERS.values())
        return line.method == figure.method and shallow == (line.learner != net)

    return [line for line in ours if line.setting.removeprefix("source-free ") in SETTINGS and same(line)]


def _rows(title: str, table: Table, run: Run, known: list[Figure], ours: list[Line]) -> Iterator[Row]:
    theirs = {figure.pair: figure.value for figure in known}
    first = known[0]
    yield Row(title, first.learner, "published", first.method, first.method, _cells(table, theirs, "{:.{}f}"))
    for line in counterparts(first, run, ours):
        means = {pair: line.mean(pair, table.metric) for pair in theirs}
        difference = {pair: mean - theirs[pair] for pair, mean in means.items() if mean is not None}
        if difference:
            other = _other(first, line, run)
            remark = f" (other {', '.join(other)})" if other else ""
            cells = _cells(table, difference, "{:+.{}f}")
            yield Row(title, line.learner, "difference", line.label, line.method, cells, remark)


def _other(figure: Figure, line: Line, run: Run) -> list[str]:
    """What is not the same in a published figure and in ours."""
    suite, source = run.meta["suite"], figure.source
    steps = suite.get("normalise") or []
    steps = (steps,) if isinstance(steps, str) else tuple(steps)
    differs = {
        "protocol": source.split != suite.get("protocol"),
        "normalisation": bool(source.normalise) and source.normalise != steps,
        "learner": figure.learner not in ("own", line.learner.split("@")[0]),
        "input": not source.same_input or "@" in line.learner,
    }
    return [what for what, yes in differs.items() if yes]


def _cells(table: Table, values: dict[str, float], form: str) -> list[Cell]:
    """Cells in the columns of the table; the average is over the pairs that there are."""
    scale, digits = (100, 1) if table.metric in PERCENT else (1, 3)

    def show(value: float) -> str:
        return form.format(round(scale * value, digits) + 0.0, digits)  # + 0.0: never -0.0

    of = sum(":" in column.key for column in table.columns)
    tail = "" if len(values) == of else f" ({len(values)}/{of} pairs)"
    average = fmean(values.values())
    found = {pair: Cell(value, text=show(value)) for pair, value in values.items()}
    found["average"] = Cell(average, n=len(values), text=show(average), tail=tail)
    return [found.get(column.key, Cell()) for column in table.columns]
