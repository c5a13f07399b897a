"""Classes as their source has them: their bases, and the literals that these give to attributes and parameters."""

from __future__ import annotations

import ast
import sys
from typing import Any

from zoo import plain
from zoo.errors import printable
from zoo.source import File, find, read, refuse

Lineage = list[tuple[File, ast.ClassDef]]
UNREADABLE = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError)  # of what is no literal


def public(file: File, module: str, root: str) -> list[Lineage]:
    """Lineages of the public classes of a file that descend from class `root` of `module`."""
    lineages = [_lineage(file, node) for name, node in file.classes.items() if not name.startswith("_")]
    return [x for x in lineages if any((f.name, node.name) == (module, root) for f, node in x[1:])]


def _lineage(file: File, node: ast.ClassDef) -> Lineage:
    """A class and its bases in the order in which attributes are looked up: a shared base after its subclasses."""
    found = [(file, node)]
    for expression in node.bases:
        base = _resolve(file, expression, node.lineno)
        found += _lineage(*base) if base else []
    return list(reversed(dict.fromkeys(reversed(found))))


def _resolve(file: File, expression: ast.expr, line: int) -> tuple[File, ast.ClassDef] | None:
    """The class that a base-class expression means, if it is of the package or of this file above `line`."""
    head, _, rest = ast.unparse(expression).partition("[")[0].partition(".")
    own = file.classes.get(head)
    if own is not None and own.lineno < line:
        return file, own
    dotted = ".".join(filter(None, (file.names.get(head), rest)))
    module, _, name = dotted.rpartition(".")
    path = find(module) if head in file.names else None
    return _resolve(read(path), ast.Name(name), sys.maxsize) if path else None


def attributes(lineage: Lineage, contract: str) -> dict[str, Any]:
    """Class attributes that the classes of module `contract` declare with a value, resolved along the lineage."""
    said: dict[str, Any] = {}
    for file, node in reversed(lineage):
        own = file.name == contract
        types = {k: type(v) for k, v in said.items()}
        said |= literals(file, node, None if own else types)
    return said


def literals(file: File, node: ast.ClassDef, types: dict[str, type] | None) -> dict[str, Any]:
    """Values that a class body gives to the names in `types` (None: to all), which have to be literals of that type."""
    found = {}
    for statement in node.body:
        names, value = _bound(statement)
        for name in sorted(names if types is None else names & types.keys()):
            try:
                found[name] = ast.literal_eval(value)  # type: ignore[arg-type]
            except UNREADABLE:
                if types is None and value is None:
                    continue  # the contract's methods and declarations
                refuse(file, statement.lineno, f"{name} has to be a literal, readable without running the file")
            if types is not None and type(found[name]) is not types[name]:
                refuse(file, statement.lineno, f"{name} has to be a {types[name].__name__} literal")
    return found


def _bound(statement: ast.stmt) -> tuple[set[str], ast.expr | None]:
    """The names that a statement of a class body binds, and the value where it is a plain assignment."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return {name}, value
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            return ({name} if value else set()), value
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}, None
        case _:  # in a branch, a loop, a tuple: no literal
            return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}, None


def parameters(lineage: Lineage) -> dict[str, Any]:
    """The constructor's parameters and their defaults, which have to be literals."""
    for file, node in lineage:
        for f in node.body:
            if isinstance(f, ast.FunctionDef) and f.name == "__init__":
                a = f.args
                if a.vararg or a.kwarg:
                    refuse(file, f.lineno, "the constructor takes * or **: name every parameter, with a default")
                names = [*a.posonlyargs, *a.args, *a.kwonlyargs][1:]
                given = [*a.defaults, *a.kw_defaults]
                defaults = [None] * (len(names) - len(given)) + given
                return {n.arg: _default(file, n, d) for n, d in zip(names, defaults, strict=True)}
    return {}


def _default(file: File, arg: ast.arg, default: ast.expr | None) -> Any:
    try:
        value = ast.literal_eval(default)  # type: ignore[arg-type]
    except UNREADABLE:
        refuse(file, arg.lineno, f"parameter {arg.arg!r} has no literal default, which is the method's default row")
    if why := plain.unfit_value(value):  # it stands in records, which are JSON
        refuse(file, arg.lineno, f"parameter {arg.arg!r}: {why}")
    return value


def summary(node: ast.ClassDef | ast.FunctionDef | ast.Module) -> str:
    return printable((ast.get_docstring(node) or "").partition("\n")[0])


def where(lineage: Lineage, attribute: str) -> tuple[File, int]:
    """Where the value of an attribute was given."""
    places = ((f, s.lineno) for f, node in lineage for s in node.body if attribute in _bound(s)[0])
    return next(places, (lineage[0][0], lineage[0][1].lineno))
