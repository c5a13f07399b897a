"""Pictures of runs for papers, one file each, found by being there: ``draw(run)``, or ``draw(*runs)``, is a figure.

One that needs more than records says so by a second parameter: ``draw(run, beside)``; see `zoo.report.beside`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from zoo import discover
from zoo.errors import BadInput
from zoo.promises import require
from zoo.records import Run
from zoo.report import drawing
from zoo.report.beside import Beside
from zoo.report.choice import Choice, chosen


def render(run: Run | Sequence[Run], kind: str, suffix: str, beside: Beside | None = None) -> bytes:
    """A picture as the bytes of a file; as `picture`."""
    return picture(run, kind, suffix, beside=beside).content


def picture(
    run: Run | Sequence[Run], kind: str, suffix: str, choice: Choice | None = None, beside: Beside | None = None
) -> drawing.Saved:
    """A picture as a file; the same records give the same bytes.

    Parameters
    ----------
    run : one run, or several, where the plot takes them
    kind : the name of a file here
    suffix : {'.png', '.pdf', '.svg'}
    choice : which rows are drawn, and in which order
    beside : what lies beside the records, for the plots that need it

    Raises
    ------
    BadInput
        There is no such kind or format, no row that could be drawn, several runs of a kind that draws one, or what
        `choice` names is not there.
    """
    runs = [run] if isinstance(run, Run) else list(run)
    known = discover.plots()
    if kind not in known:
        raise BadInput(f"unknown kind of plot {kind!r}: it is one of {', '.join(known)}")
    draw = discover.load(known[kind]).draw
    if len(runs) > 1 and not _takes_several(draw):
        several = ", ".join(name for name, plot in known.items() if _takes_several(discover.load(plot).draw))
        raise BadInput(f"--kind {kind} draws one run folder, got {len(runs)}; several are for {several}")
    given = [chosen(one, choice or Choice()) for one in runs]
    more = {"beside": beside or Beside()} if "beside" in inspect.signature(draw).parameters else {}
    made = drawing.saved(lambda: draw(*given, **more), suffix)
    omitted = [given[0].omitted] if given[0].omitted else []
    return drawing.Saved(made.content, made.size, "; ".join([made.shows or known[kind].summary, *omitted]))


def apart(plugin: Any, runs: Sequence[Run], suffix: str) -> dict[str, Any]:
    """A plugin's picture, in the process that has imported it, as what can be sent from there.

    Raises
    ------
    Broken
        It draws no figure.
    """
    import numpy as np
    from matplotlib.figure import Figure

    def draw() -> Figure:
        made = plugin.draw(*runs)
        require(
            isinstance(made, Figure), f"draw gave {_a(made)}, where a figure of matplotlib is promised", plugin.draw
        )
        return made  # type: ignore[no-any-return]

    made = drawing.saved(draw, suffix)
    return {"content": np.frombuffer(made.content, np.uint8), "size": list(made.size), "shows": made.shows}


def _a(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _takes_several(draw: Any) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(draw).parameters.values())
