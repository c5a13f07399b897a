"""What each validator said of a fit against the accuracy that the fit has on the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import BadInput
from zoo.records import Run, main_metric
from zoo.report import drawing
from zoo.report.cells import LOWER, PERCENT
from zoo.report.drawing import drawable
from zoo.report.lines import Line
from zoo.report.selection import DEFAULT, ORACLE, rules, searches
from zoo.report.validators import judge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 3  # panels in a row


def draw(run: Run) -> Figure:
    """A panel for each validator, a point for each finished cell and trial, coloured by family.

    A useful validator rises to the right. The correlation is Spearman's over the trials of one row, pair and seed, as
    of ``zoo compare --validators``; that over all points of a panel would reward telling methods or pairs apart.
    """
    names = [rule for rule in rules(run) if rule not in (DEFAULT, ORACLE)]
    points = {name: found for name in names if (found := gathered(run, name))}
    if not points:
        raise BadInput("nothing to draw: no validator has judged this run (zoo run ... --validators all)")
    metric, judged = judge(run)
    within = {j.rule: j.within for j in judged}
    tall, width = -(-len(points) // WIDE), min(WIDE, len(points))
    figure = drawing.figure(max(drawing.COLUMN, 1.6 * width), 0.5 + min(1.5, (drawing.PAGE[1] - 0.5) / tall) * tall)
    grid = figure.subplots(tall, width, sharey=True, squeeze=False)
    scale = 100 if metric in PERCENT else 1
    for axes, (name, found) in zip(grid.flat, points.items(), strict=False):
        colours = [drawing.COLOURS.get(line.family, "black") for line, _, _ in found]
        x, y = [value for _, value, _ in found], [scale * reached for _, _, reached in found]
        axes.scatter(x, y, s=3, c=colours, linewidths=0, alpha=0.6)
        rho = within[name]
        axes.set_title("ρ n/a" if rho is None else f"ρ = {rho.pairs.mean:+.2f}", loc="left", fontsize=6, pad=2)
        axes.set_xlabel(drawable(name))
        axes.set_ylabel(f"{metric}{' (%)' if scale == 100 else ''}{', less is better' if metric in LOWER else ''}")
        axes.locator_params(axis="x", nbins=3)
        axes.tick_params(labelleft=True)
    for axes in grid.flat[len(points) :]:
        axes.set_visible(False)
    drawing.legend(figure, {line.label: line for found in points.values() for line, _, _ in found}.values(), [])
    return drawing.shows(figure, f"what {len(points)} validators say of each trial against its {metric}")


def gathered(run: Run, rule: str) -> list[tuple[Line, float, float]]:
    """Each row's finished trials of which a validator has a value: the row, the value, and the metric."""
    metric = main_metric(run.meta)
    found: dict[str, tuple[Line, float, float]] = {}
    for search in searches(run):
        if search.line.oracle:
            continue
        tried = [r for by_seed in search.pairs.values() for trials in by_seed.values() for r in trials.values()]
        for record in tried:
            said, reached = run.values.get((record["cell"], rule)), record["metrics"].get(metric)
            if record["status"] == "ok" and said and said.value is not None and reached is not None:
                found[record["cell"]] = search.line, said.value, reached
    return list(found.values())
