"""Scaffolds of plugins, one file a kind; each is whole, and passes ``zoo check`` as it is.

Lines of a scaffold that begin with ``#:`` are the commands that come next, and are not written.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from zoo import discover, plugged, select
from zoo.errors import BadInput

HERE = Path(__file__).parent
VALIDATOR = "validator"
NEXT = re.compile(r"^#: (.*)\n", re.MULTILINE)


def kinds() -> list[str]:
    """The kinds that there are scaffolds of.

    >>> kinds()
    ['dataset', 'deep', 'format', 'mapping', 'net', 'parameter', 'plot', 'relational', 'reweighting', 'validator']
    """
    return sorted(path.name.removesuffix(".py.txt") for path in HERE.glob("*.py.txt"))


def of(kind: str) -> str:
    """The kind of plugin that a scaffold is: a method, unless its own name is one."""
    return kind if kind in plugged.kinds() else plugged.METHOD


def after(name: str, kind: str, path: Path) -> list[str]:
    """The commands that come next, after ``zoo check``."""
    said = NEXT.findall((HERE / f"{kind}.py.txt").read_text(encoding="utf-8"))
    return [line.replace("FILE", str(path)).replace("NAME", name) for line in said]


def write(name: str, kind: str, folder: Path) -> Path:
    """Write a scaffold into a folder, which is made if it is not there; returns the file.

    Raises
    ------
    BadInput
        Unknown kind, a name that cannot be one or is taken already, a file that exists, an unwritable folder.
    """
    source = checked(name, kind)
    path = folder / f"{name}.py"
    placed(path, source)
    return path


def checked(name: str, kind: str) -> str:
    """The source of a scaffold under a name.

    Raises
    ------
    BadInput
        Unknown kind, a name that cannot be one or is taken already.
    """
    if kind not in kinds():
        raise discover.unknown("kind", kind, kinds())
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise BadInput(f"name {name!r}: lower-case letters, digits and _, a letter first, and no keyword of Python")
    which = of(kind)
    known = plugged.found(which)
    if name in known or (kind == VALIDATOR and name in select.RESERVED):
        where = f"exists already, in {known[name].path}" if name in known else "cannot be, for --select means it"
        raise BadInput(f"name {name!r}: this {which} {where}")
    cls = "".join(part.capitalize() for part in name.split("_"))
    source = NEXT.sub("", (HERE / f"{kind}.py.txt").read_text(encoding="utf-8"))
    if re.search(rf"\bimport .*\b{cls}\b", source):  # it would hide what the file imports
        cls += which.capitalize()
    return re.sub(r"\bScaffold\b", cls, source)


def placed(path: Path, text: str) -> None:
    """Write a file that is not there yet, and the folders that it lies in.

    Raises
    ------
    BadInput
        It is there, or cannot be written.
    """
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        what = path if folder.is_dir() else folder
        raise BadInput(f"{what} exists already{'' if folder.is_dir() else ' and is no folder'}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
