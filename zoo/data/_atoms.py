"""Files of ground atoms, ``pred(a,b).`` a line, and of modes, ``pred(+type,-type).`` a line, as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zoo.errors import BadInput

ATOM = re.compile(r"\s*(?:mode\s*:\s*)?([^\W\d]\w*)\s*\((.*)\)\s*+\.?\s*+")
ARGUMENT = re.compile(r"""\s*("[^"]*"|'[^']*'|[^\s,()"'][^,()"']*+)\s*(?:,|$)""")
SETTING = re.compile(r"\s*\w+\s*:\s*\w+\s*\.?\s*")  # of other programs: `setParam: maxTreeDepth=3.`, not ours
ARITIES = (1, 2, 3)


class Atom(NamedTuple):
    """A predicate with its arguments, and where it was written."""

    predicate: str
    arguments: tuple[str, ...]
    path: Path
    line: int

    @property
    def place(self) -> str:
        """File and line, as messages name them."""
        return f"{self.path}, line {self.line}"


def facts(path: Path) -> list[Atom]:
    """The ground atoms of a file; empty lines and comments (``%``, ``//``) are passed over.

    Raises
    ------
    BadInput
        The file cannot be read; a line is no atom, or has other than 1 to 3 arguments.
    """
    return [_atom(path, number, line, "pred(a,b).") for number, line in _lines(path)]


def modes(path: Path) -> list[Atom]:
    """The modes of a file, with the bare types as arguments: ``ta(+course,-person,#term)`` is of course, person, term.

    Raises
    ------
    BadInput
        As for `facts`.
    """
    found = []
    for number, line in _lines(path):
        if "=" in line or (SETTING.fullmatch(line) and not line.lstrip().startswith("mode")):
            continue
        atom = _atom(path, number, line, "pred(+type,-type).")
        found.append(atom._replace(arguments=tuple(a.lstrip("+-#`").strip() for a in atom.arguments)))
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}") from None
    for number, line in enumerate(text.splitlines(), 1):
        if (bare := line.strip()) and not bare.startswith(("%", "//")):
            yield number, bare


def _atom(path: Path, number: int, line: str, example: str) -> Atom:
    found = ATOM.fullmatch(line)
    arguments = _arguments(found[2]) if found else ()
    if not found or not arguments:
        shown = line if len(line) <= 60 else f"{line[:59]}…"
        raise BadInput(f"{path}, line {number}: malformed fact {shown!r}: expected {example}")
    if len(arguments) not in ARITIES:
        raise BadInput(f"{path}, line {number}: {found[1]} has {len(arguments)} arguments; a fact has 1 to 3")
    return Atom(found[1], arguments, path, number)


def _arguments(text: str) -> tuple[str, ...]:
    """The arguments between the brackets; none where they are malformed."""
    found: list[str] = []
    at = 0
    while at < len(text) or not found:
        m = ARGUMENT.match(text, at)
        if not m:
            return ()
        found.append(m[1].strip().strip("\"'"))
        at = m.end()
    return () if text.rstrip().endswith(",") else tuple(found)
