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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

HEAD, ROW, LEAST = 1.1, 0.19, 0.125  # inches: beside the rows, of a row, and of one where there are many


def draw(run: Run) -> Figure:
    """Heat map of the gains over the reference of the same learner, in points; negative ones are red.

    Many rows of few pairs stand in two columns. What a page does not hold is left out, the smallest gains and losses
    first.
    """
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
    most = drawing.PAGE[1] - HEAD
    order, of = np.arange(len(rows)), len(rows)
    names = [drawable(f"{points.name(row)} ({row.learner})") for row in rows]
    width = 0.4 + 0.055 * max(map(len, names)) + 0.36 * len(pairs)
    across = 2 if of * ROW > most and 2 * width <= drawing.PAGE[0] + 1 else 1
    if tall := len(pairs) > max(15, of):  # a page is higher than wide
        room = int((drawing.PAGE[0] - 1.4) / 0.36)
    else:
        room = across * int(most / (ROW if across == 2 else LEAST))
        heads = [head.replace("→", "\n→") for head in heads] if max(map(len, heads)) > 9 else heads
    if of > room:
        mean = np.nanmean(np.abs(values), axis=1)
        order = np.sort(np.argsort(-mean, kind="stable")[:room])
    values, names = values[order], [names[i] for i in order]
    each = -(-len(names) // across)
    row = ROW if each * ROW <= most else most / each
    top = np.nanmax(np.abs(values), initial=1.0)
    if tall:
        height = min(0.9 + 0.19 * len(pairs) + 0.8, drawing.PAGE[1])
        figure = drawing.figure(max(drawing.COLUMN, 1.4 + 0.36 * len(names)), height)
        image = _map(figure.subplots(), values.T, names, heads, top, rotation=90)
    else:
        figure = drawing.figure(max(drawing.COLUMN, across * width), HEAD + row * each)
        for i, axes in enumerate(figure.subplots(1, across, squeeze=False)[0]):
            part = slice(i * each, (i + 1) * each)
            image = _map(axes, values[part], heads, names[part], top)
            axes.set_ylim(each - 0.5, -0.5)  # rows of one height in both columns
    bar = figure.colorbar(image, ax=figure.axes, orientation="horizontal", aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label(f"gain over {drawable(points.reference_name(run))} (points)", loc="right")
    omitted = drawing.left_out(of - len(names), "row", f"the {len(names)} of the largest mean size of gain")
    said = f"gains of {len(names)} rows over {points.reference_name(run)} on {len(pairs)} pairs, in points"
    return drawing.shows(figure, said, omitted)


def _map(
    axes: Axes, values: np.ndarray, heads: list[str], names: list[str], top: float, rotation: float = 0
) -> AxesImage:
    """One heat map with its numbers."""
    height, width = values.shape
    axes.spines[:].set_visible(False)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=_diverging(), vmin=-top, vmax=top, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")
        axes.text(j, i, text, ha="center", va="center", size=6, color="white" if abs(value) > 0.65 * top else "black")
    axes.set_xticks(range(width), heads, rotation=rotation)
    axes.set_yticks(range(height), names)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("method (learner)" if rotation else "source→target")
    axes.set_ylabel("source→target" if rotation else "method (learner)")
    axes.hlines(np.arange(1, height) - 0.5, -0.5, width - 0.5, color="white", linewidth=0.8)
    axes.vlines(np.arange(1, width) - 0.5, -0.5, height - 0.5, color="white", linewidth=0.8)
    return image


def _diverging() -> Any:
    from matplotlib import colormaps

    return colormaps["RdBu"].with_extremes(bad="#eeeeee")
