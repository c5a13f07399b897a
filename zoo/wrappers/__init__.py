"""Methods of other libraries by their names there, as in ``skada:CORAL``, one file a library; found without importing.

``LIBRARY:Name`` is wrapped by the file LIBRARY.py here, ``LIBRARY:sub.Name`` by LIBRARY_sub.py where there is one: by
the first of its classes that takes what the name stands for. What that is, its parameters and their defaults are read
from the library's source. A wrapped method runs as a plugin does: in a stranger's process, one for each fit.
"""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zoo import discover, plain, source
from zoo.classes import UNREADABLE, Lineage, attributes, public, summary
from zoo.discover import MethodInfo
from zoo.errors import BadInput, unknown
from zoo.locating import locate
from zoo.source import File

CONTRACT, DEEP = "zoo.wrappers.base", 20  # imports that are followed from one file to the next


@dataclass(frozen=True)
class Theirs(File):
    """A file of a library, which resolves its relative imports by the module that it is."""

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.module


@dataclass(frozen=True)
class Wrapping:
    """A class that wraps: the literals of both contracts, and where it stands."""

    file: File
    lineage: Lineage
    said: dict[str, Any]

    @property
    def names(self) -> set[str]:
        return {node.name for _, node in self.lineage}


def named(entries: Iterable[str | dict[str, Any]]) -> dict[str, MethodInfo]:
    """The wrapped methods among the entries of ``methods:``.

    Raises
    ------
    BadInput
        A library or a name in it that there is not, or one that is not installed.
    """
    names = (entry if isinstance(entry, str) else next(iter(entry), "") for entry in entries)
    return {name: method(name) for name in names if ":" in name}


def here(names: Iterable[str]) -> dict[str, MethodInfo]:
    """The wrapped methods among names from elsewhere; those that are not here are left out."""
    found: dict[str, MethodInfo] = {}
    for name in names:
        try:
            found |= named([name])
        except BadInput:
            continue
    return found


def learner(name: str, task: str) -> MethodInfo:
    """What is known of a base learner of scikit-learn.

    Raises
    ------
    BadInput
        As `named`; what predicts something else than the task, or takes no weights.
    """
    info = method(name)
    if info.learner != "own" or task not in info.tasks:
        raise BadInput(f"base: {name}: is no learner for task: {task}")
    module, _, leaf = info.wraps.rpartition(".")
    found = _defined(module, leaf)
    fits = (f for _, n in _lineage(*found) if isinstance(n, ast.ClassDef) for f in n.body) if found else ()
    fit = next((f for f in fits if isinstance(f, ast.FunctionDef) and f.name == "fit"), None)
    if fit is None or "sample_weight" not in {a.arg for a in (*fit.args.args, *fit.args.kwonlyargs)}:
        raise BadInput(f"base: {name}: takes no weights of samples, which methods that reweigh need")
    return info


def method(name: str) -> MethodInfo:
    """What is known of a wrapped method; raises as `named`."""
    library, _, dotted = name.partition(":")
    *inner, leaf = dotted.split(".")
    wraps, inner = _wrappings(name, library, inner)
    said = wraps[0].said
    if not importlib.util.find_spec(said["root"].partition(".")[0]):
        what = f"pip install 'zoo[{said['extra']}]'" if said["extra"] else f"pip install {said['distribution']}"
        raise BadInput(f"{name}: {said['distribution']} is not installed: {what}")
    module = ".".join([said["root"], *inner])
    found = _defined(module, leaf) if _public(leaf) and (said["modules"] or not inner) else None
    if not found:
        raise _missing(name, library)
    lineage = _lineage(*found)
    above = {node.name for _, node in lineage}
    chosen = next((w for w in wraps if not w.said["of"] or above & set(w.said["of"])), None)
    if chosen is None:
        wanted = " or ".join(dict.fromkeys(kind for w in wraps for kind in w.said["of"]))
        raise BadInput(f"{name}: is no {wanted}, and zoo wraps no other of {library}")
    said, own = chosen.said, summary(found[1])
    families = (said["families"].get(part) for part in found[0].module.split("."))
    words = summary(chosen.lineage[0][1])
    return MethodInfo(
        name=name,
        family=next(filter(None, families), said["family"]),
        kind="mapping" if "Mapping" in chosen.names else "adapter",
        forward="",
        summary=own or words,
        doc="\n\n".join(filter(None, [own, words])),
        parameters=_parameters(name, lineage, said["gives"]),
        path=chosen.file.path,
        cls=chosen.lineage[0][1].name,
        plugin=True,
        title=f"{leaf} ({library})",
        wraps=f"{module}.{leaf}",
        library={said["distribution"]: _version(said["distribution"])},
        **{k: frozenset(said[k]) if k in discover.SETS else said[k] for k in discover.ATTRIBUTES},  # type: ignore[arg-type]
    )


