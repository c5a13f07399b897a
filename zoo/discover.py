"""What is in the zoo, read from the source without importing it: listing it must cost no torch.

A method is the one public adapter class of a file; its class attributes and constructor defaults are literals, so that
they can be resolved here, through the bases and the files these come from.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NoReturn

from zoo.errors import BadInput
from zoo.task import FIELDS, setting_of

ROOT = Path(__file__).resolve().parent
FAMILIES = ("baseline", "instance", "feature", "parameter", "relational")
LEARNERS = ("base", "net", "both", "own")
ATTRIBUTES = ("needs", "learner", "cite", "space", "deterministic", "transductive_only")
KINDS = {"Reweighting": "reweighting", "Mapping": "mapping", "DeepAdapter": "deep", "Tuning": "parameter"}


@dataclass(frozen=True)
class FileInfo:
    """A thing that is one file: a net, an executor, a suite. `cls` is its class, if it is one."""

    name: str
    summary: str
    path: Path
    cls: str = ""


@dataclass(frozen=True)
class DatasetInfo(FileInfo):
    """What `zoo list datasets` and the planner know of a data set: the literals of its class."""

    domains: tuple[str, ...] = ()
    images: bool = False
    photographs: bool = False
    facts: bool = False
    graphs: bool = False
    cite: str = ""
    origin: str = ""
    licence: str = ""
    folder: str = ""


@dataclass(frozen=True)
class NetInfo(FileInfo):
    """What the planner knows of a network: the literals of its class."""

    batch: int = 0
    smallest: int = 0
    graphs: bool = False
    domains: tuple[int, ...] = ()


@dataclass(frozen=True)
class MethodInfo:
    """What is known of a method without importing it.

    Attributes
    ----------
    kind : {'reweighting', 'mapping', 'deep', 'parameter', 'relational', 'baseline', 'adapter'}
        Its base class; for plain adapters the family, where that says more.
    forward : {'separate', 'joint', ''}
        Of deep adapters.
    parameters : the constructor's parameters and their defaults
    module : name under which an installed plugin is imported; others are imported by their file
    """

    name: str
    family: str
    kind: str
    learner: str
    needs: frozenset[str]
    cite: str
    space: dict[str, tuple[Any, ...]]
    deterministic: bool
    transductive_only: bool
    forward: str
    summary: str
    doc: str
    parameters: dict[str, Any]
    path: Path
    cls: str
    plugin: bool
    module: str = ""

    @property
    def setting(self) -> str:
        """The label access that its needs amount to."""
        return setting_of(self.needs)

    def to_json(self) -> dict[str, Any]:
        """One row of ``zoo list methods --json``."""
        names = ("name", "family", "setting", "learner", "needs", "kind", "summary", "cite", "parameters")
        return {k: sorted(self.needs) if k == "needs" else getattr(self, k) for k in names}


def methods(plugins: Sequence[Path] = ()) -> dict[str, MethodInfo]:
    """All methods: the package's, the installed plugins', and the given files', by family and name.

    Raises
    ------
    BadInput
        A file breaks the contract; the line says where.
    """
    files = [_read(p) for p in sorted(ROOT.glob("adapters/*/*.py")) if not p.name.startswith("_")]
    files += [_read(path, module) for module, path in _installed()]
    files += [_read(Path(p).resolve(), shown=str(p)) for p in plugins]
    found: dict[str, MethodInfo] = {}
    for file in files:
        info = _method(file)
        other = found.setdefault(info.name, info)
        if other.path != info.path:
            _refuse(file, 1, f"the method {info.name!r} exists already, in {other.path}: rename this file")
    return dict(sorted(found.items(), key=lambda item: (FAMILIES.index(item[1].family), item[0])))


def datasets() -> dict[str, DatasetInfo]:
    """The known data sets: the public subclass of Dataset of each file under ``zoo/data/``."""
    found = {}
    for file, lineage in _subclasses("data", "zoo.data.base", "Dataset"):
        own = lineage[0][1]
        found[file.path.stem] = DatasetInfo(**_face(file, own), **_attributes(lineage, "zoo.data.base"))
    return found


def nets() -> dict[str, NetInfo]:
    """The known networks: the public subclass of Net of each file under ``zoo/nets/``."""
    found = {}
    for file, lineage in _subclasses("nets", "zoo.nets", "Net"):
        found[file.path.stem] = NetInfo(**_face(file, lineage[0][1]), **_attributes(lineage, "zoo.nets"))
    return found


def torchvision_nets() -> list[str]:
    """Names of torchvision's classification models, read from its source: importing it takes seconds."""
    spec = importlib.util.find_spec("torchvision")
    folder = Path(str(spec.origin)).parent / "models" if spec else Path()
    found = r"^@register_model\(\)\n(?:@.*\n(?:[ )].*\n)*)*def (\w+)\("
    return sorted(name for path in folder.glob("*.py") for name in re.findall(found, path.read_text(), re.MULTILINE))


