"""Weights that instance methods give to source samples, with the effective sample size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.records import Record, Run
from zoo.report import drawing, rowcells
from zoo.report.beside import NO_FEATURES, Beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS, HEIGHT = 3, 1.75
LEAST = 1e-3  # below which a weight is drawn there
Weighed = tuple[str, np.ndarray]


def draw(run: Run, beside: Beside) -> Figure:
    """A panel for each instance method: its weights by size, a line for each pair and seed; their mean is 1.

    The effective sample size (Σw)²/Σw² is a share of the source's: at 10 % the base classifier learns from as much as
    a tenth of the samples would tell it. Weights below a thousandth are drawn there.

    Raises
    ------
    BadInput
        No weights were kept.
    """

    def weighed(record: Record) -> Weighed | None:
        w = beside.seen(record).get("train_weights")
        return None if w is None else (f"{record['source']}:{record['target']}", np.sort(w[:, 0].astype(float))[::-1])

    most = ACROSS * drawing.fits(HEIGHT, 0.4)
    rows, others = rowcells.best(run, weighed, NO_FEATURES.format("an instance method"), most)
    figure, panels = drawing.panels(len(rows), ACROSS, HEIGHT, 0.4)
    pairs = list(dict.fromkeys(pair for _, cells in rows for pair, _ in cells))
    colours = {pair: drawing.shade(i, len(pairs)) for i, pair in enumerate(pairs)}
    for axes, (line, cells) in zip(panels, rows, strict=True):
        sizes = [100 * ess(w) for _, w in cells]
        for pair, w in cells:
            x = 100 * (np.arange(len(w)) + 0.5) / len(w)
            axes.plot(x, np.maximum(w, LEAST), color=colours[pair], linewidth=0.8)
        axes.axhline(1, color="black", linestyle=":", linewidth=0.6)
        axes.set_yscale("log")
        low, high = min(sizes), max(sizes)
        said = f"{low:.0f} %" if round(low) == round(high) else f"{low:.0f} to {high:.0f} %"
        drawing.title(axes, rowcells.name(line), f"effective sample size {said}", width=drawing.PAGE[0] / ACROSS - 0.6)
        axes.set_xlabel("source samples, heaviest first (%)")
        axes.set_ylabel("weight")
    if len(pairs) <= 12:
        handles = [axes.plot([], [], color=colours[p], label=drawing.drawable(p.replace(":", "→")))[0] for p in pairs]
        longest = 0.45 + 0.055 * max(map(len, pairs))
        across = max(1, int(figure.get_figwidth() / longest))
        figure.legend(handles=handles, loc="outside lower center", ncols=across, handlelength=1.5)
    what = f"source weights of {len(rows)} methods, a line a pair and seed, with the effective sample size"
    return drawing.shows(figure, what, rowcells.beside(others, len(rows), run))


def ess(w: np.ndarray) -> float:
    """The effective sample size (Σw)²/Σw² as a share of the samples.

    >>> ess(np.ones(7)), ess(np.array([1.0, 0, 0, 0]))
    (1.0, 0.25)
    """
    return float(w.sum() ** 2 / (len(w) * (w**2).sum()))
