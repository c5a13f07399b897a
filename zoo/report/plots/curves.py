"""Learning curves: what the loss and its terms did while networks trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TERMS = {"source": "source loss", "target": "target loss", "omega": "Ω", "domain_accuracy": "domain accuracy"}


def draw(run: Run) -> Figure:
    """A row of panels for each trained method, one for each term of its loss: the mean over its cells, and their range.

    The domain accuracy is that of a method's domain classifier on a batch; it cannot tell the domains apart at 0.5.
    """
    rows = gathered(run)
    if not rows:
        raise BadInput("nothing to draw: no finished cell of the run has learning curves")
    terms = [t for t in TERMS if any(t in found for _, _, found in rows)]
    figure = drawing.figure(drawing.COLUMN * len(terms) / 2, 0.5 + 0.75 * len(rows))
    grid = figure.subplots(len(rows), len(terms), sharex=True, squeeze=False)
    for axes, (name, family, found) in zip(grid, rows, strict=True):
        for panel, term in zip(axes, terms, strict=True):
            if term not in found:
                panel.set_visible(False)
                continue
            steps, low, mean, high = found[term]
            colour = drawing.COLOURS.get(family, "black")
            panel.fill_between(steps, low, high, color=colour, alpha=0.25, linewidth=0)
            panel.plot(steps, mean, color=colour, linewidth=1)
            panel.locator_params(axis="y", nbins=3)
            if term == "domain_accuracy":
                panel.axhline(0.5, color="black", linestyle=":", linewidth=0.6)
                panel.set_ylim(0, 1)
        first = next(panel for panel in axes if panel.get_visible())
        first.set_title(drawing.drawable(name), loc="left", fontsize=7, fontweight="bold", pad=2)
    for column, term in zip(grid.T, terms, strict=True):
        last = [panel for panel in column if panel.get_visible()][-1]
        last.set_xlabel(f"step\n{TERMS[term]}")
        last.tick_params(labelbottom=True)
    return figure


def gathered(run: Run) -> list[tuple[str, str, dict[str, Any]]]:
    """For each row of a net: its name, its family, and by term the steps with the least, mean and largest value."""
    cells: dict[tuple[str, str, str], list[dict[str, list[float]]]] = {}
    for record in run.records:
        if record["status"] == "ok" and record.get("curves"):
            for label in run.labels(record):
                if not run.stale(record, label):
                    name = label if record["setting"] in ("none", "unsupervised") else f"{label}, {record['setting']}"
                    cells.setdefault((record["family"], name, record["learner"]), []).append(record["curves"])
    rows: list[tuple[str, str, dict[str, Any]]] = []
    for (family, name, learner), found in sorted(cells.items()):
        steps = found[0]["step"]
        same = [c for c in found if c["step"] == steps]
        values = {t: np.array([c[t] for c in same], float) for t in TERMS if all(t in c for c in same)}
        spans = {t: (steps, v.min(0), v.mean(0), v.max(0)) for t, v in values.items() if v.size and v.any()}
        rows += [(f"{name} ({learner})", family, spans)] if spans else []
    return rows