def _wrappings(name: str, library: str, inner: list[str]) -> tuple[list[Wrapping], list[str]]:
    """The classes of the file that wraps a name, and the modules below its root that are left of the name."""
    files = [n for n in discover.names("wrappers") if n != "base"]
    libraries = [n for n in files if "_" not in n]
    if library not in libraries:
        raise BadInput(f"{name}: {unknown('library', library, libraries)}")
    own = f"{library}_{inner[0]}" in files if inner else False
    file = source.read(source.ROOT / "wrappers" / f"{'_'.join([library, inner[0]] if own else [library])}.py")
    lineages = public(file, CONTRACT, "Wrapper")
    found = [
        Wrapping(file, lineage, attributes(lineage, "zoo.adapters.base") | attributes(lineage, CONTRACT))
        for lineage in lineages
    ]
    return found, inner[own:]


@lru_cache(maxsize=256)
def _theirs(path: Path, module: str) -> Theirs:
    return Theirs(path, path.read_bytes(), str(path), module)


def _public(name: str) -> bool:
    """Whether it is written as classes are, and what makes pipelines of them: other functions are no methods."""
    return name.isidentifier() and name[0].isupper()


def _defined(module: str, name: str, depth: int = 0) -> tuple[File, ast.ClassDef | ast.FunctionDef] | None:
    """Where a name of an installed module is defined, through the imports that lead there."""
    path = locate(module) if all(map(str.isidentifier, module.split("."))) else None
    if not path or path.suffix != ".py" or depth > DEEP:
        return None
    file = _theirs(path, module)
    defined = {n.name: n for n in file.tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    if name in defined:
        return file, defined[name]
    origin, _, name = file.names.get(name, "").rpartition(".")
    return _defined(origin, name, depth + 1) if origin else None


def _lineage(file: File, node: ast.ClassDef | ast.FunctionDef) -> list[tuple[File, ast.ClassDef | ast.FunctionDef]]:
    """What is defined, and the classes above it whose source can be read."""
    found = [(file, node)]
    for base in node.bases if isinstance(node, ast.ClassDef) else ():
        head, _, rest = ast.unparse(base).partition(".")
        origin, _, name = ".".join(filter(None, [file.names.get(head, ""), rest])).rpartition(".")
        own = file.classes.get(head)
        above = (file, own) if own is not None and own is not node else _defined(origin, name) if origin else None
        found += _lineage(*above) if above else []
    return found


def _parameters(name: str, lineage: list[tuple[File, Any]], gives: tuple[str, ...]) -> dict[str, Any]:
    """Parameters and their defaults; those whose default is no literal are left at it."""
    made = (n if isinstance(n, ast.FunctionDef) else _constructor(n) for _, n in lineage)
    function = next(filter(None, made), None)
    if function is None:
        return {}
    a = function.args
    names = [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    given: list[ast.expr | None] = [*a.defaults, *a.kw_defaults]
    defaults = dict(zip(names, [None] * (len(names) - len(given)) + given, strict=True))
    found = {}
    for parameter in names[function.name == "__init__" :]:
        default = defaults[parameter]
        if parameter in gives:
            continue
        if default is None:
            raise BadInput(f"{name}: its {parameter} has no default, and zoo has none to give")
        try:
            value = ast.literal_eval(default)
        except UNREADABLE:
            continue
        if not plain.unfit_value(value):
            found[parameter] = value
    return found


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)


def _missing(name: str, library: str) -> BadInput:
    """The error for a name that a library does not have, with those of its names that are like it."""
    asked = name.partition(":")[2]
    known = list(dict.fromkeys(_names(library)))
    ends = {n.rpartition(".")[2]: n for n in reversed(known)}
    close = get_close_matches(asked, known, 3) or [
        ends[n] for n in get_close_matches(asked.rpartition(".")[2], ends, 3)
    ]
    meant = " or ".join(repr(f"{library}:{n}") for n in close)
    hint = f"did you mean {meant}?" if close else f"there are {len(known)}, such as {library}:{(known or ['-'])[0]}"
    return BadInput(f"unknown method {name!r}: {hint}")


def _names(library: str) -> Iterator[str]:
    """The names of a library that could be methods, as they are written behind the colon."""
    for path in sorted(source.ROOT.glob(f"wrappers/{library}*.py")):
        said = _wrappings("", library, path.stem.split("_")[1:])[0][0].said
        below = "".join(f"{part}." for part in path.stem.split("_")[1:])
        yield from (f"{below}{n}" for n in _exported(said["root"]))
        for sub in _modules(said["root"]) if said["modules"] else ():
            yield from (f"{below}{sub}.{n}" for n in _exported(f"{said['root']}.{sub}"))


def _exported(module: str) -> list[str]:
    path = locate(module)
    if not path or path.suffix != ".py":
        return []
    file = _theirs(path, module)
    return sorted(
        n for n in {*file.names, *file.classes} if _public(n) and not n.startswith("Base") and not n.endswith("Mixin")
    )


def _modules(root: str) -> list[str]:
    path = locate(root)
    return [m.name for m in pkgutil.iter_modules([str(Path(path).parent)] if path else []) if m.name[0] != "_"]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # a copy on the path
        return "?"
