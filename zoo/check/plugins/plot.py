"""The contract tests of plots: what every one promises, tried on toy runs."""

from __future__ import annotations

from zoo.bench.apart import Refused
from zoo.bench.drawn import BEGINS, drawn
from zoo.check import toyrun
from zoo.check.plugins import Tried, Wrong
from zoo.check.subject import LIMIT, Outcome
from zoo.infos import PlotInfo
from zoo.records import Run
from zoo.report.drawing import Saved


def run(info: PlotInfo, limit: float = LIMIT) -> list[Outcome]:
    """Try all promises of a plot."""
    tests = [draws, repeats, every_file, unfinished, *([several] if info.several else [])]
    return Tried(info, limit).run(tests)


def _drawn(t: Tried, suffix: str, *runs: Run) -> Saved:
    return drawn(t.info, runs, suffix, executor=t.executor, limit=t.limit)


def draws(t: Tried) -> str:
    """It draws a toy run, from its records alone."""
    made = _drawn(t, ".png", toyrun.whole())
    return "{:.1f} × {:.1f} inches".format(*made.size) + (f": {made.shows}" if made.shows else "")


def repeats(t: Tried) -> str:
    """The same records give the same bytes."""
    first, second = (_drawn(t, ".svg", toyrun.whole()).content for _ in range(2))
    if first != second:
        raise Wrong("the same records give other bytes when they are drawn again: does it draw random numbers, a date?")
    return ""


def every_file(t: Tried) -> str:
    """It can be written as each kind of file."""
    for suffix in BEGINS:
        _drawn(t, suffix, toyrun.whole())
    return ", ".join(suffix[1:] for suffix in BEGINS)


def unfinished(t: Tried) -> str:
    """Of a run that has hardly begun it draws what there is, or says by BadInput why it draws nothing."""
    try:
        _drawn(t, ".svg", toyrun.bare())
    except Refused as why:
        return f"says: {why}"
    return ""


def several(t: Tried) -> str:
    """What takes several runs draws two."""
    _drawn(t, ".svg", toyrun.whole(), toyrun.bare())
    return ""
