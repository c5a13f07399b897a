"""Reliability diagrams of the best rows: how often what is said with some confidence is right."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from zoo.records import Record, Run
from zoo.records.store import unpacked
from zoo.report import drawing, rowcells
from zoo.report.beside import Beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 15  # of the top score, as of the metric (Guo et al. 2017)
ACROSS, HEIGHT = 3, 2.45
MOST = 9
NOTHING = "no row has both predictions in the run folder and an ECE, which a classifier without scores has not"


def draw(run: Run, beside: Beside) -> Figure:
    """A panel for each row: accuracy against the top score in 15 bins, over all pairs and seeds.

    Below the diagonal a row is too sure of itself. Grey bars are shares of the samples, in %. The ECE is the mean of
    the cells', as in ``zoo table --metric ece``.

    Raises
    ------
    BadInput
        There are no predictions, or the data, which alone hold the labels, are not here.
    """
    from sklearn.calibration import calibration_curve

    def said(record: Record) -> tuple[np.ndarray, np.ndarray, float] | None:
        arrays, ece = beside.predictions(record), record["metrics"].get("ece")
        if ece is None or "test_log_scores" not in arrays:
            return None
        truth, guessed = beside.truth(record).test, arrays["test_predicted"]
        if len(truth) != len(guessed):
            return None
        return truth == guessed, np.clip(unpacked(arrays["test_log_scores"]).max(1), 0, 1), ece

    rows, others = rowcells.best(run, said, NOTHING, MOST)
    figure, panels = drawing.panels(len(rows), ACROSS, HEIGHT)
    for axes, (line, cells) in zip(panels, rows, strict=True):
        right, sure = (np.concatenate([cell[i] for cell in cells]) for i in (0, 1))
        accuracy, confidence = calibration_curve(right, sure, n_bins=BINS)
        colour = drawing.COLOURS.get(line.family, "black")
        axes.plot([0, 100], [0, 100], color="black", linestyle=":", linewidth=0.6)
        share, edges = np.histogram(sure, BINS, (0, 1))
        axes.bar(100 * edges[:-1], 100 * share / share.sum(), 100 / BINS, align="edge", color="#e4e4e4", linewidth=0)
        axes.plot(100 * confidence, 100 * accuracy, "-o", color=colour, ms=2.5, linewidth=1, clip_on=False)
        ece = f"ECE {100 * fmean(cell[2] for cell in cells):.1f} %"
        drawing.title(axes, rowcells.name(line), ece, width=drawing.PAGE[0] / ACROSS - 0.5)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_xlabel("top score (%)")
        axes.set_ylabel("accuracy; share of samples (%)")
    what = f"accuracy against the top score of {len(rows)} rows, over all pairs and seeds; bars: share of the samples"
    return drawing.shows(figure, what, rowcells.beside(others, len(rows), run))
