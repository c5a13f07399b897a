"""What is in the zoo, read from the source without importing it: listing it must cost no torch.

A method is a file's one public adapter class; its attributes and its constructor's defaults are literals.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from zoo import plain, source
from zoo.access import FIELDS, untrainable
from zoo.classes import Lineage, attributes, literals, parameters, public, summary, where
from zoo.errors import BadInput, printable
from zoo.errors import unknown as unknown
from zoo.infos import DatasetInfo as DatasetInfo
from zoo.infos import FileInfo as FileInfo
from zoo.infos import KindInfo as KindInfo
from zoo.infos import MethodInfo as MethodInfo
from zoo.infos import NetInfo as NetInfo
from zoo.locating import locate
from zoo.source import File, module_of, read, refuse
from zoo.source import code_hash as code_hash

FAMILIES = ("baseline", "instance", "feature", "parameter", "relational")
LEARNERS, LABEL_SETS = ("base", "net", "both", "own"), ("closed", "partial", "open", "universal")
SETS, STEPS = ("needs", "tasks", "label_sets"), ("before", "after")  # a step, of a stream
FLAGS = ("deterministic", "transductive_only", "stream", "sparse")
ATTRIBUTES = (*SETS, "learner", "cite", "space", "source_model", "predicts", *FLAGS)
FORMATS, PLOTS = ("md", "latex"), ("bars", "gains", "time")  # those that are named first
KINDS = {"Reweighting": "reweighting", "Mapping": "mapping", "DeepAdapter": "deep", "Tuning": "parameter"}


Recall = Callable[[Path, str, Callable[[Path, str], MethodInfo]], MethodInfo]


def methods(plugins: Sequence[Path] = (), recall: Recall | None = None) -> dict[str, MethodInfo]:
    """All methods: the package's, the installed plugins', and the given files', by family and name.

    Parameters
    ----------
    plugins : files of methods that are not installed
    recall : given a file, its module where it is an installed plugin, and what reads it, says what it holds

    Raises
    ------
    BadInput
        A file breaks the contract; the line says where.
    """
    files = [(p, "") for p in sorted(source.ROOT.glob("adapters/*/*.py")) if not p.name.startswith("_")]
    files += [(path, module) for module, path in installed()]
    infos = [recall(path, module, _method) if recall else _method(path, module) for path, module in files]
    infos += [_method(_readable(Path(p)).resolve(), shown=str(p)) for p in plugins]
    found: dict[str, MethodInfo] = {}
    shown = {Path(p).resolve(): p for p in plugins}
    for info in infos:
        other = found.setdefault(info.name, info)
        if other.path != info.path:
            where_ = shown.get(info.path, info.path)
            raise BadInput(f"{where_}:1: the method {info.name!r} exists already, in {other.path}: rename this file")
    return dict(sorted(found.items(), key=lambda item: (FAMILIES.index(item[1].family), item[0])))


def datasets() -> dict[str, DatasetInfo]:
    """The known data sets: the public subclass of Dataset of each file under ``zoo/data/``."""
    found = {}
    for file, lineage in _subclasses("data", "zoo.data.base", "Dataset"):
        own = lineage[0][1]
        found[file.path.stem] = DatasetInfo(**_face(file, own), **attributes(lineage, "zoo.data.base"))
    return found


def kinds() -> dict[str, KindInfo]:
    """The kinds of data: the public subclass of Kind of each file under ``zoo/kinds/``."""
    found = {}
    for file, lineage in _subclasses("kinds", "zoo.kinds.base", "Kind"):
        said = (literals(f, node, {"nouns": tuple}) for f, node in lineage)
        found[file.path.stem] = KindInfo(**_face(file, lineage[0][1]), **next(filter(None, said), {}))
    return found


def fields() -> tuple[str, ...]:
    """What a task may hold, by name: what is common, and the nouns of all kinds of data."""
    return tuple(dict.fromkeys([*FIELDS, *(noun for info in kinds().values() for noun in info.nouns)]))


def contracts() -> dict[str, FileInfo]:
    """The contract tests by kind of data: the public subclass of Contract of each file under ``zoo/check/``."""
    found = _subclasses("check", "zoo.check.contract", "Contract")
    return {file.path.stem: FileInfo(**_face(file, lineage[0][1])) for file, lineage in found}


def nets() -> dict[str, NetInfo]:
    """The known networks: the public subclass of Net of each file under ``zoo/nets/``."""
    found = {}
    for file, lineage in _subclasses("nets", "zoo.nets", "Net"):
        found[file.path.stem] = NetInfo(**_face(file, lineage[0][1]), **attributes(lineage, "zoo.nets"))
    return found


def torchvision_nets() -> list[str]:
    """Names of torchvision's classification models, read from its source: importing it takes seconds."""
    spec = importlib.util.find_spec("torchvision")
    folder = Path(str(spec.origin)).parent / "models" if spec else Path()
    found = r"^@register_model\(\)\n(?:@.*\n(?:[ )].*\n)*)*def (\w+)\("
    return sorted(name for path in folder.glob("*.py") for name in re.findall(found, path.read_text(), re.MULTILINE))


