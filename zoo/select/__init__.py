"""Selection without target labels: the validators, one file each, read from the source without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import discover, source
from zoo.classes import Lineage, attributes, public, summary, where
from zoo.errors import BadInput, printable
from zoo.source import File, read, refuse

BASE = "zoo.select.base"
FIELDS = ("ps", "ys", "zs", "pv", "yv", "zv", "pt", "zt", "pm", "im")
PROBED = frozenset({"ps", "zs", "zv", "zt", "pm", "im"})  # asked of a fitted method before it sees test rows
OUTSIDE = ("oracle", "reverse")  # what a validator may be that is no function of what is seen of one fit
GROUP = "zoo.validators"
RESERVED = ("all", "default", "random")  # rules of selection that are no validators


@dataclass(frozen=True)
class ValidatorInfo:
    """What is known of a validator without importing it.

    Attributes
    ----------
    needs : fields of `zoo.select.base.Seen` that it reads
    outside : '' for a function of these; 'oracle' where the driver reads the value off the test labels, 'reverse' where
        it is that of a fit of its own
    """

    name: str
    summary: str
    doc: str
    path: Path
    cls: str
    needs: frozenset[str]
    outside: str
    cite: str
    plugin: bool
    module: str = ""

    def to_json(self) -> dict[str, Any]:
        """One row of ``zoo list validators --json``."""
        names = ("name", "needs", "outside", "summary", "cite")
        return {k: sorted(self.needs) if k == "needs" else getattr(self, k) for k in names}


def validators(plugins: Sequence[Path] = ()) -> dict[str, ValidatorInfo]:
    """All validators by name: the package's, the installed plugins', and the given files'.

    Raises
    ------
    BadInput
        A file breaks the contract; the line says where.
    """
    files = [(p, "", p) for p in sorted(source.ROOT.glob("select/*.py")) if not p.name.startswith("_")]
    files = [f for f in files if f[0].stem != "base"]
    files += [(path, module, path) for module, path in discover.installed(GROUP)]
    files += [(Path(p).resolve(), "", Path(p)) for p in plugins]
    found: dict[str, ValidatorInfo] = {}
    for path, module, shown in files:
        info = _validator(read(path, module, str(shown)))
        other = found.setdefault(info.name, info)
        if other.path != info.path:
            why = f"the validator {info.name!r} exists already, in {other.path}: rename this file"
            raise BadInput(f"{shown}:1: {why}")
    return dict(sorted(found.items()))


def chosen(names: Iterable[str], known: dict[str, ValidatorInfo]) -> list[ValidatorInfo]:
    """The validators of an option; ``all`` are all but those that fit again (`reverse`).

    Raises
    ------
    BadInput
        One is not known.
    """
    found: dict[str, ValidatorInfo] = {}
    for name in names:
        if name != "all" and name not in known:
            raise discover.unknown("validator", name, known)
        more = [i for i in known.values() if i.outside != "reverse"] if name == "all" else [known[name]]
        found |= {i.name: i for i in more}
    return list(found.values())


def load(info: ValidatorInfo) -> Any:
    """Import the class of a validator.

    Raises
    ------
    BadInput
        The file raises on import, or its class needs other fields than its source says.
    """
    cls = discover.load(info)  # type: ignore[arg-type]
    if frozenset(cls.needs) != info.needs or cls.outside != info.outside:
        raise BadInput(f"{info.path}:1: {info.cls} needs {sorted(cls.needs)}, its source says {sorted(info.needs)}")
    return cls


def _validator(file: File) -> ValidatorInfo:
    """Read the one public validator class of a file."""
    name, lineage = file.path.stem, _lineage(file)
    if not file.name and (file.path.suffix != ".py" or not re.fullmatch(r"[a-z][a-z0-9_]*", name)):
        refuse(file, 1, "the file's name is the validator's: lower-case letters, digits and _, ending in .py")
    if name in RESERVED:
        refuse(file, 1, f"no validator can be called {name}: --select {name} means something else")
    node, said = lineage[0][1], attributes(lineage, BASE)
    for wrong in sorted(said["needs"] - set(FIELDS)):
        refuse(*where(lineage, "needs"), f"needs: {discover.unknown('name', wrong, FIELDS)}")
    plugin = not file.name
    if said["outside"] not in ("", *OUTSIDE) or (plugin and said["outside"]):
        refuse(*where(lineage, "outside"), "outside: only the zoo's own validators look at anything but what is seen")
    return ValidatorInfo(
        name=name,
        summary=summary(node),
        doc="\n".join(map(printable, (ast.get_docstring(node) or "").splitlines())),
        path=file.path,
        cls=node.name,
        needs=frozenset(said["needs"]),
        outside=said["outside"],
        cite=said["cite"],
        plugin=plugin,
        module=file.module,
    )


def _lineage(file: File) -> Lineage:
    found = public(file, BASE, "Validator")
    if not found:
        refuse(file, 1, f"no public subclass of {BASE}.Validator in this file")
    if len(found) > 1:
        names = ", ".join(lineage[0][1].name for lineage in found)
        refuse(file, found[1][0][1].lineno, f"more than one public validator ({names}): one file, one validator")
    return found[0]
