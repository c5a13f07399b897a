"""What stands between ``<!-- NAME ... -->`` and ``<!-- end -->`` in our pages: a function of that name for each kind.

``table RUN [METRIC]``, the table of results/RUN, of its own metric or another; ``gains RUN [over LABEL]``, what
`zoo compare` says of it; ``rules RUN``, each row under each rule of selection; ``validators RUN``, what each rule is
worth; ``curve FOLDER``, the runs within it over their labels; ``command RUN``, what makes it; ``commands``, that of
every run; ``steps``, benchmarks/steps.csv; ``methods FAMILY``, the zoo's part of that family.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import steps as measured
from commands import commands as of_run
from zoo_page import section

from zoo import records
from zoo.report import compared, labels, standing
from zoo.report import rules as selected
from zoo.report import table as tables
from zoo.report import validators as judged

read = cache(records.read)


def runs(results: Path, under: str = "") -> list[str]:
    """The names of all runs, a folder's own name before those within it."""
    return sorted(str(path.parent.relative_to(results)) for path in (results / under).rglob("run.json"))


def table(results: Path, name: str, metric: str = "") -> str:
    """Without time and memory, which no two runs share."""
    return tables.render(tables.build(read(results / name), metric=metric, cost=False), "md").strip() + "\n"


def gains(results: Path, name: str, over: str = "", reference: str = "") -> str:
    return compared.gains(read(results / name), reference=reference)


def rules(results: Path, name: str) -> str:
    return tables.render(selected.build(read(results / name)), "md").strip() + "\n"


def validators(results: Path, name: str) -> str:
    return judged.render(read(results / name)).strip() + "\n"


def curve(results: Path, name: str) -> str:
    return labels.table([read(results / run) for run in runs(results, name)])


def command(results: Path, *names: str) -> str:
    lines = [line for name in names for line in of_run(read(results / name), name)]
    return "```sh\n" + "\n".join(lines) + "\n```\n"


def commands(results: Path) -> str:
    rows = []
    for name in runs(results):
        page = name.split("/")[0]
        lines = "<br>".join(f"`{line}`" for line in of_run(read(results / name), name))
        rows.append(f"| [`{name}`]({page}/README.md) | {lines} |\n")
    return "| folder | command |\n|---|---|\n" + "".join(rows)


def steps(results: Path) -> str:
    return measured.table()


def methods(results: Path, family: str) -> str:
    return section(family, list(csv.DictReader(stood(results).splitlines())))


@cache
def stood(results: Path) -> str:
    """The standings of all runs, as the package has them."""
    return standing.written(row for name in runs(results) for row in standing.standings(read(results / name), name))
