"""Pictures for papers, drawn from the table of a run: bars, gains over the reference, accuracy against time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput, printable
from zoo.records import Run
from zoo.report.compare import student
from zoo.report.lines import FAMILIES
from zoo.report.table import Row, Table, build

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLUMN = 3.4  # inches: a column of a paper in two columns
COLOURS = dict(zip(FAMILIES, ("#999999", "#E69F00", "#0072B2", "#009E73", "#CC79A7"), strict=True))  # Okabe and Ito
MARKERS = "osD^v"  # of learners
FEW = 5  # pairs, below which an interval over them leaves the picture
STYLE: dict[Any, Any] = {
    "font.size": 7, "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "legend.frameon": False, "figure.constrained_layout.use": True,
    "svg.hashsalt": "zoo", "pdf.fonttype": 42, "savefig.dpi": 300,
}  # fmt: skip
UNDATED: dict[str, Any] = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def render(run: Run | Sequence[Run], kind: str, suffix: str) -> bytes:
    """A picture as the bytes of a file; the same records give the same bytes.

    Parameters
    ----------
    run : one run; of kind 'labels' several
    kind : {'bars', 'gains', 'time', 'curves', 'labels'}
    suffix : {'.png', '.pdf', '.svg'}

    Raises
    ------
    BadInput
        There is no such kind or format, no row that could be drawn, or several runs of a kind that draws one.
    """
    from matplotlib import rc_context

    from zoo.report.curves import curves
    from zoo.report.labels import labels

    runs = [run] if isinstance(run, Run) else list(run)
    single = {"bars": bars, "gains": gains, "time": time, "curves": curves}
    if kind not in (*single, "labels"):
        raise BadInput(f"unknown kind of plot {kind!r}: it is one of {', '.join((*single, 'labels'))}")
    if kind != "labels" and len(runs) > 1:
        raise BadInput(f"--kind {kind} draws one run folder, got {len(runs)}; several are for labels")
    if suffix not in UNDATED:
        raise BadInput(f"unknown format {suffix!r} of a plot: the file ends in one of {', '.join(UNDATED)}")
    with rc_context(STYLE):
        file = io.BytesIO()
        figure = labels(runs) if kind == "labels" else single[kind](runs[0])
        figure.savefig(file, format=suffix[1:], metadata=UNDATED[suffix])
    return file.getvalue()


def bars(run: Run) -> Figure:
    """Mean accuracies, a panel for each learner; its reference is a line, its target_only the ceiling.

    The whiskers are Student's 95 % interval, over pairs, of the difference to the reference, so that a row whose
    whiskers do not touch the line differs from it; with fewer than five pairs, the standard deviation over seeds.
    """
    table = build(run)
    drawn = [row for row in _rows(table) if not row.setting.endswith("oracle")]
    pairs = _common(table, drawn)
    name = _reference_name(run)
    panels: dict[str, list[Row]] = {}
    for row in drawn:
        if row.label != name:
            panels.setdefault(_learner(run, row), []).append(row)
    if not panels:
        raise BadInput(f"nothing to draw: the run has no finished row but {name}")
    figure = _figure(COLUMN, 0.8 + sum(0.28 + 0.17 * len(rows) for rows in panels.values()))
    grid = figure.subplots(
        len(panels), sharex=True, squeeze=False, gridspec_kw={"height_ratios": [len(rows) for rows in panels.values()]}
    )
    lines: dict[str, Any] = {}
    for axes, (learner, rows) in zip(grid[:, 0], panels.items(), strict=True):
        means = [_values(table, row, pairs).mean() for row in rows]
        places = np.arange(len(rows))
        axes.barh(places, means, height=0.7, color=[COLOURS.get(row.family, "black") for row in rows])
        reference = _reference(run, table, rows[0])
        spans = np.abs(np.array([_interval(table, row, reference, pairs) for row in rows]).T - means)
        axes.errorbar(means, places, xerr=spans, fmt="none", ecolor="black", elinewidth=0.7, capsize=1.5, capthick=0.7)
        ceiling = _find(table, "target_only", learner)
        for line, label, style in ((reference, name, "--"), (ceiling, "target_only", ":")):
            if line and _done(table, line) >= {*pairs}:
                at = _values(table, line, pairs).mean()
                lines[label] = axes.axvline(at, color="black", linestyle=style, linewidth=0.8, label=drawable(label))
        axes.set_yticks(places, [drawable(_name(row)) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(drawable(learner), loc="left", fontsize=7, fontweight="bold", pad=2)
    grid[-1, 0].set_xlim(0, 100)
    over = _over(pairs, table)
    between = f"95 % interval over pairs,\nof the difference to {drawable(name)}"
    whiskers = between if len(pairs) >= FEW else "± sd over seeds"
    grid[-1, 0].set_xlabel(f"{_measure(table)}, mean of {over}\nwhiskers: {whiskers}")
    _legend(figure, [row for rows in panels.values() for row in rows], lines.values())
    return figure


def _measure(table: Table) -> str:
    """The table's metric as an axis names it."""
    return f"{'AUROC' if table.metric == 'auroc' else table.metric} (%)"


