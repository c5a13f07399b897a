"""Critical differences: mean ranks over pairs, and bars over rows that Nemenyi's test does not tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import BadInput
from zoo.records import Run, main_metric
from zoo.report import compare, drawing
from zoo.report.drawing import drawable
from zoo.report.statistics.paired import FEWEST

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW, BESIDE = 0.14, 0.9  # inches


def draw(run: Run) -> Figure:
    """The diagram of Demšar (2006, figure 1): rows by mean rank, 1 the best; a bar joins what may rank alike.

    Rows are those other than oracle ones that finished all pairs, one beside each rank, as their names need the room.
    """
    found = compare.ranked(run, main_metric(run.meta))
    if found is None or found[2].difference is None:
        raise BadInput(f"nothing to draw: ranks are tested of {FEWEST} pairs and 3 rows that finished the same pairs")
    rows, pairs, ranks = found
    difference = ranks.difference
    assert difference is not None
    order = sorted(range(len(rows)), key=lambda i: (ranks.mean[i].mean, rows[i].label))
    order = order[: drawing.fits(ROW, BESIDE)]
    place = {row: at for at, row in enumerate(order)}
    means = [ranks.mean[i].mean for i in order]
    several = len({row.learner for row in rows}) > 1
    shown = [drawable(f"{rows[i].label} ({rows[i].learner})" if several else rows[i].label) for i in order]
    width = max(drawing.COLUMN, 1.9 + 0.062 * max(map(len, shown)))
    figure = drawing.figure(width, BESIDE + ROW * len(order))
    axes = figure.subplots()
    low, high = 1.0, float(max(2, round(max(means) + 0.5), len(order)))
    for at, row in enumerate(order):
        colour = drawing.COLOURS.get(rows[row].family, "black")
        axes.plot([means[at]], [at], "o", color=colour, ms=3.5, zorder=3)
        axes.hlines(at, low, means[at], color="#dddddd", linewidth=0.5, zorder=0)
    groups = [sorted(place[i] for i in clique if i in place) for clique in ranks.cliques]
    groups = [group for i, group in enumerate(groups) if len(group) > 1 and group not in groups[:i]]
    columns: list[int] = []  # the last row of each column of bars, so that no two bars overlap
    step = 0.03 * (high - low)
    for group in sorted(groups):
        column = next((c for c, last in enumerate(columns) if last < group[0]), len(columns))
        columns[column : column + 1] = [group[-1]]
        ends = group[0] - 0.3, group[-1] + 0.3
        axes.vlines(high + step * (column + 1), *ends, color="black", linewidth=1.6)
    axes.set_yticks(range(len(order)), shown)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(order) - 0.5, -2)
    axes.set_ylabel("method (learner)" if several else "method")
    axes.set_xlim(low, high + step * (len(columns) + 0.5))
    axes.set_xticks([t for t in axes.get_xticks() if low <= t <= high])
    axes.spines["bottom"].set_bounds(low, high)
    axes.hlines(-1, low, min(low + difference, high), color="black", linewidth=1.6)
    wide = difference > (high - low) / 2  # its name stands above it, beside it is no room
    x, y = (low, -1.2) if wide else (low + difference + step, -1.0)
    axes.text(x, y, f"critical difference {difference:.1f}", va="bottom" if wide else "center", size=6)
    axes.set_xlabel(f"mean rank over {len(pairs)} pairs, 1 the best\nbars: not told apart (Nemenyi)")
    drawing.legend(figure, [rows[i] for i in order], [])
    omitted = drawing.left_out(len(rows) - len(order), "row", f"the {len(order)} of the best mean ranks among all")
    return drawing.shows(
        figure, f"mean ranks of {len(rows)} rows over {len(pairs)} pairs, and critical difference", omitted
    )