def executors() -> dict[str, FileInfo]:
    """The known executors: the files under ``zoo/bench/executors/``."""
    paths = sorted(p for p in ROOT.glob("bench/executors/*.py") if not p.name.startswith("_"))
    return {p.stem: FileInfo(p.stem, _summary(_read(p).tree), p) for p in paths}


def suites() -> dict[str, FileInfo]:
    """The suites in the package; a suite's first comment line is its summary."""
    found = {}
    for path in sorted(ROOT.glob("suites/*.yaml")):
        comments = (line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
        found[path.stem] = FileInfo(path.stem, next(comments, ""), path)
    return found


def load(info: MethodInfo | FileInfo) -> Any:
    """Import the class behind `info` (the module, where there is no class).

    Raises
    ------
    BadInput
        The file raises on import, or its class is not what its source said.
    """
    name = getattr(info, "module", "") or _module(info.path)
    try:
        module = importlib.import_module(name) if name else _import_file(info.path)
    except (Exception, SystemExit) as e:  # a plugin is a stranger's code
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if f.filename == str(info.path)]
        what = " ".join(str(e).split())
        raise BadInput(f"{info.path}:{lines[-1] if lines else 1}: import raises {type(e).__name__}: {what}") from e
    if not info.cls:
        return module
    cls = getattr(module, info.cls)
    if isinstance(info, MethodInfo):
        got = {k: getattr(cls, k) for k in ATTRIBUTES}
        got["parameters"] = {p.name: p.default for p in inspect.signature(cls).parameters.values()}
        for k, value in got.items():
            if value != getattr(info, k):
                raise BadInput(f"{info.path}:1: {info.cls} has {k} = {value}, its source says {getattr(info, k)}")
    return cls


def code_hash(path: Path, *more: Path) -> str:
    """sha256 of files and the zoo files that they import, transitively, found statically.

    What is imported for type checking only does not count, nor does a package's ``__init__`` unless something in it
    is imported. The hash knows module names, not folders: a plugin keeps it wherever it is copied.
    """
    waiting, sources = [Path(p).resolve() for p in (path, *more)], {}
    while waiting:
        path = waiting.pop()
        if path not in sources:
            file = _read(path)
            sources[path] = (file.name or path.name, file.source)
            waiting += [found for name in file.imported if (found := _source(name))]
    digest = hashlib.sha256()
    for name, source in sorted(sources.values()):
        digest.update(repr((name, len(source))).encode())
        digest.update(source)
    return digest.hexdigest()


def references() -> dict[str, str]:
    """The entries of ``zoo/refs.bib`` by key, as they stand there."""
    entries = re.split(r"^(?=@)", (ROOT / "refs.bib").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {entry[entry.index("{") + 1 : entry.index(",")].strip(): entry.strip() for entry in entries}


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that does not exist, with the names that were perhaps meant.

    >>> unknown("method", "danm", ["dan", "dann", "kmm"])
    BadInput("unknown method 'danm': did you mean 'dan' or 'dann'?")
    >>> unknown("net", "x", ["mlp", "cnn"])
    BadInput("unknown net 'x': there are cnn, mlp")
    """
    from difflib import get_close_matches

    known = sorted(known)
    close = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {', '.join(known) or 'none'}"
    return BadInput(f"unknown {kind} {name!r}: {hint}")


# Source files ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """A parsed source file. `name` is its module in the package, "" outside; `module` an installed plugin's."""

    path: Path
    source: bytes = field(repr=False)
    shown: str
    module: str = ""

    @cached_property
    def name(self) -> str:
        return _module(self.path)

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.source)
        except SyntaxError as e:
            _refuse(self, e.lineno or 1, f"syntax error: {e.msg}")
        except ValueError as e:  # null bytes
            _refuse(self, 1, f"syntax error: {e}")

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for node in self.tree.body if isinstance(node, ast.ClassDef)}

    @cached_property
    def names(self) -> dict[str, str]:
        """What imports bind at top level: local name to dotted name."""
        bound: dict[str, str] = {}
        for node in self.tree.body:
            if isinstance(node, ast.Import):  # `import a.b` binds a
                full = {a.asname or a.name.partition(".")[0]: a for a in node.names}
                bound |= {local: a.name if a.asname else local for local, a in full.items()}
            elif isinstance(node, ast.ImportFrom):
                bound |= {a.asname or a.name: f"{self._origin(node)}.{a.name}" for a in node.names}
        return bound

    @cached_property
    def imported(self) -> frozenset[str]:
        """Modules that it names in imports, at any depth, type checking aside."""
        found = set()
        for node in _running(self.tree):
            if isinstance(node, ast.Import):
                found |= {a.name for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                found |= {sub if _source(sub := f"{origin}.{a.name}") else origin for a in node.names}
        return frozenset(found)

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") + [""] * (self.path.name == "__init__.py")
        return ".".join([*package[: len(package) - node.level], *filter(None, [node.module])])


def _read(path: Path, module: str = "", shown: str = "") -> _File:
    try:
        return _parsed(path, path.read_bytes(), shown or str(path), module)
    except OSError as e:
        raise BadInput(f"{shown or path}:1: cannot be read: {e.strerror}") from e


# The key holds the content, so that an edited file is parsed again; a run hashes each file for many methods.
_parsed = lru_cache(maxsize=1024)(_File)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, except below ``if TYPE_CHECKING:``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        typing_only = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        waiting += node.orelse if typing_only else ast.iter_child_nodes(node)  # type: ignore[attr-defined]


def _module(path: Path) -> str:
    """Dotted name of a file of the package, "" for others."""
    if not path.is_relative_to(ROOT):
        return ""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@lru_cache(maxsize=4096)
def _source(module: str) -> Path | None:
    """File of a module of the package, None for others."""
    top, *rest = module.split(".")
    if top != ROOT.name:
        return None
    path = ROOT.joinpath(*rest)
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def _installed() -> list[tuple[str, Path]]:
    """Module and file of each entry point of the group ``zoo.adapters``."""
    return [(e.module, _locate(e.module, e.value)) for e in entry_points(group="zoo.adapters")]


def _locate(module: str, shown: str) -> Path:
    # find_spec of a dotted name imports the parents; searching each parent's folders does not.
    top, *rest = module.split(".")
    spec: ModuleSpec | None = importlib.util.find_spec(top)
    for part in rest:
        spec = spec and PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations or [])
    if not spec or not spec.origin:
        raise BadInput(f"entry point {shown} of group zoo.adapters: there is no module {module}")
    return Path(spec.origin)


