"""Gains against how far apart the domains are: proxy A-distance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import drawing, points
from zoo.report.beside import Beside
from zoo.report.table import build

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS, HEIGHT = 4, 1.4
FEWEST = 4  # pairs of which a rank correlation is said


def draw(run: Run, beside: Beside) -> Figure:
    """A panel for each method, a point for each pair: points over the reference of its learner against the A-distance.

    The distance is that of ``zoo distance --raw``: of the samples as base learners get them, without the suite's
    normalisation. The correlation is Spearman's over the pairs, which share domains.

    Raises
    ------
    BadInput
        No method has a reference, or the data are not here, so that there are no distances.
    """
    from scipy.stats import spearmanr

    table = build(run)
    pairs = [c.key for c in table.columns if ":" in c.key]
    rows = [row for row in points.adapted(run, table) if points.reference(run, table, row)]
    gains = {id(row): {p: g for p in pairs if not math.isnan(g := points.gain(run, table, row, p))} for row in rows}
    rows = [row for row in rows if gains[id(row)]]
    if not rows:
        raise BadInput(
            f"nothing to draw: no finished method has a {points.reference_name(run)} of its learner beside it"
        )
    far = beside.distances()
    of, most = len(rows), ACROSS * drawing.fits(HEIGHT, 0.4)
    if of > most:
        order = sorted(rows, key=lambda row: -abs(np.mean([*gains[id(row)].values()])))[:most]
        rows = [row for row in rows if any(row is other for other in order)]
    figure, panels = drawing.panels(len(rows), ACROSS, HEIGHT, 0.4)
    every = [g for row in rows for g in gains[id(row)].values()]
    margin = 0.08 * (max([*every, 0]) - min([*every, 0])) or 1.0
    for axes, row in zip(panels, rows, strict=True):
        known = [p for p in gains[id(row)] if p in far]
        x, y = [far[p] for p in known], [gains[id(row)][p] for p in known]
        axes.axhline(0, color="black", linestyle=":", linewidth=0.6)
        axes.scatter(x, y, s=8, color=drawing.COLOURS.get(row.family, "black"), linewidths=0)
        rho = spearmanr(x, y).statistic if len({*x}) > 1 and len({*y}) > 1 and len(known) >= FEWEST else math.nan
        said = "" if math.isnan(rho) else f"ρ = {rho:+.2f}".replace("-", "−")
        drawing.title(axes, f"{points.name(row)} ({row.learner})", *filter(None, [said]), width=1.3)
        axes.set_xlim(0, 2.05)
        axes.set_ylim(min([*every, 0]) - margin, max([*every, 0]) + margin)
        axes.locator_params(nbins=4)
        axes.set_xlabel("proxy A-distance")
        axes.set_ylabel("gain (points)")
    drawing.legend(figure, rows, [])
    omitted = drawing.left_out(of - len(rows), "row", f"the {len(rows)} of the largest mean gain or loss")
    reference = points.reference_name(run)
    return drawing.shows(
        figure, f"gains of {len(rows)} rows over {reference} against the A-distance of {len(pairs)} pairs", omitted
    )