def gains(run: Run) -> Figure:
    """Heat map of the gains over the reference of the same learner, in points; negative ones are red."""
    table = build(run)
    pairs = [column for column in table.columns if ":" in column.key]
    rows = [
        row
        for row in _adapted(run, table)
        if _reference(run, table, row) and any(c.value is not None for c in row.cells[: len(pairs)])
    ]
    if not rows:
        raise BadInput(f"nothing to draw: no finished method has a {_reference_name(run)} of its learner beside it")
    values = np.array([[_gain(run, table, row, column.key) for column in pairs] for row in rows])
    heads, names = [drawable(c.head) for c in pairs], [drawable(f"{_name(row)} ({row.learner})") for row in rows]
    if tall := len(pairs) > max(15, len(rows)):  # a page is higher than wide
        values, heads, names = values.T, names, heads
    elif max(map(len, heads)) > 9:
        heads = [head.replace("→", "\n→") for head in heads]
    height, width = values.shape
    figure = _figure(
        max(COLUMN, 0.4 + 0.055 * max(map(len, names)) + 0.36 * width), 0.9 + 0.19 * height + (0.8 if tall else 0)
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
    bar.set_label(f"gain over {drawable(_reference_name(run))} (points)", loc="right")
    return figure


def time(run: Run) -> Figure:
    """Mean accuracy against the time that a fit takes; the line joins what nothing is both faster and better than."""
    table = build(run)
    shown = [row for row in _rows(table) if row.setting != "none" or row.label == _reference_name(run)]
    shown = [row for row in shown if not row.setting.endswith("oracle") and _cell(table, row, "time_s").value]
    pairs = _common(table, shown)
    x = np.array([_cell(table, row, "time_s").value for row in shown], float)
    y = np.array([_values(table, row, pairs).mean() for row in shown])
    figure = _figure(COLUMN, 2.9 + 0.1 * max(0, len(shown) - 15))  # room for the names
    axes = figure.subplots()
    axes.set_xscale("log")
    learners = list(dict.fromkeys(row.learner for row in shown))
    for row, at, height in zip(shown, x, y, strict=True):
        marker = MARKERS[learners.index(row.learner) % len(MARKERS)]
        axes.plot(at, height, marker, color=COLOURS.get(row.family, "black"), ms=4, mec="white", mew=0.4, zorder=3)
    order = np.lexsort((-y, x))
    front = [i for k, i in enumerate(order) if y[i] > max(y[order[:k]], default=-np.inf)]
    (best,) = axes.step(x[front], y[front], where="post", color="black", lw=0.7, zorder=1, label="Pareto front")
    axes.margins(0.12)
    axes.set_xlabel("time of a fit (s), shared artefacts included")
    axes.set_ylabel(f"{_measure(table)}, mean of {_over(pairs, table)}")
    shapes = [
        axes.plot([], [], MARKERS[i % len(MARKERS)], color="black", mfc="none", ms=4, label=drawable(learner))[0]
        for i, learner in enumerate(learners)
    ]
    _legend(figure, shown, [*shapes, best])
    _label(figure, axes, list(zip(x, y, (drawable(_name(row)) for row in shown), strict=True)), best)
    return figure


def drawable(text: str) -> str:
    """Text as a picture takes it: on one line, and no dollar begins a formula."""
    return printable(text).replace("$", r"\$")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _diverging() -> Any:
    from matplotlib import colormaps

    return colormaps["RdBu"].with_extremes(bad="#eeeeee")


def _legend(figure: Figure, rows: Iterable[Row], lines: Iterable[Any]) -> None:
    from matplotlib.patches import Patch

    known = {row.family for row in rows}
    handles = [Patch(color=colour, label=family) for family, colour in COLOURS.items() if family in known]
    figure.legend(handles=[*handles, *lines], loc="outside lower center", ncols=4, handlelength=1.5, columnspacing=1.2)


def _label(figure: Figure, axes: Axes, points: list[tuple[float, float, str]], front: Line2D) -> None:
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


def _rows(table: Table) -> list[Row]:
    """Rows with a finished pair."""
    return [row for _, rows in table.groups for row in rows if _done(table, row)]


def _adapted(run: Run, table: Table) -> list[Row]:
    """Rows that see the target, but not the labels that score them."""
    return [row for row in _rows(table) if row.setting != "none" and not row.setting.endswith("oracle")]


def _done(table: Table, row: Row) -> set[str]:
    """The pairs that a row finished in all seeds."""
    return {c.key for c, cell in zip(table.columns, row.cells, strict=True) if ":" in c.key and cell.ranked}


def _common(table: Table, rows: list[Row]) -> list[str]:
    """The pairs that all rows finished, so that their means can be compared."""
    if not rows:
        raise BadInput("nothing to draw: the run has no finished cells")
    common = [c.key for c in table.columns if all(c.key in _done(table, row) for row in rows)]
    if not common:
        raise BadInput("nothing to draw: no pair is finished by all rows; zoo status DIR says what is left")
    return common


def _cell(table: Table, row: Row, key: str) -> Any:
    return next(cell for c, cell in zip(table.columns, row.cells, strict=True) if c.key == key)


def _values(table: Table, row: Row, pairs: list[str]) -> np.ndarray:
    """The means over seeds, in %."""
    return np.array([100 * _cell(table, row, pair).value for pair in pairs])


def _gain(run: Run, table: Table, row: Row, pair: str) -> float:
    reference = _reference(run, table, row)
    values = [_cell(table, r, pair).value for r in (row, reference) if r]
    return float("nan") if None in values else 100 * (values[0] - values[1])


def _reference_name(run: Run) -> str:
    return str(run.meta["suite"].get("reference", "source_only"))


def _learner(run: Run, row: Row) -> str:
    """The learner whose reference a row is compared with: the base, where a method has its own."""
    return str(run.meta["suite"].get("base")) if row.learner == "own" else row.learner


def _reference(run: Run, table: Table, row: Row) -> Row | None:
    return _find(table, _reference_name(run), _learner(run, row))


def _find(table: Table, label: str, learner: str) -> Row | None:
    return next((row for row in _rows(table) if (row.label, row.learner) == (label, learner)), None)


def _interval(table: Table, row: Row, reference: Row | None, pairs: list[str]) -> tuple[float, float]:
    """Ends of a whisker; see `bars`."""
    values = _values(table, row, pairs)
    if len(pairs) < FEW:
        spread = 100 * (_cell(table, row, "average").std or 0)
        return values.mean() - spread, values.mean() + spread
    against = _values(table, reference, pairs) if reference else np.zeros(len(pairs))
    gain = student(values - against)
    assert gain.low is not None  # of FEW pairs at least
    assert gain.high is not None
    return against.mean() + gain.low, against.mean() + gain.high


def _name(row: Row) -> str:
    return row.label if row.setting in ("none", "unsupervised") else f"{row.label}, {row.setting}"


def _over(pairs: list[str], table: Table) -> str:
    of = sum(":" in column.key for column in table.columns)
    return f"{len(pairs)} pair{'s'[: of > 1]}" if len(pairs) == of else f"{len(pairs)} of {of} pairs"
