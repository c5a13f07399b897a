"""Distances between domains as a table and a heat map: a pure function of what `zoo.measure.distance` measured."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from pathlib import Path
from typing import Any

from zoo.errors import BadInput
from zoo.report import files
from zoo.report.caption import normalisation
from zoo.report.drawing import UNDATED
from zoo.report.formats.latex import tex
from zoo.report.formats.md import padded

METRICS = {
    "proxy_a": "proxy A-distance",
    "mmd2": "MMD²",
    "coral": "CORAL distance",
    "sliced_wasserstein": "sliced Wasserstein distance",
}
PICTURES, TABLES = tuple(suffix[1:] for suffix in UNDATED), ("md", "json", "csv", "tex")
HEADS = ("domains", "samples", "A-distance", "null 95 %", "MMD²", "p", "CORAL", "sliced W")
FIELDS = ("pairs", "n", "proxy_a", "proxy_a_null", "balanced_error", "mmd2", "mmd2_p", "coral", "sliced_wasserstein")


def check(metric: str, out: list[Path]) -> None:
    """Refuse, before anything is computed, what could not be written afterwards."""
    if metric not in METRICS:
        raise BadInput(f"--metric {metric}: it is one of {', '.join(METRICS)}")
    files.check(out, TABLES, PICTURES)


def write(found: dict[str, Any], file: Path, metric: str) -> None:
    """A heat map or a table, by the file's ending."""
    with files.writing(file):
        if file.suffix[1:] in PICTURES:
            heat_map(found, file, metric)
        else:
            file.write_text(render(found, file.suffix[1:]), encoding="utf-8")


def render(found: dict[str, Any], format: str = "md") -> str:
    """The table as md, json, csv or tex, with one newline at its end."""
    if format == "json":
        return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if format == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["source", "target", "n_source", "n_target", "proxy_a", "null_low", "null_high", *FIELDS[4:]])
        for row in found["rows"]:
            for pair in row["pairs"]:
                sizes = row["n"] if pair == row["pairs"][0] else row["n"][::-1]
                values = [row[field] for field in FIELDS[4:]]
                writer.writerow([*pair.split(":"), *sizes, row["proxy_a"], *row["proxy_a_null"], *values])
        return out.getvalue()
    lines = [_texts(row) for row in found["rows"]]
    if format == "tex":
        body = [" & ".join(map(tex, line)) + r" \\" for line in (HEADS, *lines)]
        head = [
            r"% \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{tex(caption(found))}}}",
        ]
        rules = [rf"\begin{{tabular}}{{l{'r' * (len(HEADS) - 1)}}}", r"\toprule", body[0], r"\midrule"]
        rules[0] = r"\resizebox{\linewidth}{!}{" + rules[0]
        return "\n".join([*head, *rules, *body[1:], r"\bottomrule", r"\end{tabular}}", r"\end{table}", ""])
    return "\n".join([caption(found), "", *padded([HEADS, *lines], 1)]) + "\n"


def caption(found: dict[str, Any]) -> str:
    """What the numbers depend on."""
    suite, settings, shape = found["suite"], found["settings"], found["shape"]
    size = math.prod(shape)
    what = (
        f"{size} features" if len(shape) == 1 else f"images, flattened to {size} pixels ({'×'.join(map(str, shape))})"
    )
    sizes = ", ".join(f"{name} {n}" for name, n in found["domains"].items())
    centred = "zscore" in suite["normalise"]
    parts = [
        f"{suite['name']}: distances between domains",
        f"Data: {suite['dataset']} ({sizes}; {what}), whole domains",
        f"Normalisation: {normalisation(suite)}",
        f"A-distance: of a linear classifier, mean of {settings['splits']} halves, and the middle 95 % of "
        f"{settings['null_permutations']} permutations"
        + "; domains z-scored one by one have equal means, which leave it nothing and p too high (see --raw)"
        * centred,
        f"MMD²: unbiased, Gaussian kernel, median heuristic, p from {settings['mmd_permutations']} permutations",
        f"Both on at most {settings['cap']} random samples a domain",
        f"Sliced Wasserstein: order 2, {settings['projections']} directions",
        f"Seed {settings['seed']}",
        ", ".join(f"{x} {found['versions'][x]}" for x in ("zoo", "torch", "numpy")),
    ]
    return ". ".join(parts) + "."


def _texts(row: dict[str, Any]) -> list[str]:
    low, high = row["proxy_a_null"]
    return [
        row["pairs"][0].replace(":", " – "),
        " – ".join(map(str, row["n"])),
        f"{row['proxy_a']:.2f}",
        f"[{low:.2f}, {high:.2f}]",
        f"{row['mmd2']:.4f}",
        f"{row['mmd2_p']:.3f}",
        f"{row['coral']:.3g}",
        f"{row['sliced_wasserstein']:.3g}",
    ]


def heat_map(found: dict[str, Any], file: Path, metric: str = "proxy_a") -> None:
    """Sources down, targets across; below each value what chance gives (A-distance: null interval; MMD²: p)."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = {tuple(pair.split(":")): row for row in found["rows"] for pair in row["pairs"]}
    names = list(found["domains"])
    sources = sorted({s for s, _ in values}, key=lambda s: (s.count("+"), *map(names.index, s.split("+"))))
    targets = [name for name in names if any(t == name for _, t in values)]
    grid = [[values[s, t][metric] if (s, t) in values else math.nan for t in targets] for s in sources]
    top = 2.0 if metric == "proxy_a" else max((v for line in grid for v in line if v > 0), default=1.0)
    width, height = 1.15 * max(len(targets), 3) + 2.6, 0.8 * len(sources) + 1.2
    text = "\n".join(textwrap.wrap(caption(found), int(21 * width)))
    figure = Figure(figsize=(width, height + 0.13 * text.count("\n")), layout="constrained", dpi=200)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colours = matplotlib.colormaps["YlGnBu"].with_extremes(bad="#eeeeee")
    image = axes.imshow(grid, cmap=colours, vmin=0, vmax=top, aspect="auto")
    for (s, t), row in values.items():
        x, y, shade = targets.index(t), sources.index(s), row[metric] / top
        ink = "white" if shade > 0.55 else "#222222"
        low, high = row["proxy_a_null"]
        below = {"proxy_a": f"[{low:.2f}, {high:.2f}]", "mmd2": f"p = {row['mmd2_p']:.3f}"}.get(metric, "")
        number = f"{row[metric]:.2f}" if metric == "proxy_a" else f"{row[metric]:.3g}"
        axes.text(x, y - 0.1 * bool(below), number, ha="center", va="center", color=ink, fontsize=11)
        axes.text(x, y + 0.2, below, ha="center", va="center", color=ink, fontsize=6.5)
    axes.set_xticks(range(len(targets)), targets)
    axes.set_yticks(range(len(sources)), sources)
    axes.set_xticks([x - 0.5 for x in range(1, len(targets))], minor=True)
    axes.set_yticks([y - 0.5 for y in range(1, len(sources))], minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="target", ylabel="source")
    axes.set_title(f"{found['suite']['name']}: {METRICS[metric]}", fontsize=11, loc="left")
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    figure.supxlabel(text, fontsize=5.5, color="#555555", ha="left", x=0.01, linespacing=1.4)
    with matplotlib.rc_context({"svg.hashsalt": "zoo"}):  # the same distances give the same bytes
        figure.savefig(file, metadata=UNDATED[file.suffix])
