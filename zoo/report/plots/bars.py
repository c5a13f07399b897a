"""Mean accuracies with intervals, a panel for each learner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import drawing, points
from zoo.report.cells import Row, Table
from zoo.report.drawing import drawable
from zoo.report.table import build

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAD, ROW, FOOT = 0.4, 0.17, 1.0  # inches: of a panel beside its rows, of a row, of the figure below its panels
Panel = tuple[str, list[Row]]


def draw(run: Run) -> Figure:
    """Mean accuracies, a panel for each learner; its reference is a line, its target_only the ceiling.

    The whiskers are Student's 95 % interval, over pairs, of the difference to the reference, so that a row whose
    whiskers do not touch the line differs from it; with fewer than five pairs, the standard deviation over seeds.
    What is higher than a page stands in two columns; what these do not hold is left out, the lowest means first.
    """
    table = build(run)
    kept = [row for row in points.rows(table) if not row.setting.endswith("oracle")]
    pairs = points.common(table, kept)
    name = points.reference_name(run)
    panels: dict[str, list[Row]] = {}
    for row in kept:
        if row.label != name:
            panels.setdefault(points.learner(run, row), []).append(row)
    if not panels:
        raise BadInput(f"nothing to draw: the run has no finished row but {name}")
    of = sum(map(len, panels.values()))
    means = {id(row): points.values(table, row, pairs).mean() for rows in panels.values() for row in rows}
    columns = laid_out(list(panels.items()), means)
    shown = [row for column in columns for _, rows in column for row in rows]
    figure = drawing.figure(drawing.COLUMN * len(columns), FOOT + max(map(_height, columns)))
    lines: dict[str, Any] = {}
    outer = figure.add_gridspec(1, len(columns))
    over = points.over(pairs, table)
    whiskers = f"95 % interval over pairs,\nof the difference to {drawable(name)}"
    whiskers = whiskers if len(pairs) >= points.FEW else "± sd over seeds"
    for i, column in enumerate(columns):
        heights = [HEAD / ROW + len(rows) for _, rows in column]
        inner = outer[i].subgridspec(len(column), 1, height_ratios=heights)
        for j, (learner, rows) in enumerate(column):
            axes = figure.add_subplot(inner[j])
            _bars(axes, run, table, rows, pairs)
            lines |= _lines(axes, run, table, rows[0], learner, pairs)
            again = " (continued)" if i and not j and learner == columns[0][-1][0] else ""
            axes.set_title(drawable(learner) + again, loc="left", fontsize=7, fontweight="bold", pad=2)
            last = j == len(column) - 1
            axes.set_xlabel(f"{points.measure(table)}, mean of {over}" + f"\nwhiskers: {whiskers}" * last)
    drawing.legend(figure, shown, lines.values())
    omitted = drawing.left_out(of - len(shown), "row", f"the {len(shown)} of the highest means")
    return drawing.shows(figure, f"means of {len(shown)} rows over {over}, by learner", omitted)


def laid_out(panels: list[Panel], means: dict[int, float]) -> list[list[Panel]]:
    """The panels in one column of a page, or in two, between which a panel may be parted."""
    room = drawing.PAGE[1] - FOOT
    while _height(panels) + HEAD + ROW > 2 * room:  # one more where a panel is parted, and what is rounded
        lowest = min((row for _, rows in panels for row in rows), key=lambda row: means[id(row)])
        panels = [(name, kept) for name, rows in panels if (kept := [row for row in rows if row is not lowest])]
    if _height(panels) <= room:
        return [panels]
    half = (_height(panels) + HEAD) / 2 + ROW
    columns: list[list[Panel]] = [[], []]
    for name, rows in panels:
        fit = int((min(half, room) - _height(columns[0]) - HEAD) / ROW) if not columns[1] else 0
        parts = (rows[: max(fit, 0)], rows[max(fit, 0) :])
        for column, part in zip(columns, parts, strict=True):
            if part:
                column.append((name, part))
    return [column for column in columns if column]


def _height(panels: list[Panel]) -> float:
    return sum(HEAD + ROW * len(rows) for _, rows in panels)


def _bars(axes: Axes, run: Run, table: Table, rows: list[Row], pairs: list[str]) -> None:
    means = [points.values(table, row, pairs).mean() for row in rows]
    places = np.arange(len(rows))
    axes.barh(places, means, height=0.7, color=[drawing.COLOURS.get(row.family, "black") for row in rows])
    reference = points.reference(run, table, rows[0])
    spans = np.abs(np.array([points.interval(table, row, reference, pairs) for row in rows]).T - means)
    axes.errorbar(means, places, xerr=spans, fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5, capthick=0.7)
    axes.set_yticks(places, [drawable(points.name(row)) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 100)


def _lines(axes: Axes, run: Run, table: Table, row: Row, learner: str, pairs: list[str]) -> dict[str, Any]:
    """The lines of the reference and the ceiling of a learner, by their labels."""
    found: dict[str, Any] = {}
    ceiling = points.find(table, "target_only", learner)
    for line, label, style in (
        (points.reference(run, table, row), points.reference_name(run), "--"),
        (ceiling, "target_only", ":"),
    ):
        if line and points.done(table, line) >= {*pairs}:
            at = points.values(table, line, pairs).mean()
            found[label] = axes.axvline(at, color="black", linestyle=style, linewidth=0.8, label=drawable(label))
    return found
