"""A method or validator of one's own: `zoo new` and `zoo check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import AsJson
from zoo.cli.shown import print_json


def new(
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and _.")],
    kind: Annotated[str, typer.Option(help="reweighting, mapping, deep, parameter, relational or validator.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the file.")] = Path(),
) -> None:
    """Write NAME.py: a small whole method or validator to start from, which passes the contract tests as it is."""
    from zoo import templates

    path = templates.write(name, kind, out)
    print(f"written   {path}")
    print(f"next      zoo check {path}")
    if kind == templates.VALIDATOR:
        print(f"          zoo run quickstart --trials 4 --plugin {path} --validators {name}     judges each trial")
    else:
        print(f"          zoo run quickstart --plugin {path} --methods {name}     its row beside source_only")


def check(
    what: Annotated[str, typer.Argument(metavar="FILE.py|NAME", help="A method or validator of yours, or of the zoo.")],
    as_json: AsJson = False,
) -> None:
    """The contract tests on a method, or on a validator."""
    from zoo import check as contract

    outcomes = contract.run(what)
    if as_json:
        print_json([vars(o) for o in outcomes])
    else:
        for o in outcomes:
            mark = "skip" if o.skipped else "ok  " if o.ok else "FAIL"
            print(f"{mark}  {o.name}{': ' + o.detail if o.detail else ''}")
    if not all(o.ok or o.skipped for o in outcomes):
        raise typer.Exit(1)
