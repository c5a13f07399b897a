"""What pairs of domains tell before anything is adapted: `zoo distance` and `zoo rank`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import AsJson, Data, Net, Pairs, Plugins, Suite, Weights, split
from zoo.cli.shown import tracked


def distance(
    suite: Suite,
    pairs: Pairs = None,
    data_root: Data = None,
    net: Net = None,
    weights: Weights = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(help="A heat map (.png, .pdf, .svg) or the table (.md, .json, .csv, .tex); repeatable."),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Of the heat map: proxy_a, mmd2, coral or sliced_wasserstein.")
    ] = "proxy_a",
    seed: Annotated[int, typer.Option(help="Of samples, splits, permutations and directions.")] = 0,
    plugin: Plugins = None,
    raw: Annotated[bool, typer.Option("--raw", help="Leave out the suite's normalisation.")] = False,
    as_json: AsJson = False,
) -> None:
    """How far apart the domains of each pair are: proxy A-distance, MMD², CORAL, sliced Wasserstein."""
    from zoo.report import distance as report

    report.check(metric, out or [])
    from zoo.measure.distance import measure

    found = measure(
        suite,
        pairs=split(pairs),
        data_root=data_root,
        net=net,
        weights=weights,
        seed=seed,
        raw=raw,
        track=tracked("pairs"),
        plugins=plugin or (),
    )
    for file in out or []:
        report.write(found, file, metric)
    print(report.render(found, "json" if as_json else "md"), end="")


def rank(
    suite: Suite,
    pairs: Pairs = None,
    data_root: Data = None,
    run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Run folder to correlate with; default: runs/NAME if there.")
    ] = None,
    net: Net = None,
    weights: Weights = None,
    out: Annotated[list[Path] | None, typer.Option(help="The table (.md, .json, .csv); repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of splits and of the A-distance.")] = 0,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Transferability scores of each source before any adaptation: LEEP, NCE, LogME, H-score, proxy A-distance."""
    from zoo import records
    from zoo.report import rank as report

    report.check(out or [])
    known = None if run is None else records.read(run)  # a folder without a run is refused before anything is computed
    from zoo.measure.rank import measure

    found = measure(
        suite,
        pairs=split(pairs),
        data_root=data_root,
        net=net,
        weights=weights,
        seed=seed,
        track=tracked("pairs"),
        plugins=plugin or (),
    )
    folder = run or Path("runs") / found["suite"]["name"]
    if run is None and (folder / "run.json").exists():
        known = records.read(folder)
    joined = report.join(found, known, folder)
    for file in out or []:
        report.write(joined, file)
    print(report.render(joined, "json" if as_json else "md"), end="")
