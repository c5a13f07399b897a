"""What a kind of plugin has to say, and what all kinds read alike. Nothing of a plugin is imported here."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from zoo.classes import Lineage, public, summary
from zoo.infos import FileInfo
from zoo.source import File, refuse


class Plugged:
    """The public subclass in a file here; the kind is called as the file.

    Attributes
    ----------
    group : of its entry points
    by_class : whether a file holds a class of it, and not a function; a file with both is the class's
    """

    group: ClassVar[str] = ""
    by_class: ClassVar[bool] = True

    def known(self) -> Mapping[str, FileInfo]:
        """Those of the zoo."""
        return {}

    def holds(self, file: File) -> bool:
        """Whether a file is one."""
        raise NotImplementedError

    def read(self, file: File) -> FileInfo:
        """What is known of one from its source.

        Raises
        ------
        BadInput
            It breaks a rule; the line says where.
        """
        raise NotImplementedError


def named(file: File, what: str) -> dict[str, Any]:
    """The fields of a `FileInfo` that follow from the file; refused where its name cannot be one."""
    name = file.path.stem
    if not file.name and (file.path.suffix != ".py" or not re.fullmatch(r"[a-z][a-z0-9_]*", name)):
        refuse(file, 1, f"the file's name is the {what}'s: lower-case letters, digits and _, ending in .py")
    return {"name": name, "path": file.path, "module": file.module, "plugin": not file.name}


def only(file: File, module: str, root: str, what: str) -> Lineage:
    """The one public class of a file that descends from a class of the zoo."""
    found = public(file, module, root)
    if not found:
        refuse(file, 1, f"no public subclass of {module}.{root} in this file")
    if len(found) > 1:
        names = ", ".join(lineage[0][1].name for lineage in found)
        refuse(file, found[1][0][1].lineno, f"more than one public {what} ({names}): one file, one {what}")
    return found[0]


def function(file: File, name: str) -> ast.FunctionDef | None:
    """A function of a file by its name."""
    return next((n for n in file.tree.body if isinstance(n, ast.FunctionDef) and n.name == name), None)


def takes_one(file: File, node: ast.FunctionDef, how: str) -> bool:
    """Whether a function takes any number of arguments; refused where one alone, or any number, cannot be given."""
    a = node.args
    needed = len([*a.posonlyargs, *a.args]) - len(a.defaults)
    given = len([*a.posonlyargs, *a.args])
    if any(d is None for d in a.kw_defaults) or needed > 1 or not (given or a.vararg):
        refuse(file, node.lineno, f"{node.name} is called with one thing, the records: write {how}")
    return a.vararg is not None


def of_function(file: File, node: ast.FunctionDef, what: str) -> dict[str, Any]:
    """As `named`, with the first line of the file's or the function's docstring."""
    said = summary(file.tree) or (ast.get_docstring(node) or "").partition("\n")[0]
    return named(file, what) | {"summary": said}
