"""Running accuracy of a stream: what share of the samples so far were right as they came."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from zoo.records import Record, Run
from zoo.report import drawing, rowcells, stream
from zoo.report.beside import Beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS, HEIGHT, LEGEND = 3, 2.0, 0.6  # panels in a row, and inches of each and of what is beside them
MOST = 10  # rows, which is how many colours are told apart
SKIPPED = 20  # samples at the beginning, of which a share says little
NOTHING = "no row has its predictions in the run folder"


def draw(run: Run, beside: Beside) -> Figure:
    """A panel for each pair and a line for each of the best rows: the mean over seeds, and bands from least to most.

    Raises
    ------
    BadInput
        The run is of no stream; there are no predictions, or the data, which alone hold the labels, are not here.
    """
    suite = run.meta["suite"]

    def hits(record: Record) -> tuple[str, np.ndarray] | None:
        arrays = beside.predictions(record) if stream.streams(suite) else {}
        if "test_predicted" not in arrays:
            return None
        right = beside.truth(record).test == arrays["test_predicted"]  # both in the order in which samples came
        return record["cell"], np.cumsum(right) / np.arange(1, len(right) + 1)

    nothing = NOTHING if stream.streams(suite) else "the run is of no stream (protocol: stream)"
    rows, others = rowcells.best(run, hits, nothing, MOST)
    pairs = run.meta["pairs"][: ACROSS * drawing.fits(HEIGHT, LEGEND)]
    figure, panels = drawing.panels(len(pairs), ACROSS, HEIGHT, LEGEND)
    for axes, pair in zip(panels, pairs, strict=True):
        for i, (line, cells) in enumerate(rows):
            there = {r["cell"] for r in line.pairs.get(pair, {}).values()}
            found = [100 * so_far for cell, so_far in cells if cell in there]
            if not found:
                continue
            x, y = np.arange(len(found[0]))[SKIPPED:] + 1, np.array(found)[:, SKIPPED:]
            colour, reference = drawing.shade(i, len(rows)), line.family == "baseline"
            axes.fill_between(x, y.min(0), y.max(0), color=colour, alpha=0.12, linewidth=0)
            axes.plot(x, y.mean(0), "--" if reference else "-", color=colour, linewidth=1)
        drawing.title(axes, pair.replace(":", "→"), width=drawing.PAGE[0] / ACROSS - 0.5)
        axes.set_xlabel("samples so far")
        axes.set_ylabel("accuracy so far (%)")
        axes.locator_params(axis="x", nbins=4)
    styles = ["--" if line.family == "baseline" else "-" for line, _ in rows]
    shown = [panels[0].plot([], [], s, color=drawing.shade(i, len(rows)), lw=1)[0] for i, s in enumerate(styles)]
    labels = Counter(line.label for line, _ in rows)
    names = [drawing.drawable(rowcells.name(line) if labels[line.label] > 1 else line.label) for line, _ in rows]
    figure.legend(shown, names, loc="outside lower center", ncols=4 if max(map(len, names)) < 20 else 2)
    order = stream.ORDERS.get(suite.get("order") or "", "")
    what = f"accuracy over the samples so far of {len(rows)} rows, in a stream that comes {order}"
    omitted = drawing.left_out(len(run.meta["pairs"]) - len(pairs), "pair", f"the first {len(pairs)}")
    return drawing.shows(figure, what, rowcells.beside(others, len(rows), run), omitted)
