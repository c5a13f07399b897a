"""A plugin of one's own: `zoo new` and `zoo check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.options import AsJson
from zoo.cli.shown import print_json


def new(
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and _.")],
    kind: Annotated[
        str, typer.Option(help="reweighting, mapping, deep, parameter, relational, validator, dataset, plot or format.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the file.")] = Path(),
    package: Annotated[
        bool, typer.Option("--package", help="A package to be installed, with entry point, test and README.")
    ] = False,
) -> None:
    """Write NAME.py: a small whole plugin to start from, which passes the contract tests as it is."""
    from zoo import templates
    from zoo.templates import package as packages

    path = (packages if package else templates).write(name, kind, out)
    print(f"written   {path}")
    first = [f"pip install -e {out / name}     zoo finds it by its name from then on"] if package else []
    after = templates.after(name, kind, path)
    if package:
        after = [line.replace(f"--plugin {path} ", "") for line in after]
    for i, line in enumerate([*first, f"zoo check {name if package else path}", *after]):
        print(f"{'next' if not i else ''}".ljust(10) + line)


def check(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py|NAME", help="A plugin of yours of any kind, or a method or validator of the zoo."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """The contract tests on a method, validator, data set, plot or format."""
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