def titled(name: str) -> str:
    """A display name: `source_only` is "Source only"."""
    return name.replace("_", " ").capitalize()


def executors() -> dict[str, FileInfo]:
    """The known executors: the files under ``zoo/bench/executors/``."""
    return _modules("bench/executors")


def formats() -> dict[str, FileInfo]:
    """The known formats of a table: the files under ``zoo/report/formats/``."""
    return _modules("report/formats", FORMATS)


def plots() -> dict[str, FileInfo]:
    """The known plots: the files under ``zoo/report/plots/``."""
    return _modules("report/plots", PLOTS)


def names(folder: str, first: Sequence[str] = ()) -> list[str]:
    """What the files of a folder of the package are called; `first` before the others, which follow by name."""
    found = sorted(p.stem for p in source.ROOT.glob(f"{folder}/*.py") if not p.name.startswith("_"))
    return [*(n for n in first if n in found), *(n for n in found if n not in first)]


def _modules(folder: str, first: Sequence[str] = ()) -> dict[str, FileInfo]:
    paths = {name: source.ROOT / folder / f"{name}.py" for name in names(folder, first)}
    return {name: FileInfo(name, summary(read(path).tree), path) for name, path in paths.items()}


def suites() -> dict[str, FileInfo]:
    """The suites in the package; a suite's first comment line is its summary."""
    found = {}
    for path in sorted(source.ROOT.glob("suites/*.yaml")):
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
    import inspect
    import traceback

    name = getattr(info, "module", "") or module_of(info.path)
    try:
        module = importlib.import_module(name) if name else _import_file(info.path)
    except (Exception, SystemExit) as e:  # a plugin is a stranger's code
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if f.filename == str(info.path)]
        what = " ".join(str(e).split())
        raise BadInput(f"{info.path}:{lines[-1] if lines else 1}: import raises {type(e).__name__}: {what}") from e
    if not info.cls:
        return module
    cls = getattr(module, info.cls)
    if isinstance(info, MethodInfo) and info.wraps:  # what its class says is checked where its name is found
        return partial(cls, info.wraps)
    if isinstance(info, MethodInfo):
        got = {k: getattr(cls, k) for k in ATTRIBUTES}
        got["parameters"] = {p.name: p.default for p in inspect.signature(cls).parameters.values()}
        for k, value in got.items():
            if value != getattr(info, k):
                raise BadInput(f"{info.path}:1: {info.cls} has {k} = {value}, its source says {getattr(info, k)}")
    return cls


