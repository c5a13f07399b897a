"""Scaffolds of new methods and validators, one file a kind; each is whole, and passes ``zoo check`` as it is."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from zoo import discover, select
from zoo.errors import BadInput

HERE = Path(__file__).parent
VALIDATOR = "validator"  # the kind that is no method


def kinds() -> list[str]:
    """The kinds that there are scaffolds of.

    >>> kinds()
    ['deep', 'mapping', 'parameter', 'relational', 'reweighting', 'validator']
    """
    return sorted(path.name.removesuffix(".py.txt") for path in HERE.glob("*.py.txt"))


def write(name: str, kind: str, folder: Path) -> Path:
    """Write the scaffold of a method or validator into a folder, which is made if it is not there; returns the file.

    Raises
    ------
    BadInput
        Unknown kind, a name that cannot be one or is taken already, a file that exists, an unwritable folder.
    """
    if kind not in kinds():
        raise discover.unknown("kind", kind, kinds())
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise BadInput(f"name {name!r}: lower-case letters, digits and _, a letter first, and no keyword of Python")
    which, known = ("validator", select.validators()) if kind == VALIDATOR else ("method", discover.methods())
    if name in known or (kind == VALIDATOR and name in select.RESERVED):
        where = f"exists already, in {known[name].path}" if name in known else "cannot be, for --select means it"
        raise BadInput(f"name {name!r}: this {which} {where}")
    path = folder / f"{name}.py"
    cls = "".join(part.capitalize() for part in name.split("_"))
    source = (HERE / f"{kind}.py.txt").read_text(encoding="utf-8")
    if re.search(rf"\bimport .*\b{cls}\b", source):  # it would hide what the file imports
        cls += "Method" if kind != VALIDATOR else "Judge"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(re.sub(r"\bScaffold\b", cls, source))
    except FileExistsError:
        what = path if folder.is_dir() else folder
        raise BadInput(f"{what} exists already{'' if folder.is_dir() else ' and is no folder'}") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
    return path
