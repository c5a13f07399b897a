"""Features of source and target in the plane, before and after adaptation: PCA and t-SNE, by domain and by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import BadInput, one_line
from zoo.records import Record, Run
from zoo.report import drawing, points, rowcells
from zoo.report.beside import NO_FEATURES, Beside
from zoo.report.lines import Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT, BESIDE, FEW = 1.65, 0.5, 3
CAP = 400  # samples of a domain, drawn at random: t-SNE of more is slow, and a panel holds no more
SEED = 0
NAMED = 10  # classes, up to which they are told apart


@dataclass(frozen=True)
class Points:
    """A cell's features in the plane: [n, 2] by map, whether each row is of the target, and its class (-1: none)."""

    maps: Mapping[str, np.ndarray]
    target: np.ndarray
    classes: np.ndarray


def draw(run: Run, beside: Beside) -> Figure:
    """A row of panels for each method after the source_only of its learner, on one pair and seed.

    Before adaptation: the features of the source-trained network, or what the base classifier gets. Both maps are of
    source and target together; t-SNE keeps neighbours, not distances between groups. Features are those of training
    and adapted samples; labels of the target colour points here, and no method has seen them.

    Raises
    ------
    BadInput
        No features were kept.
    """
    rows, others = _rows(run, beside)
    pair, seed = _where(run, rows)
    why, names = "", tuple[str, ...]()
    drawn: list[tuple[Line, Points]] = []
    for line in rows:
        record = _cell(line, pair, seed)
        if (found := _features(beside, record)) is None:
            raise BadInput(f"nothing to draw: {NO_FEATURES.format(f'{line.label} on {pair}')}")
        labels = np.empty(0, int)
        try:
            truth = beside.truth(record)
            labels, names = np.concatenate([truth.train, truth.adapt]), truth.classes
        except BadInput as error:
            why = f"not coloured by class: {one_line(error)}"
        drawn.append((line, _mapped(*found, labels)))
    by = ["domain", *(["class"] if names else [])]
    columns = [(how, colour) for how in ("PCA", "t-SNE") for colour in by]
    figure = drawing.figure(drawing.PAGE[0] * len(columns) / 4, HEIGHT * len(drawn) + BESIDE)
    grid = figure.subplots(len(drawn), len(columns), squeeze=False)
    for axes, (line, made) in zip(grid, drawn, strict=True):
        for panel, (how, colour) in zip(axes, columns, strict=True):
            _scatter(panel, made, how, colour == "class", len(names))
            panel.set_xlabel(f"{how} 1, by {colour}")
            panel.set_ylabel(f"{how} 2")
        drawing.title(axes[0], rowcells.name(line), width=3.2)
    _legend(figure, pair, names)
    source, target = pair.split(":")
    said = f"features of {source} and {target} by {len(drawn)} rows, seed {seed if seed is not None else 'none'}"
    return drawing.shows(figure, said, why, rowcells.beside(others, len(drawn), run))


def _rows(run: Run, beside: Beside) -> tuple[list[Line], int]:
    """The rows to draw, each learner's reference before its methods."""
    reference, most = points.reference_name(run), drawing.fits(HEIGHT, BESIDE)
    kept = rowcells.best(run, lambda r: _features(beside, r), NO_FEATURES.format("a method"), len(run.records))
    known = [line for line, _ in kept[0]]
    methods = [line for line in known if line.label != reference and line.family != "baseline"]
    chosen = methods[: most if run.shown else FEW]
    before = {line.learner: line for line in known if line.label == reference}
    while chosen and len(chosen) + len({x.learner for x in chosen} & before.keys()) > most:
        chosen.pop()
    rows: list[Line] = []
    for learner in dict.fromkeys(line.learner for line in chosen):
        first = before.get(learner) or next((b for name, b in before.items() if learner == "own"), None)
        rows += [*([first] if first and first not in rows else []), *(x for x in chosen if x.learner == learner)]
    return (rows or [*before.values()]), len(methods) - len(chosen)


def _where(run: Run, rows: list[Line]) -> tuple[str, int | None]:
    """The first pair and seed that the last row has finished."""
    for pair in run.meta["pairs"]:
        done = [seed for seed, r in rows[-1].pairs.get(pair, {}).items() if r["status"] == "ok"]
        if done:
            return pair, min(done, key=lambda seed: (seed is not None, seed or 0))
    raise BadInput(f"nothing to draw: {rows[-1].label} has no finished cell")


def _cell(line: Line, pair: str, seed: int | None) -> Record:
    found = line.pairs.get(pair, {})
    record = found.get(seed) or found.get(None) or next(iter(found.values()), None)
    if record is None:
        raise BadInput(f"nothing to draw: {line.label} has no finished cell on {pair}; --pairs chooses another")
    return record


def _features(beside: Beside, record: Record) -> tuple[np.ndarray, np.ndarray] | None:
    """Features of the source's training rows and of the target's adapted ones, where both were kept."""
    seen = beside.seen(record)
    if "train_features" not in seen or "adapt_features" not in seen:
        return None
    return seen["train_features"], seen["adapt_features"]


def _mapped(train: np.ndarray, adapt: np.ndarray, labels: np.ndarray) -> Points:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rng = np.random.default_rng(SEED)
    some = [np.sort(rng.permutation(len(part))[:CAP]) for part in (train, adapt)]
    X = np.concatenate([train[some[0]], adapt[some[1]]]).astype(np.float64)
    rows = np.concatenate([some[0], len(train) + some[1]])
    classes = labels[rows] if len(labels) == len(train) + len(adapt) else np.full(len(rows), -1)
    width = min(50, *X.shape)
    least = PCA(width, svd_solver="full").fit_transform(X)  # distances of more are noise, and take longer
    least = np.pad(least, ((0, 0), (0, max(0, 2 - width))))
    near = TSNE(perplexity=min(30, (len(X) - 1) / 3), init="pca", random_state=SEED, n_jobs=1).fit_transform(least)
    return Points({"PCA": least[:, :2], "t-SNE": near}, rows >= len(train), classes)


def _scatter(axes: Axes, found: Points, how: str, by_class: bool, n: int) -> None:
    xy = found.maps[how]
    for target, marker, size, own in ((False, "o", 5, drawing.TEN[0]), (True, "+", 9, drawing.TEN[4])):
        here = found.target == target
        colours = [drawing.shade(int(c), n) if c >= 0 else "#cccccc" for c in found.classes[here]] if by_class else own
        x, y = xy[here].T
        axes.scatter(x, y, s=size, c=colours, marker=marker, linewidths=0.5 * target, alpha=0.7)
    axes.set_xticks([])
    axes.set_yticks([])


def _legend(figure: Figure, pair: str, names: tuple[str, ...]) -> None:
    from matplotlib.lines import Line2D

    def handle(marker: str, colour: object, label: str) -> Line2D:
        return Line2D([], [], color=colour, marker=marker, linestyle="", ms=4, label=drawing.drawable(label))  # type: ignore[arg-type]

    sides = zip(pair.split(":"), ("source", "target"), ("o", "+"), (drawing.TEN[0], drawing.TEN[4]), strict=True)
    handles = [handle(marker, colour, f"{name} ({side})") for name, side, marker, colour in sides]
    if len(names) <= NAMED:
        handles += [handle("s", drawing.shade(i, len(names)), f"class {name}") for i, name in enumerate(names)]
    longest = 0.35 + 0.055 * max(len(str(h.get_label())) for h in handles)
    across = max(1, min(6, int(figure.get_figwidth() / longest)))
    figure.legend(handles=handles, loc="outside lower center", ncols=across, handletextpad=0.2, columnspacing=1.0)
