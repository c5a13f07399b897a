"""What the heads of several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Suite = Annotated[str, typer.Argument(help="A suite's name, or a YAML file.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run folder.")]
Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run folders.")]

Pairs = Annotated[
    str | None, typer.Option(help="SOURCE:TARGET,..., A+B:C, or all:one: each domain against all others.")
]
Data = Annotated[Path | None, typer.Option(help="Folder of the data sets; default: $ZOO_DATA.")]
DataRoot = Annotated[Path | None, typer.Option(envvar="ZOO_DATA", help="Folder of the data sets.")]
Net = Annotated[str | None, typer.Option(help="Of photographs: the network whose frozen features count.")]
Weights = Annotated[str | None, typer.Option(help="Its weights: FILE, or default.")]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", help="A file of yours: a method, validator, data set, plot or format; repeatable."),
]
Out = Annotated[Path | None, typer.Option(help="Write to this file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout, and nothing else there.")]


def split(text: str | None) -> list[str] | None:
    """The parts of an option with commas; None where it was not given."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def either(names: list[str]) -> str:
    """Names as a help text lists them.

    >>> either(["md", "latex", "csv"])
    'md, latex or csv.'
    """
    return f"{', '.join(names[:-1])} or {names[-1]}."