def _import_file(path: Path) -> Any:
    # The name holds the content, so that a plugin edited in a notebook's lifetime is imported again.
    key = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]
    name = f"_zoo_plugin_{path.stem}_{key}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


# Classes --------------------------------------------------------------------------------------------------------------

_Lineage = list[tuple[_File, ast.ClassDef]]


def _method(file: _File) -> MethodInfo:
    """Read the one public adapter class of a file."""
    name, base = file.path.stem, "zoo.adapters.base"
    plugin = not file.name
    if plugin and (file.path.suffix != ".py" or not re.fullmatch(r"[a-z][a-z0-9_]*", name)):
        _refuse(file, 1, "the file's name is the method's: lower-case letters, digits and _, ending in .py")
    lineage = _adapter(file)
    cls = lineage[0][1]
    said = _attributes(lineage, base)
    parameters = _parameters(lineage)
    family = _family(file, lineage)
    bases = [node.name for f, node in lineage if f.name == base]
    plain = family if family in ("relational", "baseline") else "adapter"

    def check(attribute: str, wrong: Iterable[str], known: Iterable[str]) -> None:
        for value in sorted(wrong):
            _refuse(*_where(lineage, attribute), f"{attribute}: {unknown('name', value, known)}")

    check("needs", said["needs"] - set(FIELDS), FIELDS)
    check("learner", {said["learner"]} - set(LEARNERS), LEARNERS)
    check("space", set(said["space"]) - set(parameters), parameters)
    check("forward", {said.get("forward", "joint")} - {"separate", "joint"}, ("separate", "joint"))
    return MethodInfo(
        **(_face(file, cls) | {"name": name}),
        family=family,
        kind=next((KINDS[b] for b in bases if b in KINDS), plain),
        doc=ast.get_docstring(cls) or "",
        parameters=parameters,
        plugin=plugin,
        module=file.module,
        forward=said.get("forward", ""),
        needs=frozenset(said["needs"]),
        **{k: said[k] for k in ATTRIBUTES if k != "needs"},
    )


def _adapter(file: _File) -> _Lineage:
    found = _public(file, "zoo.adapters.base", "Adapter")
    if not found:
        _refuse(file, 1, "no public subclass of zoo.adapters.base.Adapter in this file")
    if len(found) > 1:
        names = [lineage[0][1].name for lineage in found]
        line = found[1][0][1].lineno
        _refuse(file, line, f"more than one public adapter class ({', '.join(names)}): one file, one method")
    return found[0]


