"""Confusion matrices of the best rows: which classes are taken for which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.records import Record, Run
from zoo.report import drawing, rowcells
from zoo.report.beside import Beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERED, NAMED = 12, 45  # classes, up to which shares are written, and classes named
NOTHING = "no predictions of labelled samples are in the run folder; zoo run writes them, and results/ holds none"


def draw(run: Run, beside: Beside) -> Figure:
    """A matrix for each row: of each true class, the share that is predicted as each class, over all pairs and seeds.

    Raises
    ------
    BadInput
        There are no predictions, or the data, which alone hold the labels, are not here.
    """
    from sklearn.metrics import confusion_matrix

    classes: list[str] = []

    def counts(record: Record) -> np.ndarray | None:
        arrays = beside.predictions(record)
        if "test_predicted" not in arrays:
            return None
        truth = beside.truth(record)
        if not len(truth.test) or len(truth.test) != len(arrays["test_predicted"]):
            return None
        if classes and classes != [*truth.classes]:  # pairs whose sources know others
            return None
        classes[:] = truth.classes
        found: np.ndarray = confusion_matrix(truth.test, arrays["test_predicted"], labels=range(len(classes)))
        return found

    rows, others = rowcells.best(run, counts, NOTHING)
    n = len(classes)
    across = 3 if n <= NUMBERED else 2
    width = drawing.PAGE[0] / across
    figure, panels = drawing.panels(len(rows), across, min(width + 0.25, (drawing.PAGE[1] - 0.5) / 3), 0.5)
    for axes, (line, cells) in zip(panels, rows, strict=True):
        whole = np.sum(cells, axis=0)
        shares = 100 * whole / np.maximum(whole.sum(1, keepdims=True), 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
        drawing.title(
            axes, rowcells.name(line), f"{100 * np.trace(whole) / whole.sum():.1f} % right", width=width - 0.7
        )
        _ticks(axes, classes)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        for (i, j), share in np.ndenumerate(shares if n <= NUMBERED else np.empty((0, 0))):
            if share >= 0.5:
                colour = "white" if share > 60 else "black"
                axes.text(j, i, f"{share:.0f}", ha="center", va="center", size=min(6, 60 / n), color=colour)
    bar = figure.colorbar(image, ax=panels, orientation="horizontal", aspect=40, pad=0.02, shrink=0.6)
    bar.outline.set_visible(False)
    bar.set_label("% of the true class")
    pairs = len(run.meta["pairs"])
    said = f"confusion of {n} classes by {len(rows)} rows, over {pairs} pair{'s'[: pairs > 1]} and all seeds"
    return drawing.shows(figure, said, rowcells.beside(others, len(rows), run))


def _ticks(axes: Axes, classes: list[str]) -> None:
    n = len(classes)
    size = min(6.0, 130 / n)
    at = range(n) if n <= NAMED else range(0, n, -(-n // 10))
    names = [drawing.drawable(classes[i]) if n <= NAMED else str(i) for i in at]
    level = max(map(len, names)) * n < 40
    axes.set_xticks(at, names, rotation=0 if level else 90, fontsize=size)
    axes.set_yticks(at, names, fontsize=size)
    axes.tick_params(length=0, pad=1.5)
    axes.spines[:].set_visible(False)
