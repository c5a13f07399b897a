"""Pictures and tables by plugins: these are handed records alone, and only so much of their answer is believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo import plugged
from zoo.bench.apart import gave, packed
from zoo.errors import BadInput, one_line, printable
from zoo.infos import FileInfo, PlotInfo
from zoo.records import Run
from zoo.report import formats, plots
from zoo.report.beside import Beside
from zoo.report.cells import Table
from zoo.report.choice import Choice, chosen
from zoo.report.drawing import Saved

PICTURE, TEXT = 1 << 28, 1 << 28  # bytes
BEGINS = {".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-", ".svg": b"<?xml "}
SAID = 1000  # characters of what a picture shows


def picture(
    runs: Sequence[Run],
    kind: str,
    suffix: str,
    choice: Choice | None = None,
    beside: Beside | None = None,
    files: Sequence[Path] = (),
    hidden: Iterable[Path] = (),
) -> Saved:
    """As `zoo.report.plots.picture`, of the kinds in `files` and of installed ones too: these see records alone.

    Raises
    ------
    BadInput
        As there; a plugin fails.
    """
    known = plugged.found("plot", files)
    if kind not in known:
        raise BadInput(f"unknown kind of plot {kind!r}: it is one of {', '.join(known)}")
    info = known[kind]
    if not isinstance(info, PlotInfo):
        return plots.picture(runs, kind, suffix, choice, beside)
    if len(runs) > 1 and not info.several:
        raise BadInput(f"--kind {kind} draws one run folder, got {len(runs)}: write draw(*runs) for several")
    if suffix not in BEGINS:
        raise BadInput(f"unknown format {suffix!r} of a plot: the file ends in one of {', '.join(BEGINS)}")
    given = [chosen(run, choice or Choice()) for run in runs]
    said = drawn(info, given, suffix, hidden=hidden)
    omitted = [given[0].omitted] if given[0].omitted else []
    return Saved(said.content, said.size, "; ".join([said.shows or info.summary, *omitted]))


def drawn(info: PlotInfo, runs: Sequence[Run], suffix: str, **how: Any) -> Saved:
    """A plugin's picture, of a file's beginning and size that are such a picture's."""
    said, _ = gave(info, "zoo.report.plots:apart", runs, suffix, doing="drawing", arrays=PICTURE, **how)
    content, size, shows = (said.get(k) if isinstance(said, dict) else None for k in ("content", "size", "shows"))
    if not packed(content).startswith(BEGINS[suffix]) or not isinstance(shows, str):
        raise BadInput(f"plugin {info.path} cannot be used: what it drew is no {suffix[1:]} picture")
    match size:
        case [int() | float() as width, int() | float() as height] if 0 < width < 1e4 and 0 < height < 1e4:
            return Saved(packed(content), (float(width), float(height)), one_line(shows, SAID))
    raise BadInput(f"plugin {info.path} cannot be used: its picture has no size")


def rendered(tables: Sequence[Table], info: FileInfo, **how: Any) -> list[str]:
    """Tables as a plugin's format writes them: texts of printable characters, line ends and tabs.

    Raises
    ------
    BadInput
        It fails, or gives something else.
    """
    given = [table.printable() for table in tables]
    said, _ = gave(info, "zoo.report.formats:apart", given, doing="rendering", arrays=TEXT, **how)
    parts = said.get("texts") if isinstance(said, dict) else None
    if not isinstance(parts, list) or len(parts) != len(tables) or not all(map(packed, parts)):
        raise BadInput(f"plugin {info.path} cannot be used: it gave no text")
    try:
        texts = [packed(part).decode() for part in parts]
    except UnicodeDecodeError:
        raise BadInput(f"plugin {info.path} cannot be used: what it gave is no text") from None
    for line in (line for text in texts for line in text.split("\n")):
        if (plain := line.replace("\t", " ")) != printable(plain):
            raise BadInput(
                f"plugin {info.path} cannot be used: its text holds control characters: {one_line(line, 60)}"
            )
    return texts


def tables(built: Sequence[Table], format: str, files: Sequence[Path] = (), hidden: Iterable[Path] = ()) -> list[str]:
    """Tables as text; the formats of plugins are among those that there are.

    Raises
    ------
    BadInput
        There is no such format; a plugin fails.
    """
    known = plugged.found("format", files)
    if format not in known:
        raise BadInput(f"unknown format {format!r}: it is one of {', '.join(known)}")
    if known[format].plugin:
        return rendered(built, known[format], hidden=hidden)
    return [formats.render(table, format) for table in built]
