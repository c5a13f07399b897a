"""Source files of the zoo and of plugins, parsed but never imported, and the hash of what a file runs."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NoReturn

from zoo.errors import BadInput

ROOT = Path(__file__).resolve().parent


@dataclass(frozen=True)
class File:
    """A parsed source file. `name` is its module in the package, "" outside; `module` an installed plugin's."""

    path: Path
    source: bytes = field(repr=False)
    shown: str
    module: str = ""

    @cached_property
    def name(self) -> str:
        return module_of(self.path)

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.source)
        except SyntaxError as e:
            refuse(self, e.lineno or 1, f"syntax error: {e.msg}")
        except ValueError as e:  # null bytes
            refuse(self, 1, f"syntax error: {e}")
        except (RecursionError, MemoryError):  # the parser says either
            refuse(self, 1, "syntax error: nested too deeply")

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
                found |= {sub if find(sub := f"{origin}.{a.name}") else origin for a in node.names}
        return frozenset(found)

    @cached_property
    def code(self) -> str:
        """sha256 of what it runs; a better sentence, annotation of a function or layout changes nothing."""
        digest = hashlib.sha256()
        for token in _tokens(self.tree):
            digest.update(f"{len(token)} {token}".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") + [""] * (self.path.name == "__init__.py")
        return ".".join([*package[: len(package) - node.level], *filter(None, [node.module])])


def read(path: Path, module: str = "", shown: str = "") -> File:
    """The parsed file; `shown` is how errors name it.

    Raises
    ------
    BadInput
        It cannot be read.
    """
    _note(path)
    try:
        return _parsed(path, path.read_bytes(), shown or str(path), module)
    except OSError as e:
        raise BadInput(f"{shown or path}:1: cannot be read: {e.strerror}") from e


# The key holds the content, so that an edited file is parsed again; a run hashes each file for many methods.
_parsed = lru_cache(maxsize=1024)(File)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, except below ``if TYPE_CHECKING:``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.orelse if _typing_only(node) else ast.iter_child_nodes(node)  # type: ignore[attr-defined]


def _typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _tokens(tree: ast.AST) -> Iterator[str]:
    """What a tree runs, in words that mean one tree only and are the same for all versions of Python.

    `ast.dump` is neither: versions differ in the fields of a node, and in whether empty ones are shown.
    """
    waiting: list[Any] = [tree]
    while waiting:
        match waiting.pop():
            case ast.Constant(value=value):
                yield f"{type(value).__name__} {value!r}"
            case ast.AST() as node:
                fields = {k: v for k, v in _run(node).items() if v is not None and v != []}
                yield f"{type(node).__name__} {' '.join(fields)}"
                waiting += fields.values()
            case list() as several:
                yield f"list {len(several)}"
                waiting += several
            case value:  # a name, or the None of a list
                yield f"{type(value).__name__} {value!r}"


def _run(node: ast.AST) -> dict[str, Any]:
    """A node's fields less what does nothing when it runs: docstrings, annotations, display names, what types need."""
    fields = dict(ast.iter_fields(node))
    match node:
        case ast.ClassDef():
            fields["body"] = [s for s in node.body if not _face(s)]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            del fields["returns"]
        case ast.arg():
            del fields["annotation"]
        case ast.If() if _typing_only(node):
            fields["body"] = []
    fields.pop("type_comment", None)
    for name in ("body", "orelse", "finalbody"):
        if isinstance(part := fields.get(name), list):
            fields[name] = [s for s in part if not _idle(s)]
    return fields


def _face(statement: ast.stmt) -> bool:
    """Whether a statement of a class only says how papers write its name, ``title = "DANN"``."""
    match statement:
        case ast.Assign(targets=[ast.Name(id="title")], value=ast.Constant(value=str())):
            return True
        case ast.AnnAssign(target=ast.Name(id="title"), value=ast.Constant(value=str())):
            return True
    return False


def _idle(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def module_of(path: Path) -> str:
    """Dotted name of a file of the package, "" for others."""
    if not path.is_relative_to(ROOT):
        return ""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find(module: str) -> Path | None:
    """File of a module of the package, None for others."""
    found, looked_at = located(module)
    for path in looked_at:
        _note(path)
    return found


@lru_cache(maxsize=4096)
def located(module: str) -> tuple[Path | None, tuple[Path, ...]]:
    """As `find`, and the paths that decide it, whether they exist or not."""
    top, *rest = module.split(".")
    if top != ROOT.name:
        return None, ()
    path = ROOT.joinpath(*rest)
    places = (path.with_suffix(".py"), path / "__init__.py")
    return next((p for p in places if p.is_file()), None), places


Stamp = tuple[int, int, int, int]
_seen: ContextVar[dict[Path, Stamp | None] | None] = ContextVar("seen", default=None)


def stamp(path: Path) -> Stamp | None:
    """What changes when a file does: size, times in ns (of content, of anything), number; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: null bytes
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@contextmanager
def watching() -> Iterator[dict[Path, Stamp | None]]:
    """Collect the stamp of every file that is read or looked for, as it was before."""
    seen: dict[Path, Stamp | None] = {}
    before = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(before)


def _note(path: Path) -> None:
    seen = _seen.get()
    if seen is not None and path not in seen:
        seen[path] = stamp(path)


def code_hash(path: Path, *more: Path) -> str:
    """sha256 of what files run and the zoo files that they import, transitively, found statically.

    Comments, docstrings, annotations of functions' arguments and results, a class's ``title``, and layout do not count,
    nor what is imported for type checking only, nor a package's ``__init__`` unless something in it is imported. The
    hash knows names of modules, not folders: a plugin keeps it wherever it is copied.
    """
    waiting, codes = [Path(p).resolve() for p in (path, *more)], dict[Path, tuple[str, str]]()
    while waiting:
        path = waiting.pop()
        if path not in codes:
            file = read(path)
            codes[path] = (file.name or path.name, file.code)
            waiting += [found for name in file.imported if (found := find(name))]
    return hashlib.sha256(repr(sorted(codes.values())).encode()).hexdigest()


def refuse(file: File, line: int, why: str) -> NoReturn:
    """Raise what is wrong with a file, and where."""
    raise BadInput(f"{file.shown}:{line}: {why}")
