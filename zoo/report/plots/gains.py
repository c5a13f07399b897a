"""Gains over the reference of the same learner, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import drawing, points
from zoo.report.drawing import drawable
from zoo.report.table import build

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(run: Run) -> Figure:
    """Heat map of the gains over the reference of the same learner, in points; negative ones are red."""
    table = build(run)
    pairs = [column for column in table.columns if ":" in column.key]
    rows = [
        row
        for row in points.adapted(run, table)
        if points.reference(run, table, row) and any(c.value is not None for c in row.cells[: len(pairs)])
    ]
    if not rows:
        raise BadInput(
            f"nothing to draw: no finished method has a {points.reference_name(run)} of its learner beside it"
        )
    values = np.array([[points.gain(run, table, row, column.key) for column in pairs] for row in rows])
    heads = [drawable(c.head) for c in pairs]
    names = [drawable(f"{points.name(row)} ({row.learner})") for row in rows]
    if tall := len(pairs) > max(15, len(rows)):  # a page is higher than wide
        values, heads, names = values.T, names, heads
    elif max(map(len, heads)) > 9:
        heads = [head.replace("→", "\n→") for head in heads]
    height, width = values.shape
    figure = drawing.figure(
        max(drawing.COLUMN, 0.4 + 0.055 * max(map(len, names)) + 0.36 * width),
        0.9 + 0.19 * height + (0.8 if tall else 0),
    )
    axes = figure.subplots()
    axes.spines[:].set_visible(False)
    top = np.nanmax(np.abs(values), initial=1.0)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=_diverging(), vmin=-top, vmax=top, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")
        axes.text(j, i, text, ha="center", va="center", size=6, color="white" if abs(value) > 0.65 * top else "black")
    axes.set_xticks(range(width), heads, rotation=90 if tall else 0)
    axes.set_yticks(range(height), names)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.hlines(np.arange(1, height) - 0.5, -0.5, width - 0.5, color="white", linewidth=0.8)
    axes.vlines(np.arange(1, width) - 0.5, -0.5, height - 0.5, color="white", linewidth=0.8)
    bar = figure.colorbar(image, ax=axes, orientation="horizontal", aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(f"gain over {drawable(points.reference_name(run))} (points)", loc="right")
    return figure


def _diverging() -> Any:
    from matplotlib import colormaps

    return colormaps["RdBu"].with_extremes(bad="#eeeeee")
