"""`zoo predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.options import DataRoot, Folder, Out, Plugins, split
from zoo.cli.shown import output, say
from zoo.errors import BadInput


def predict(
    folder: Folder,
    newfile: Annotated[
        Path | None, typer.Argument(help="Rows that the run did not have, in its format; default: its target rows.")
    ] = None,
    method: Annotated[str, typer.Option(help="A row of the run's table.")] = "",
    out: Out = None,
    pair: Annotated[str | None, typer.Option(help="SOURCE:TARGET,...; default: all of the run.")] = None,
    learner: Annotated[str, typer.Option(help="Of the row, where several have its name.")] = "",
    setting: Annotated[str, typer.Option(help="Of the row, where several have its name.")] = "",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    weights: Annotated[str, typer.Option(help="Of NEWFILE: the file of weights, where the run had one.")] = "",
    workers: Annotated[int | None, typer.Option(min=1, help="Of NEWFILE; default: one per core.")] = None,
    device: Annotated[str, typer.Option(help="Of NEWFILE: auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Class and scores of every target row, or of those of a new file, averaged over seeds, as csv.

    Rows stand in the order of their file and are counted from 0. Scores are means of class probabilities over the seeds
    that scored the row, whose number is the last column; in regression there is a value in their place.
    """
    from zoo.bench import newfile as new
    from zoo.bench import predict as stored
    from zoo.report import files

    if pair is not None and not split(pair):
        raise BadInput("--pair: names none; leave it out for all")
    if out is not None:
        files.place(out)
    how: dict[str, Any] = {"pairs": split(pair), "learner": learner, "setting": setting, "data_root": data_root}
    if newfile is None:
        found = stored.predict(folder, method, **how)
    else:
        how |= {"plugins": plugin or (), "weights": weights, "workers": workers, "device": device}
        found = new.predicted(folder, method, newfile, told=say, **how)
    if n := int((found.seeds == 0).sum()):
        say(f"{n} rows have no prediction: their labels were given to methods in every seed")
    output(found.to_csv(index=False, float_format="%.6g").rstrip("\n"), out)