def _family(file: _File, lineage: _Lineage) -> str:
    """The folder's in the package; otherwise what the class or the nearest of its bases says."""
    for f, node in lineage:
        parts = f.name.split(".")
        family = parts[2] if len(parts) == 4 else _literals(f, node, {"family": str}).get("family")
        if family in FAMILIES:
            return family
        if family:
            _refuse(*_where(lineage, "family"), f"family: {unknown('name', family, FAMILIES)}")
    _refuse(file, lineage[0][1].lineno, f"an adapter on plain Adapter has to state its family: {', '.join(FAMILIES)}")


def _subclasses(folder: str, module: str, root: str) -> Iterator[tuple[_File, _Lineage]]:
    """Files of a folder of the package that hold a public subclass of `root`."""
    for path in sorted(p for p in ROOT.glob(f"{folder}/*.py") if not p.name.startswith("_")):
        file = _read(path)
        for lineage in _public(file, module, root)[:1]:
            yield file, lineage


def _public(file: _File, module: str, root: str) -> list[_Lineage]:
    """Lineages of the public classes of a file that descend from class `root` of `module`."""
    lineages = [_lineage(file, node) for name, node in file.classes.items() if not name.startswith("_")]
    return [x for x in lineages if any((f.name, node.name) == (module, root) for f, node in x[1:])]


def _lineage(file: _File, node: ast.ClassDef) -> _Lineage:
    """A class and its bases in the order in which attributes are looked up: a shared base after its subclasses."""
    found = [(file, node)]
    for expression in node.bases:
        base = _resolve(file, expression, node.lineno)
        found += _lineage(*base) if base else []
    return list(reversed(dict.fromkeys(reversed(found))))


def _resolve(file: _File, expression: ast.expr, line: int) -> tuple[_File, ast.ClassDef] | None:
    """The class that a base-class expression means, if it is of the package or of this file above `line`."""
    head, _, rest = ast.unparse(expression).partition("[")[0].partition(".")
    own = file.classes.get(head)
    if own is not None and own.lineno < line:
        return file, own
    dotted = ".".join(filter(None, (file.names.get(head), rest)))
    module, _, name = dotted.rpartition(".")
    path = _source(module) if head in file.names else None
    return _resolve(_read(path), ast.Name(name), sys.maxsize) if path else None


def _attributes(lineage: _Lineage, contract: str) -> dict[str, Any]:
    """Class attributes that the classes of module `contract` declare with a value, resolved along the lineage."""
    said: dict[str, Any] = {}
    for file, node in reversed(lineage):
        own = file.name == contract
        types = {k: type(v) for k, v in said.items()}
        said |= _literals(file, node, None if own else types)
    return said


def _literals(file: _File, node: ast.ClassDef, types: dict[str, type] | None) -> dict[str, Any]:
    """Values that a class body gives to the names in `types` (None: to all), which have to be literals of that type."""
    found = {}
    for statement in node.body:
        names, value = _bound(statement)
        for name in sorted(names if types is None else names & types.keys()):
            try:
                found[name] = ast.literal_eval(value)  # type: ignore[arg-type]
            except (ValueError, TypeError, SyntaxError):
                if types is None and value is None:
                    continue  # the contract's methods and declarations
                _refuse(file, statement.lineno, f"{name} has to be a literal, readable without running the file")
            if types is not None and type(found[name]) is not types[name]:
                _refuse(file, statement.lineno, f"{name} has to be a {types[name].__name__} literal")
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


def _parameters(lineage: _Lineage) -> dict[str, Any]:
    """The constructor's parameters and their defaults, which have to be literals."""
    for file, node in lineage:
        for f in node.body:
            if isinstance(f, ast.FunctionDef) and f.name == "__init__":
                a = f.args
                if a.vararg or a.kwarg:
                    _refuse(file, f.lineno, "the constructor takes * or **: name every parameter, with a default")
                names = [*a.posonlyargs, *a.args, *a.kwonlyargs][1:]
                given = [*a.defaults, *a.kw_defaults]
                defaults = [None] * (len(names) - len(given)) + given
                return {n.arg: _default(file, n, d) for n, d in zip(names, defaults, strict=True)}
    return {}


def _default(file: _File, arg: ast.arg, default: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(default)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        _refuse(file, arg.lineno, f"parameter {arg.arg!r} has no literal default, which is the method's default row")


def _face(file: _File, node: ast.ClassDef) -> dict[str, Any]:
    return {"name": file.path.stem, "summary": _summary(node), "path": file.path, "cls": node.name}


def _summary(node: ast.ClassDef | ast.Module) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _where(lineage: _Lineage, attribute: str) -> tuple[_File, int]:
    """Where the value of an attribute was given."""
    places = ((f, s.lineno) for f, node in lineage for s in node.body if attribute in _bound(s)[0])
    return next(places, (lineage[0][0], lineage[0][1].lineno))


def _refuse(file: _File, line: int, why: str) -> NoReturn:
    raise BadInput(f"{file.shown}:{line}: {why}")
