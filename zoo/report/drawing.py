"""How all pictures look, and what they write: the style, the colours, the legend, names beside points."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
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
PAGE = 7.0, 9.2  # inches: what a page holds beside its margins
COLOURS = dict(zip(FAMILIES, ("#999999", "#E69F00", "#0072B2", "#009E73", "#CC79A7"), strict=True))  # Okabe and Ito
TEN = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000", "#999999", "#7F3C8D")
APART = 0.5  # points between names
DPI = 300
STYLE: dict[Any, Any] = {
    "font.size": 7, "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "legend.frameon": False, "figure.constrained_layout.use": True,
    "svg.hashsalt": "zoo", "pdf.fonttype": 42, "savefig.dpi": DPI,
}  # fmt: skip
UNDATED: dict[str, Any] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def drawable(text: str) -> str:
    """Text as a picture takes it: on one line, and no dollar begins a formula."""
    return printable(text).replace("$", r"\$")


@dataclass(frozen=True)
class Saved:
    """The bytes of a file with a picture, its width and height in inches, and what it shows, in words."""

    content: bytes
    size: tuple[float, float]
    shows: str


def saved(draw: Callable[[], Figure], suffix: str) -> Saved:
    """What `draw` draws as a file, in the style of all pictures and undated.

    Parameters
    ----------
    suffix : {'.png', '.pdf', '.svg'}
    """
    from matplotlib import rc_context

    lacking: list[str] = []
    if suffix not in UNDATED:
        raise BadInput(f"unknown format {suffix!r} of a plot: the file ends in one of {', '.join(UNDATED)}")
    with rc_context(STYLE), warnings.catch_warnings(record=True) as said:
        file, drawn = io.BytesIO(), draw()
        drawn.savefig(file, format=suffix[1:], metadata=UNDATED[suffix])
    for warning in said:
        if glyph := re.match(r"Glyph (\d+) ", str(warning.message)):
            lacking.append(chr(int(glyph[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    width, height = drawn.get_size_inches()
    letters = f"boxes for what the font lacks: {''.join(dict.fromkeys(lacking))}" if lacking else ""
    shown = "; ".join(filter(None, [str(drawn.get_label() or ""), letters]))
    return Saved(file.getvalue(), (float(width), float(height)), shown)


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; `shows` gives it its words."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)  # texts are as wide as in the file only at its resolution
    FigureCanvasAgg(figure)
    return figure


def shows(figure: Figure, what: str, *omitted: str) -> Figure:
    """The figure with what it shows, in words, and what it leaves out."""
    figure.set_label("; ".join([what, *filter(None, omitted)]))
    return figure


def fits(height: float, beside: float = 0.0) -> int:
    """How many rows of a height a page holds, with so much beside them."""
    return max(1, int((PAGE[1] - beside) / height))


def shade(i: int, of: int) -> Any:
    """The i-th of some colours that are told apart by the colour-blind, up to ten; beyond, of a continuous scale."""
    from matplotlib import colormaps

    return TEN[i] if of <= len(TEN) else colormaps["turbo"](i / (of - 1))


def panels(n: int, across: int, height: float, beside: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure of n panels of a height, at most so many beside one another, which are as wide as a page."""
    each, across = PAGE[0] / across, max(1, min(across, n))
    down = -(-n // across)
    made = figure(max(COLUMN, each * across), height * down + beside)
    grid = made.subplots(down, across, squeeze=False)
    for spare in grid.flat[n:]:
        spare.remove()
    return made, list(grid.flat[:n])


def title(axes: Axes, text: str, *more: str, width: float) -> None:
    """The name of a panel of a width, wrapped, and further lines."""
    lines = textwrap.wrap(
        drawable(text), max(8, int(width / 0.066)), break_long_words=False, break_on_hyphens=False
    ) or [""]
    axes.set_title("\n".join([*lines, *more]), loc="left", fontsize=6.5, fontweight="bold", pad=3)


def left_out(n: int, what: str, kept: str) -> str:
    """What is said where a page holds no more than some of n; nothing where it holds all.

    >>> left_out(3, "row", "the best")
    'left out: 3 rows, for want of room on a page, which holds the best; --methods chooses'
    """
    if n < 1:
        return ""
    return f"left out: {n} {what}{'s'[: n > 1]}, for want of room on a page, which holds {kept}; --methods chooses"


def legend(figure: Figure, rows: Iterable[Row | Line], lines: Iterable[Any]) -> None:
    """The families of the rows by colour, and some lines, below the axes."""
    from matplotlib.patches import Patch

    known = {row.family for row in rows}
    handles = [Patch(color=colour, label=family) for family, colour in COLOURS.items() if family in known]
    entries = [*handles, *lines]
    widest = 0.45 + 0.055 * max((len(str(h.get_label())) for h in entries), default=0)
    across = max(1, min(4, int(figure.get_figwidth() / widest)))
    figure.legend(handles=entries, loc="outside lower center", ncols=across, handlelength=1.5, columnspacing=1.2)


def label(figure: Figure, axes: Axes, points: list[tuple[float, float, str]], front: Line2D) -> int:
    """Write beside each point, at the nearest of many places where nothing is written or drawn yet.

    Returns how many have no such place, and so no name.
    """
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
    unnamed = 0
    for x, y, text in sorted(points, key=lambda p: -len(p[2])):  # the longest have the fewest places
        note = axes.annotate(text, (x, y), around[0], textcoords="offset points", va="center", size=6)
        for dx, dy in around:
            note.set(x=dx, y=dy, ha="left" if dx > 1 else "right" if dx < -1 else "center")
            box = note.get_window_extent().padded(APART * figure.dpi / 72)
            inside = all(axes.bbox.contains(*corner) for corner in box.corners())
            if inside and not any(box.overlaps(other) for other in taken):
                break
        else:
            note.remove()
            unnamed += 1
            continue
        taken.append(box)
        if np.hypot(dx, dy) > 10:
            line = {"arrowstyle": "-", "linewidth": 0.4, "color": "#777777", "shrinkA": 0, "shrinkB": 2}
            spot = axes.transData.transform((x, y))
            nearest = (np.clip(spot, box.min, box.max) - spot) * 72 / figure.dpi
            axes.annotate("", (x, y), tuple(nearest), textcoords="offset points", arrowprops=line)
    return unnamed
