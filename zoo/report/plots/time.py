"""Mean accuracy against the time of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.records import Run
from zoo.report import drawing, points
from zoo.report.drawing import drawable
from zoo.report.table import build

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^v"  # of learners
WIDE = 30  # rows, from which on the picture is as wide as a page


def draw(run: Run) -> Figure:
    """Mean accuracy against the time that a fit takes; the line joins what nothing is both faster and better than."""
    table = build(run)
    shown = [row for row in points.rows(table) if row.setting != "none" or row.label == points.reference_name(run)]
    shown = [row for row in shown if not row.setting.endswith("oracle") and points.cell(table, row, "time_s").value]
    pairs = points.common(table, shown)
    x = np.array([points.cell(table, row, "time_s").value for row in shown], float)
    y = np.array([points.values(table, row, pairs).mean() for row in shown])
    wide = len(shown) > WIDE
    height = 2.9 + (0.05 if wide else 0.1) * max(0, len(shown) - 15)  # room for the names
    figure = drawing.figure(drawing.PAGE[0] if wide else drawing.COLUMN, min(height, drawing.PAGE[1]))
    axes = figure.subplots()
    axes.set_xscale("log")
    learners = list(dict.fromkeys(row.learner for row in shown))
    for row, at, height in zip(shown, x, y, strict=True):
        marker = MARKERS[learners.index(row.learner) % len(MARKERS)]
        axes.plot(
            at, height, marker, color=drawing.COLOURS.get(row.family, "black"), ms=4, mec="white", mew=0.4, zorder=3
        )
    order = np.lexsort((-y, x))
    front = [i for k, i in enumerate(order) if y[i] > max(y[order[:k]], default=-np.inf)]
    (best,) = axes.step(x[front], y[front], where="post", color="black", lw=0.7, zorder=1, label="Pareto front")
    axes.margins(0.12)
    axes.set_xlabel("time of a fit (s), shared artefacts included")
    axes.set_ylabel(f"{points.measure(table)}, mean of {points.over(pairs, table)}")
    shapes = [
        axes.plot([], [], MARKERS[i % len(MARKERS)], color="black", mfc="none", ms=4, label=drawable(learner))[0]
        for i, learner in enumerate(learners)
    ]
    drawing.legend(figure, shown, [*shapes, best])
    named = zip(x, y, (drawable(points.name(row)) for row in shown), strict=True)
    unnamed = drawing.label(figure, axes, list(named), best)
    omitted = f"{unnamed} names for which there was no place; --methods chooses" if unnamed else ""
    said = f"mean accuracy of {len(shown)} rows against the time of a fit, over {points.over(pairs, table)}"
    return drawing.shows(figure, said, omitted)
