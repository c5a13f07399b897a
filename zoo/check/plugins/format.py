"""The contract tests of formats: what every one promises, tried on the tables of toy runs."""

from __future__ import annotations

from zoo.bench.drawn import rendered
from zoo.check import toyrun
from zoo.check.plugins import Tried, Wrong
from zoo.check.subject import LIMIT, Outcome
from zoo.infos import FileInfo
from zoo.promises import counted
from zoo.records import Run
from zoo.report.table import build


def run(info: FileInfo, limit: float = LIMIT) -> list[Outcome]:
    """Try all promises of a format."""
    return Tried(info, limit).run([renders, repeats, unfinished])


def _rendered(t: Tried, run: Run) -> str:
    return rendered([build(run)], t.info, executor=t.executor, limit=t.limit)[0]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def renders(t: Tried) -> str:
    """It gives the table of a toy run as printable text, its last line ended; every row of it is there."""
    text = _rendered(t, toyrun.whole())
    there = _letters(text)  # however it writes what is no letter
    if lost := [method for method, *_ in toyrun.METHODS.values() if _letters(method) not in there]:
        raise Wrong(f"the row of {lost[0]} is in the table, and not in the text")
    return counted(text.count("\n"), "line")


def repeats(t: Tried) -> str:
    """The same table gives the same text."""
    if _rendered(t, toyrun.whole()) != _rendered(t, toyrun.whole()):
        raise Wrong("the same table gives another text when it is rendered again: does it hold random numbers, a date?")
    return ""


def unfinished(t: Tried) -> str:
    """A table in which values are missing is rendered too."""
    return counted(_rendered(t, toyrun.bare()).count("\n"), "line")
