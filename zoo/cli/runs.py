"""What else a run folder tells: `zoo status`, `zoo explain`, `zoo cite` and `zoo verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import AsJson, DataRoot, Folder, Out, Plugins
from zoo.cli.shown import columns, output, print_json, say, things
from zoo.errors import BadInput, printable


def status(folder: Folder, as_json: AsJson = False) -> None:
    """How far a run is: cells planned, done and failed, time spent, and what running it again would do."""
    from zoo import records
    from zoo.report import status as states

    state = states.build(records.read(folder))
    if as_json:
        print_json({"run": str(folder), **state.to_json()})
        return
    print(f"{printable(folder)}: {printable(state.head)}\n")
    columns([[str(v) for v in row.texts()] for row in state.rows], list(states.COLUMNS))
    print("\n".join(["", *map(printable, state.notes)]))


def explain(
    cell: Annotated[str, typer.Argument(help="A cell's id or its beginning; '' or a method lists what there is.")] = "",
    run: Annotated[Path | None, typer.Option(metavar="DIR", help="Its run folder; default: those in runs/.")] = None,
    fold: Annotated[int, typer.Option(help="Which of the folds it was trained on, from 1.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Text, or the trees as a picture (.png, .pdf, .svg).")] = None,
    as_json: AsJson = False,
) -> None:
    """What a relational method learned: the mapping of predicates with the sign of their effect, and its trees."""
    from zoo.report import explain as explanations

    folders = [run] if run else sorted(p.parent for p in Path("runs").glob("*/run.json"))
    listed = [r for f in folders for r in explanations.explaining(f, cell)]
    if listed or not cell:
        keys = ("cell", "method", "source", "target", "seed")
        rows = [
            {k: r[k] for k in keys}
            for r in sorted(listed, key=lambda r: (r["method"], str(r["source"]), r["target"], r["seed"] or 0))
        ]
        if not rows:
            raise BadInput("no cell explains anything here: run a suite of facts, or give --run DIR")
        print_json(rows) if as_json else columns([[str(v or "") for v in r.values()] for r in rows], list(keys))
        return
    record, found = explanations.find(cell, folders)
    if as_json:
        print_json({"cell": record["cell"], "explanations": found})
    elif out is not None and out.suffix in (".png", ".pdf", ".svg"):
        output(explanations.picture(record, found, fold, out.suffix), out)
    else:
        output(explanations.text(record, found, fold), out)


def cite(
    folder: Folder,
    plugin: Plugins = None,
    out: Out = None,
) -> None:
    """BibTeX of exactly what the table contains, and a methods paragraph with the run's figures."""
    from zoo import records, wrappers
    from zoo.records import verdicts
    from zoo.report import cite as citations

    run = records.read(folder)
    known = things(plugin or (), wrappers.here(row["method"] for row in run.meta["rows"].values()))
    output(citations.bibtex(run, known, verdicts.verified(folder, run.records)), out)


def verify(
    folder: Folder,
    cells: Annotated[int, typer.Option(min=0, help="How many cells to run again.")] = 10,
    everything: Annotated[bool, typer.Option("--all", help="Run all of them again.")] = False,
    dear: Annotated[bool, typer.Option("--dear", help="Draw from all cells, not from the cheapest.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Which cells are drawn.")] = 0,
    data_root: DataRoot = None,
    weights: Annotated[str, typer.Option(help="The file of weights, where the run had one.")] = "",
    plugin: Plugins = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Default: one per core, one on a GPU.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Check a run: ids, digests, predictions, metrics from them, and some of its cells run again."""
    from zoo.bench import verify as checking
    from zoo.report import verified

    found = checking.verify(
        folder,
        cells=cells,
        everything=everything,
        dear=dear,
        seed=seed,
        data_root=data_root,
        plugins=plugin or (),
        weights=weights,
        workers=workers,
        device=device,
        told=lambda r: say(f"again: {r['method']} {r['source']}→{r['target']} seed {r['seed']}: {r['status']}"),
    )
    found.keep(folder)
    print_json(found.to_json()) if as_json else print("\n".join(map(printable, verified.text(found).splitlines())))
    if not found.sound:
        raise typer.Exit(1)
