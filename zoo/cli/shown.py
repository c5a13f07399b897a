"""How commands print and write."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import BadInput, printable


def say(why: str) -> None:
    """A line on stderr, by whom it is."""
    print(f"zoo: {why}", file=sys.stderr)


def print_json(value: Any) -> None:
    """What ``--json`` prints."""
    print(json.dumps(value, indent=1))


def columns(rows: list[list[str]], head: list[str]) -> None:
    """Aligned columns; the last is cut to the terminal's width."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in [head, *rows]:
        line = "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        print(line if limit is None or len(line) <= limit else line[: limit - 1] + "…")


def text(value: Any) -> str:
    """A value in a column or on a line."""
    return ", ".join(value) if isinstance(value, list) else str(value)


def output(content: str | bytes, out: Path | None) -> None:
    """Print, or write to the file of ``--out``."""
    if out is None:
        print(content)
        return
    if isinstance(content, str):
        content = (content if content.endswith("\n") else content + "\n").encode()
    try:
        out.write_bytes(content)
    except (OSError, ValueError) as error:  # the latter of a null character
        raise BadInput(f"--out {out}: {getattr(error, 'strerror', None) or error}") from None


def things(plugins: Sequence[Path], more: dict[str, Any]) -> Any:
    """The methods, data sets, validators and references there are, with those of plugin files, and more methods."""
    from zoo import discover, plugged, select
    from zoo.report.cite import Known

    files = plugged.parted(plugins)
    datasets = plugged.found("dataset", files["dataset"])
    methods, judges = discover.methods(files["method"]) | more, select.validators(files["validator"])
    return Known(methods, datasets, discover.references(), judges)


def tracked(what: str) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """Wraps a sequence in a bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return lambda each: track(each, what, console=console, transient=True, disable=not console.is_terminal)


def run_table(
    folder: Path,
    metric: str = "",
    cost: bool = True,
    published: bool = False,
    select: Sequence[str] = (),
    choice: Any = None,
    cite: bool | None = None,
) -> Any:
    """The table of a run folder, which has no format yet; of all rules of selection, methods × rules.

    Parameters
    ----------
    choice : which rows, and in which order
    cite : whether a paper's table has references beside its methods; None: it is for no paper
    """
    from zoo import records
    from zoo.report import rules
    from zoo.report import table as tables
    from zoo.report.choice import Choice, chosen

    whole = records.read(folder)
    run = chosen(whole, choice or Choice(), metric)
    every = "all" in select
    built = rules.build(run, metric) if every else tables.build(run, metric=metric, cost=cost, select=select)
    if published:
        from zoo.published import figures
        from zoo.report.published import beside

        built = beside(built, run, figures())
    if cite is None:
        return built
    from zoo import discover, listing
    from zoo.report.paper import dressed

    return dressed(built, whole, listing.methods(), list(discover.references()) if cite else ())


def show(folder: Path, *asked: Any) -> None:
    """The table of a run folder, as `run_table` makes it: with colour on a terminal, markdown when piped."""
    from zoo.report import table as tables

    built = run_table(folder, *asked)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(tables.rich(built))
    else:
        print(tables.render(built, "md"))
