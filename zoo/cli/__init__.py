"""The command: each group of commands is a file here. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

from zoo import __version__, plain
from zoo.cli import data, look, own, pairs, predict, run, runs, tables
from zoo.cli.shown import say
from zoo.errors import BadInput

app = typer.Typer(
    help="A domain-adaptation algorithm zoo: many methods, one harness, honest tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# As --help shows them.
for command in (
    *(look.list_, look.info, run.run, tables.table, tables.plot, runs.status, tables.compare, tables.report),
    *(runs.explain, predict.predict, runs.cite, runs.verify, own.new, own.check, pairs.distance, pairs.rank),
):
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point: bad input is one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BadInput as error:
        _refuse(str(error))
    except BrokenPipeError:  # whoever read has read enough, as `zoo list | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise  # no file that the user named: a fault of ours
        _refuse(": ".join(filter(None, [str(error.filename or ""), error.strerror or str(error)])))


def _refuse(why: str) -> NoReturn:
    say(plain.shown(why))
    sys.exit(2)


def _version(value: bool) -> None:
    if value:
        print(f"zoo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass
