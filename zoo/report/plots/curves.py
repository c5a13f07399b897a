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

ACROSS, HEIGHT = 4, 1.15  # panels in a row, and inches of each


def draw(run: Run) -> Figure:
    """Panels for each trained method, one for each term of its loss: the mean over its cells, and their range.

    The domain accuracy is that of a method's domain classifier on a batch; it cannot tell the domains apart at 0.5.
    What a page does not hold is left out, the last methods first.
    """
    rows = gathered(run)
    if not rows:
        raise BadInput("nothing to draw: no finished cell of the run has learning curves")
    room, of = ACROSS * drawing.fits(HEIGHT), len(rows)
    while sum(len(found) for _, _, found in rows) > room:
        rows = rows[:-1]
    drawn = [(name, family, term, found[term]) for name, family, found in rows for term in TERMS if term in found]
    figure, panels = drawing.panels(len(drawn), ACROSS, HEIGHT)
    for panel, (name, family, term, (steps, low, mean, high)) in zip(panels, drawn, strict=True):
        colour = drawing.COLOURS.get(family, "black")
        panel.fill_between(steps, low, high, color=colour, alpha=0.25, linewidth=0)
        panel.plot(steps, mean, color=colour, linewidth=1)
        panel.locator_params(nbins=3)
        if term == "domain_accuracy":
            panel.axhline(0.5, color="black", linestyle=":", linewidth=0.6)
            panel.set_ylim(0, 1)
        drawing.title(panel, name, width=1.3)
        panel.set_xlabel("step")
        panel.set_ylabel(TERMS[term])
    omitted = drawing.left_out(of - len(rows), "method", f"the first {len(rows)}")
    return drawing.shows(figure, f"loss terms of {len(rows)} methods while they trained", omitted)


def gathered(run: Run) -> list[tuple[str, str, dict[str, Any]]]:
    """For each row of a net: its name, its family, and by term the steps with the least, mean and largest value."""
    cells: dict[tuple[int, str, str, str], list[dict[str, list[float]]]] = {}
    for record in run.records:
        if record["status"] == "ok" and record.get("curves"):
            for label in run.labels(record):
                key = record["setting"], record["learner"], label
                if not run.stale(record, label) and (not run.shown or key in run.shown):
                    name = label if record["setting"] in ("none", "unsupervised") else f"{label}, {record['setting']}"
                    place = run.shown.index(key) if run.shown else 0
                    cells.setdefault((place, record["family"], name, record["learner"]), []).append(record["curves"])
    rows: list[tuple[str, str, dict[str, Any]]] = []
    several = len({learner for *_, learner in cells}) > 1
    for (_, family, name, learner), found in sorted(cells.items()):
        steps = found[0]["step"]
        same = [c for c in found if c["step"] == steps]
        values = {t: np.array([c[t] for c in same], float) for t in TERMS if all(t in c for c in same)}
        spans = {t: (steps, v.min(0), v.mean(0), v.max(0)) for t, v in values.items() if v.size and v.any()}
        rows += [(f"{name} ({learner})" if several else name, family, spans)] if spans else []
    return rows
