"""Mean accuracies with intervals, a panel for each learner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import drawing, points
from zoo.report.cells import Row
from zoo.report.drawing import drawable
from zoo.report.table import build

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(run: Run) -> Figure:
    """Mean accuracies, a panel for each learner; its reference is a line, its target_only the ceiling.

    The whiskers are Student's 95 % interval, over pairs, of the difference to the reference, so that a row whose
    whiskers do not touch the line differs from it; with fewer than five pairs, the standard deviation over seeds.
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
    figure = drawing.figure(drawing.COLUMN, 0.8 + sum(0.28 + 0.17 * len(rows) for rows in panels.values()))
    grid = figure.subplots(
        len(panels), sharex=True, squeeze=False, gridspec_kw={"height_ratios": [len(rows) for rows in panels.values()]}
    )
    lines: dict[str, Any] = {}
    for axes, (learner, rows) in zip(grid[:, 0], panels.items(), strict=True):
        means = [points.values(table, row, pairs).mean() for row in rows]
        places = np.arange(len(rows))
        axes.barh(places, means, height=0.7, color=[drawing.COLOURS.get(row.family, "black") for row in rows])
        reference = points.reference(run, table, rows[0])
        spans = np.abs(np.array([points.interval(table, row, reference, pairs) for row in rows]).T - means)
        axes.errorbar(means, places, xerr=spans, fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5, capthick=0.7)
        ceiling = points.find(table, "target_only", learner)
        for line, label, style in ((reference, name, "--"), (ceiling, "target_only", ":")):
            if line and points.done(table, line) >= {*pairs}:
                at = points.values(table, line, pairs).mean()
                lines[label] = axes.axvline(at, color="black", linestyle=style, linewidth=0.8, label=drawable(label))
        axes.set_yticks(places, [drawable(points.name(row)) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(drawable(learner), loc="left", fontsize=7, fontweight="bold", pad=2)
    grid[-1, 0].set_xlim(0, 100)
    over = points.over(pairs, table)
    whiskers = (
        f"95 % interval over pairs,\nof the difference to {drawable(name)}"
        if len(pairs) >= points.FEW
        else "± sd over seeds"
    )
    grid[-1, 0].set_xlabel(f"{points.measure(table)}, mean of {over}\nwhiskers: {whiskers}")
    drawing.legend(figure, [row for rows in panels.values() for row in rows], lines.values())
    return figure
