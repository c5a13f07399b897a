"""Accuracy against the number of labelled target samples; of several runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from zoo.records import Run
from zoo.report import drawing
from zoo.report.labels import REFERENCES, gathered

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS, HEIGHT = 3, 1.4  # panels in a row, and inches of each


def draw(*runs: Run) -> Figure:
    """A panel for each method of the parameter family, against its references; bands: ± standard deviation over seeds.

    Raises
    ------
    BadInput
        As `gathered`.
    """
    amounts, curves = gathered(runs)
    references = [c for c in curves if c.label in REFERENCES]
    methods = [c for c in curves if c.label not in REFERENCES]
    of = len(methods)
    methods = methods[: ACROSS * drawing.fits(HEIGHT, 0.5)]
    down = math.ceil(len(methods) / ACROSS)
    figure = drawing.figure(2 * drawing.COLUMN, 0.5 + HEIGHT * down)
    grid = figure.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False)
    styles = dict(zip(REFERENCES, ((":", "black"), ("--", "#777777")), strict=True))
    x = range(len(amounts))
    for panel, method in zip(grid.flat, methods, strict=False):
        for c in (*references, method):
            line, colour = styles.get(c.label, ("-", drawing.COLOURS["parameter"]))
            mean, by = [c.mean(k) for k in amounts], [c.deviation(k) for k in amounts]
            band = [(m - d, m + d) if not math.isnan(d) else (m, m) for m, d in zip(mean, by, strict=True)]
            panel.fill_between(x, *zip(*band, strict=True), color=colour, alpha=0.2, linewidth=0)
            panel.plot(x, mean, line, color=colour, linewidth=1, marker="o", markersize=2)
        panel.set_title(drawing.drawable(method.label), loc="left", fontsize=7, fontweight="bold", pad=2)
        panel.set_xticks(list(x), [str(k) for k in amounts])
        panel.tick_params(labelbottom=True, labelleft=True)
        panel.set_xlabel("labelled samples a class")
        panel.set_ylabel("accuracy (%)")
    for panel in list(grid.flat)[len(methods) :]:
        panel.set_visible(False)
    shown = [grid.flat[0].plot([], [], styles[c.label][0], color=styles[c.label][1], lw=1)[0] for c in references]
    figure.legend(shown, [c.label for c in references], loc="outside upper right", ncols=2)
    omitted = drawing.left_out(of - len(methods), "method", f"the first {len(methods)}")
    said = f"accuracy of {len(methods)} methods against labelled target samples a class, of {len(runs)} runs"
    return drawing.shows(figure, said, omitted)
