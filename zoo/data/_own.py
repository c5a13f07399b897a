"""Anyone's own data: one file or folder a domain, in any of `zoo.data.formats`."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import plain
from zoo.data import formats
from zoo.data.base import Dataset
from zoo.data.formats.base import Format, names, reading
from zoo.errors import BadInput
from zoo.graph import Graph


class Own(Dataset):
    """The ``data:`` key of a suite as a data set.

    Raises
    ------
    BadInput
        A file that is not there, a key that the format does not take; on loading, whatever is wrong in a file.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        kind, given = _format(data["format"]), {k: data[k] for k in ("x", "y", "size") if data[k]}
        if unused := [k for k in given if k not in kind.keys]:
            takes = ", ".join(kind.keys) or "none of x, y, size"
            raise BadInput(f"data: {unused[0]}: means nothing for {data['format']}, which takes {takes}")
        self._files = {name: kind(Path(path), **given) for name, path in data["domains"].items()}
        for name, file in self._files.items():
            if why := plain.trouble(file.path, kind.lies_in):
                raise BadInput(f"data: domains: {name}: {file.path} {why}")
        first, file = next(iter(self._files.items()))
        with reading(file, first):
            found = file.kind
        self._first: tuple[Path, tuple[Any, ...], set[str]] | None = None
        # The base class has them per class: a data set of the zoo is one class, this is one instance.
        vars(self).update(domains=tuple(self._files), kind=found, photographs=kind.photographs)

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        file = self._files[domain]
        with reading(file, domain):
            X, y, layout = file.read()
            labels = names(y, file)
            if len(X) != len(labels):
                raise file.bad(f"y: {len(labels)} labels for {len(X)} samples in x")
            if not len(X):
                raise file.bad("x: holds no samples")
            if not all(X.shape):
                raise file.bad(f"x: holds samples of {'×'.join(map(str, X.shape[1:]))} features, which are none")
            if not (file.photographs or isinstance(X, Graph) or X.dtype == object):
                with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
                    X = np.ascontiguousarray(X, np.float32)
                if not np.isfinite(X).all():
                    row, *rest = np.argwhere(~np.isfinite(X))[0].tolist()
                    raise file.bad(f"{file.place(row, rest)}: NaN or infinity")
            self._alike(file, layout, set(labels.tolist()))
        return X, labels

    def _alike(self, file: Format, layout: tuple[Any, ...], classes: set[str]) -> None:
        """Compare with the domain loaded first: the features are the same, and classes differ in more than case."""
        self._first = path, like, others = self._first or (file.path, layout, classes)
        if layout != like:
            raise file.bad(f"x: {_unlike(layout, like, str(path))}")
        if classes != others and {c.casefold() for c in classes} == {c.casefold() for c in others}:
            odd = min(classes ^ others)
            alike = " and ".join(sorted(c for c in classes | others if c.casefold() == odd.casefold()))
            raise file.bad(f"classes differ only in case from those of {path}, such as {alike}: write them alike")


def dataset(data: dict[str, Any]) -> Dataset:
    """The ``data:`` key of a suite as a data set; a format that reads whole domains at once brings its own `Own`."""
    return getattr(_module(data["format"]), "Own", Own)(data)


