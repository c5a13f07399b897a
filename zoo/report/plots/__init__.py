"""Pictures of runs for papers, one file each, found by being there: ``draw(run)``, or ``draw(*runs)``, is a figure."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from zoo import discover
from zoo.errors import BadInput
from zoo.records import Run
from zoo.report import drawing


def render(run: Run | Sequence[Run], kind: str, suffix: str) -> bytes:
    """A picture as the bytes of a file; the same records give the same bytes.

    Parameters
    ----------
    run : one run, or several, where the plot takes them
    kind : the name of a file here
    suffix : {'.png', '.pdf', '.svg'}

    Raises
    ------
    BadInput
        There is no such kind or format, no row that could be drawn, or several runs of a kind that draws one.
    """
    runs = [run] if isinstance(run, Run) else list(run)
    known = discover.plots()
    if kind not in known:
        raise BadInput(f"unknown kind of plot {kind!r}: it is one of {', '.join(known)}")
    draw = discover.load(known[kind]).draw
    if len(runs) > 1 and not _takes_several(draw):
        several = ", ".join(name for name, plot in known.items() if _takes_several(discover.load(plot).draw))
        raise BadInput(f"--kind {kind} draws one run folder, got {len(runs)}; several are for {several}")
    return drawing.saved(lambda: draw(*runs), suffix)


def _takes_several(draw: Any) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(draw).parameters.values())
