"""How all pictures look, and what they write: the style, the colours, the legend, names beside points."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput, printable
from zoo.report.cells import Row
from zoo.report.lines import FAMILIES, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMN = 3.4  # inches: a column of a paper in two columns
COLOURS = dict(zip(FAMILIES, ("#999999", "#E69F00", "#0072B2", "#009E73", "#CC79A7"), strict=True))  # Okabe and Ito
STYLE: dict[Any, Any] = {
    "font.size": 7, "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "legend.frameon": False, "figure.constrained_layout.use": True,
    "svg.hashsalt": "zoo", "pdf.fonttype": 42, "savefig.dpi": 300,
}  # fmt: skip
UNDATED: dict[str, Any] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def drawable(text: str) -> str:
    """Text as a picture takes it: on one line, and no dollar begins a formula."""
    return printable(text).replace("$", r"\$")


def saved(draw: Callable[[], Figure], suffix: str) -> bytes:
    """The bytes of a file with what `draw` draws, in the style of all pictures and undated.

    Parameters
    ----------
    suffix : {'.png', '.pdf', '.svg'}
    """
    from matplotlib import rc_context

    if suffix not in UNDATED:
        raise BadInput(f"unknown format {suffix!r} of a plot: the file ends in one of {', '.join(UNDATED)}")
    with rc_context(STYLE):
        file = io.BytesIO()
        draw().savefig(file, format=suffix[1:], metadata=UNDATED[suffix])
    return file.getvalue()


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def legend(figure: Figure, rows: Iterable[Row | Line], lines: Iterable[Any]) -> None:
    """The families of the rows by colour, and some lines, below the axes."""
    from matplotlib.patches import Patch

    known = {row.family for row in rows}
    handles = [Patch(color=colour, label=family) for family, colour in COLOURS.items() if family in known]
    figure.legend(handles=[*handles, *lines], loc="outside lower center", ncols=4, handlelength=1.5, columnspacing=1.2)


def label(figure: Figure, axes: Axes, points: list[tuple[float, float, str]], front: Line2D) -> None:
    """Write beside each point, at the nearest of many places where nothing is written or drawn yet."""
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()  # settles the layout, so that places are known in pixels
    figure.set_layout_engine("none")
    corners = axes.transData.transform(front.get_xydata())
    bends = np.column_stack([corners[1:, 0], corners[:-1, 1]])  # of its steps
    radius = 3 * figure.dpi / 72
    taken = [Bbox([spot - radius, spot + radius]) for spot in axes.transData.transform([p[:2] for p in points])]
    for ends in (zip(corners[:-1], bends, strict=True), zip(bends, corners[1:], strict=True)):
        taken += [Bbox([np.minimum(p, q) - 1, np.maximum(p, q) + 1]) for p, q in ends]
    angles = np.pi * np.arange(0, 2, 0.125)
    around = [(r * np.cos(t), r * np.sin(t)) for r in (5, 8, 12, 17, 24, 34, 46, 62, 80) for t in angles]
    for x, y, text in sorted(points, key=lambda p: -len(p[2])):  # the longest have the fewest places
        note = axes.annotate(text, (x, y), around[0], textcoords="offset points", va="center", size=6)
        for dx, dy in around:
            note.set(x=dx, y=dy, ha="left" if dx > 1 else "right" if dx < -1 else "center")
            box = note.get_window_extent()
            inside = all(axes.bbox.contains(*corner) for corner in box.corners())
            if inside and not any(box.overlaps(other) for other in taken):
                break
        else:  # as full as this, nothing helps
            dx, dy = around[0]
            note.set(x=dx, y=dy, ha="left")
        taken.append(note.get_window_extent())
        if np.hypot(dx, dy) > 10:
            line = {"arrowstyle": "-", "linewidth": 0.4, "color": "#777777", "shrinkA": 0, "shrinkB": 2}
            axes.annotate("", (x, y), (dx, dy), textcoords="offset points", arrowprops=line)