def references() -> dict[str, str]:
    """The entries of ``zoo/refs.bib`` by key, as they stand there."""
    entries = re.split(r"^(?=@)", (source.ROOT / "refs.bib").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {entry[entry.index("{") + 1 : entry.index(",")].strip(): entry.strip() for entry in entries}


def _readable(path: Path) -> Path:
    """The path, of which a link to itself cannot even be resolved."""
    if why := plain.trouble(path, "file"):
        raise BadInput(f"{path}:1: cannot be read: it {why}")
    return path


def installed(group: str = "zoo.adapters") -> list[tuple[str, Path]]:
    """Module and file of each entry point of a group."""
    from importlib.metadata import entry_points

    found = []
    for e in entry_points(group=group):
        if not (path := locate(e.module)):
            raise BadInput(f"entry point {e.value} of group {group}: there is no module {e.module}")
        found.append((e.module, path))
    return found


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


def _method(path: Path, module: str = "", shown: str = "") -> MethodInfo:
    """Read the one public adapter class of a file."""
    file = read(path, module, shown)
    name, base = file.path.stem, "zoo.adapters.base"
    plugin = not file.name
    if plugin and (file.path.suffix != ".py" or not re.fullmatch(r"[a-z][a-z0-9_]*", name)):
        refuse(file, 1, "the file's name is the method's: lower-case letters, digits and _, ending in .py")
    lineage = _adapter(file)
    cls, said, takes = lineage[0][1], attributes(lineage, base), parameters(lineage)
    family = _family(file, lineage)
    bases = [node.name for f, node in lineage if f.name == base]
    plain = family if family in ("relational", "baseline") else "adapter"

    def check(attribute: str, wrong: Iterable[str], known: Iterable[str]) -> None:
        for value in sorted(wrong):
            refuse(*where(lineage, attribute), f"{attribute}: {unknown('name', value, known)}")

    check("needs", said["needs"] - set(known := fields() if said["needs"] - set(FIELDS) else FIELDS), known)
    check("learner", {said["learner"]} - set(LEARNERS), LEARNERS)
    for attribute, those in (("tasks", names("tasks")), ("label_sets", LABEL_SETS)):
        check(attribute, said[attribute] - set(those), those)
    check("space", set(said["space"]) - set(takes), takes)
    if why := untrainable(said["source_model"], said["needs"]):
        refuse(*where(lineage, "source_model"), f"source_model: {why}")
    if said["stream"] and said["predicts"] not in STEPS:
        refuse(file, cls.lineno, "a method with stream = True says predicts = 'before' or 'after' the step of a batch")
    check("forward", {said.get("forward", "joint")} - {"separate", "joint"}, ("separate", "joint"))
    return MethodInfo(
        **(_face(file, cls) | {"name": name}),
        family=family,
        kind=next((KINDS[b] for b in bases if b in KINDS), plain),
        doc="\n".join(map(printable, (ast.get_docstring(cls) or "").splitlines())),
        parameters=takes,
        plugin=plugin,
        module=file.module,
        forward=said.get("forward", ""),
        title=printable(literals(file, cls, {"title": str}).get("title") or titled(name)),
        **{k: frozenset(said[k]) if k in SETS else said[k] for k in ATTRIBUTES},  # type: ignore[arg-type]
    )


def _adapter(file: File) -> Lineage:
    found = public(file, "zoo.adapters.base", "Adapter")
    if not found:
        refuse(file, 1, "no public subclass of zoo.adapters.base.Adapter in this file")
    if len(found) > 1:
        shown = ", ".join(lineage[0][1].name for lineage in found)
        refuse(file, found[1][0][1].lineno, f"more than one public adapter class ({shown}): one file, one method")
    return found[0]


def _family(file: File, lineage: Lineage) -> str:
    """The folder's in the package; otherwise what the class or the nearest of its bases says."""
    for f, node in lineage:
        parts = f.name.split(".")
        family = parts[2] if len(parts) == 4 else literals(f, node, {"family": str}).get("family")
        if family in FAMILIES:
            return family
        if family:
            refuse(*where(lineage, "family"), f"family: {unknown('name', family, FAMILIES)}")
    refuse(file, lineage[0][1].lineno, f"an adapter on plain Adapter has to state its family: {', '.join(FAMILIES)}")


def _subclasses(folder: str, module: str, root: str) -> Iterator[tuple[File, Lineage]]:
    """Files of a folder of the package that hold a public subclass of `root`."""
    for path in sorted(p for p in source.ROOT.glob(f"{folder}/*.py") if not p.name.startswith("_")):
        file = read(path)
        for lineage in public(file, module, root)[:1]:
            yield file, lineage


def _face(file: File, node: ast.ClassDef) -> dict[str, Any]:
    return {"name": file.path.stem, "summary": summary(node), "path": file.path, "cls": node.name}