def inspect(paths: Sequence[Path]) -> dict[str, Any]:
    """What the files hold, and a suite to start from.

    Raises
    ------
    BadInput
        A file that is not there, of an unknown format, or cannot be read; files of several formats.
    """
    kinds = {path: _guess(path) for path in paths}
    if len(set(kinds.values())) > 1:
        raise BadInput("files of several formats: " + ", ".join(f"{p} ({k})" for p, k in kinds.items()))
    files: list[dict[str, Any]] = []
    keys: dict[str, Any] = {}
    images = True
    for path, kind in kinds.items():
        form = _format(kind)(path)
        with reading(form):
            entry = {"file": str(path), "format": kind, "found": form.rows(), "classes": {}, "problem": ""}
            try:
                keys, labels = form.guessed()
                entry["classes"] = dict(sorted(Counter(names(labels, form).tolist()).items()))
                images = form.kind == "images"
            except BadInput as error:
                entry["problem"] = str(error)
        files.append(entry)
    stems = [p.name.removesuffix(p.suffix) if p.is_file() else p.resolve().name for p in paths]
    if len(set(stems)) < len(stems):
        stems = [f"{p.resolve().parent.name}_{stem}" for p, stem in zip(paths, stems, strict=True)]
    domains = {"".join(c if c.isalnum() else "_" for c in s): str(p) for s, p in zip(stems, paths, strict=True)}
    suite: dict[str, Any] = {"data": {"format": kinds[paths[0]], "domains": domains} | keys}
    suite |= {} if images else {"normalise": ["zscore"]}
    return {"files": files, "suite": suite | {"methods": ["source_only", "coral", "dann", "target_only"], "seeds": 3}}


def text(found: dict[str, Any]) -> str:
    """What `inspect` found as YAML that runs as it is, the findings as comments in it."""
    from io import StringIO

    from ruamel.yaml import YAML

    lines = []
    shared = set.intersection(*(set(f["classes"]) for f in found["files"]))
    for f in found["files"]:
        kinds = [f"{c} ({n})" for c, n in f["classes"].items()]
        lines.append(
            f"{f['file']}: {f['format']}, {len(kinds)} classes: {', '.join(kinds[:20])}{' …' * (len(kinds) > 20)}"
        )
        lines += [f"  {r['name']}  {r['type']}  {'×'.join(map(str, r['shape']))}" for r in f["found"]]
        lines += [f"  {f['problem']}"] if f["problem"] else []
        if own := sorted(set(f["classes"]) - shared):
            lines.append(f"  not in every file: {', '.join(own[:20])}")
    if len(found["files"]) == 1:
        lines.append("a suite needs two domains or more: give several files, or add to domains")
    out = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = None, 4096, False  # type: ignore
    yaml.dump(found["suite"], out)
    return "\n".join([*(f"# {' '.join(line.splitlines())}" for line in lines), out.getvalue().rstrip()])


def _format(name: str) -> type[Format]:
    return getattr(_module(name), name.capitalize())


def _module(name: str) -> Any:
    return importlib.import_module(f"{formats.__name__}.{name}")


def _guess(path: Path) -> str:
    """The format of a file by its ending, of a folder by what lies in it."""
    if why := plain.trouble(path):
        raise BadInput(f"{path} {why}")
    if _graph_fits(path):
        return "graph"
    if path.is_dir():
        return "audiofolder" if any(path.glob("*/**/*.[wW][aA][vV]")) else "imagefolder"
    known = sorted(p.stem for p in Path(formats.__path__[0]).glob("*.py") if p.stem not in ("__init__", "base"))
    for name in known:
        if path.suffix.lower() in _format(name).suffixes:
            return name
    raise BadInput(f"{path}: unknown format {path.suffix!r}: there are {', '.join(known)}")


def _graph_fits(path: Path) -> bool:
    """Whether it holds a graph; what cannot be read says so as the format that its ending names."""
    try:
        return _format("graph").fits(path)  # type: ignore[attr-defined, no-any-return]
    except Exception:  # a damaged file raises nearly anything
        return False


def _unlike(layout: tuple[Any, ...], like: tuple[Any, ...], path: str) -> str:
    if isinstance(layout[0], str):  # names of columns
        if len(layout) != len(like):
            return f"{len(layout)} features, but {len(like)} in {path}"
        i = next(i for i, (a, b) in enumerate(zip(layout, like, strict=True)) if a != b)
        return f"feature {i + 1} is {layout[i]!r}, but {like[i]!r} in {path}"
    return f"samples are {'×'.join(map(str, layout))}, but {'×'.join(map(str, like))} in {path}"
