"""Anyone's own data: files or folders of any of `zoo.data.formats`, a domain each or many in one."""

from __future__ import annotations

import glob
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo import plain
from zoo.data import _columns, _labels, _together, formats
from zoo.data._reading import names, reading
from zoo.data.base import Dataset
from zoo.data.formats.base import Format, Table
from zoo.errors import BadInput
from zoo.graph import Graph, is_sparse, stacked

TABLES = ("x", "y", "size", "by", "drop", "categories", "missing", "impute", "decimal", "header", "channels")
KEYS = (*TABLES, "id", "time", "window", "step", "rate", "target", "aliases", "negatives", "reflexive")
SAID = (("impute", "none"), ("decimal", "."))  # which mean what nothing does
PRECISE = 1e-3  # of a column's spread: what float32 may be wrong by
SMALL = 1 << 26  # bytes, up to which sparse samples are made dense
FEW = 10  # values of a column, below which its mean is no statistic


@dataclass
class Held:
    """The samples of a domain as read: `parts` say which rows of which file they are."""

    X: Any
    labels: np.ndarray
    layout: tuple[Any, ...]
    parts: list[tuple[Format, np.ndarray]]
    words: dict[str, list[str | None]] = field(default_factory=dict)

    def at(self, row: int) -> tuple[Format, int]:
        """The file of a row, and its number in it."""
        for form, rows in self.parts:
            if row < len(rows):
                return form, int(rows[row])
            row -= len(rows)
        raise IndexError(row)


class Own(Dataset):
    """The ``data:`` key of a suite as a data set.

    Raises
    ------
    BadInput
        A file that is not there, a key that the format does not take; on loading, whatever is wrong in a file.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        kind, given = format_of(data["format"]), _said(data)
        self._data, self._kind, self._given = data, kind, given
        self._groups: dict[str, str] = {}  # of a file with many: domain → what `by` holds
        self._files = self._many() if data.get("file") else self._each()
        self._read: dict[Format, tuple[Any, np.ndarray, tuple[Any, ...], dict[str, list[str | None]]]] = {}
        self._levels: tuple[int, ...] = ()
        self._notes: dict[str, list[str]] = {}
        self._places: dict[str, tuple[list[str], np.ndarray]] = {}
        self._model: Own | None = None  # whose layout and words these samples have to have
        for form in (every := [form for files in self._files.values() for form in files]):
            form.beside = [path for other in every for path in other.files]
        first, files = next(iter(self._files.items()))
        with reading(files[0], first):
            found = files[0].kind
        self._first: tuple[Path, tuple[Any, ...]] | None = None
        # The base class has them per class: a data set of the zoo is one class, this is one instance.
        vars(self).update(domains=tuple(self._files), kind=found, photographs=kind.photographs)

    def _each(self) -> dict[str, list[Format]]:
        """The files of each domain."""
        found = {}
        for name, given in self._data["domains"].items():
            found[name] = self._forms(given, f"data: domains: {name}: ", name)
        return found

    def _many(self) -> dict[str, list[Format]]:
        """One file, or several read as one, that holds all domains."""
        keyed = next((v for k in ("x", "y") if isinstance(v := self._data.get(k), Mapping)), None)
        if keyed is not None:
            return {name: self._forms(self._data["file"], "data: file: ", name) for name in keyed}
        forms = self._forms(self._data["file"], "data: file: ", "")
        if not self._data.get("by"):
            raise BadInput(f"data: by: say which {'column' if self._kind.table else 'array'} holds the domains")
        values: set[str] = set()
        for form in forms:
            with reading(form):
                groups = _labels.names(form.groups(), form.bad, form.line, form.missing)
                if "" in groups.tolist():
                    raise form.bad(f"by: {form.line(int(np.flatnonzero(groups == '')[0]))} has no domain")
                values |= set(groups.tolist())
        for value in sorted(values, key=_natural):
            name = re.sub(r"[:+, |]|[^\x20-\U0010ffff]", "_", value)
            if name in self._groups:
                raise BadInput(f"data: by: {self._groups[name]!r} and {value!r} would both be called {name}")
            self._groups[name] = value
        if len(self._groups) > len(_columns.DOMAINS) * 10:
            raise BadInput(f"data: by: {self._data['by']} has {len(self._groups)} values, too many for domains")
        return dict.fromkeys(self._groups, forms)

    def _forms(self, given: str | Sequence[str], where: str, domain: str) -> list[Format]:
        keys = {k: v.get(domain, "") if isinstance(v, Mapping) else v for k, v in self._given.items()}
        for key, value in self._given.items():
            if isinstance(value, Mapping) and domain not in value:
                raise BadInput(f"data: {key}: names none for domain {domain}")
        paths = [path for one in ([given] if isinstance(given, str) else given) for path in _globbed(one)]
        for path in paths:
            if why := plain.trouble(path, self._kind.lies_in_of(path)):
                raise BadInput(f"{where}{path} {why}")
        if without := keys.get("y") == "none":
            del keys["y"]
        forms = [self._kind(group[0], **keys, files=group) for group in self._kind.grouped(paths)]
        for form in forms:
            form.labelled = not (without or self._data.get("unlabelled"))
        return forms

    def load(self, domain: str, root: Path | None) -> tuple[Any, np.ndarray]:
        self._apart()
        held = self._held(domain)
        form = held.parts[0][0]
        with reading(form, domain):
            X = held.X
            if X.shape[0] == 0:
                raise form.bad("x: holds no samples")
            if not (form.photographs or isinstance(X, Graph) or X.dtype == object):
                X = self._judged(held, domain)
                if held.words:
                    X = self._encoded(X, held, domain)
            if not all(X.shape):
                raise form.bad(f"x: holds samples of {'×'.join(map(str, X.shape[1:]))} features, which are none")
            self._alike(form, held.layout)
            self._places[domain] = _places(held.parts, several=len(self._files[domain]) > 1)
            for one in dict.fromkeys(form for form, _ in held.parts):
                self._notes.setdefault(domain, []).extend(n for n in one.notes if n not in self._notes[domain])
        return X, held.labels

    def notes(self, domain: str) -> tuple[str, ...]:
        return tuple(self._notes.get(domain, ()))

    def places(self, domain: str, n: int) -> tuple[list[str], np.ndarray]:
        return self._places[domain]

    def like(self, other: Dataset) -> None:
        assert isinstance(other, Own)
        assert other._first is not None
        self._model, self._first = other, other._first
        beside = [path for forms in other._files.values() for form in forms for path in form.files]
        for form in (form for forms in self._files.values() for form in forms):
            form.beside = [*beside, *form.beside]
            form.wanted = other._first[1] if form.table else ()

    def place(self, domain: str) -> str:
        path = self._files[domain][0].path
        return f"{path}: {self._data['by']} {domain}" if self._groups else f"data: domains: {domain}: {path}"

    def levels(self) -> tuple[int, ...]:
        return self._levels

    def together(self, raw: dict[str, Any], normalise: Sequence[str], classes: bool = True) -> dict[str, Any]:
        files = {name: str(self._files[name][0].path) for name in raw}
        raw, notes = _together.checked(raw, files, normalise, split=bool(self._groups), classes=classes)
        for name, found in notes.items():
            self._notes.setdefault(name, []).extend(n for n in found if n not in self._notes[name])
        return raw

    # Reading ----------------------------------------------------------------------------------------------------------

    def _held(self, domain: str) -> Held:
        """The rows of a domain, of all its files."""
        found: list[Held] = []
        for form in self._files[domain]:
            with reading(form, "" if self._groups else domain):
                if form not in self._read:
                    self._read[form] = self._whole(form)
                X, labels, layout, words = self._read[form]
                rows = np.arange(len(labels))
                if self._groups:
                    groups = _labels.names(form.groups(), form.bad, form.line, form.missing)
                    rows = np.flatnonzero(groups == self._groups[domain])
                    X, labels = X[rows], labels[rows]
                    words = {c: [texts[i] for i in rows] for c, texts in words.items()}
                if found and layout != found[0].layout:
                    raise form.unlike(layout, found[0].layout, str(found[0].parts[0][0].path))
                if len(rows) or len(self._files[domain]) == 1:
                    found.append(Held(X, labels, layout, [(form, rows)], words))
                if not self._groups:
                    del self._read[form]
        if len(found) == 1:
            return found[0]
        words = {c: [t for h in found for t in h.words[c]] for c in found[0].words}
        labels = np.concatenate([h.labels for h in found])
        return Held(stacked([h.X for h in found]), labels, found[0].layout, [p for h in found for p in h.parts], words)

    def _whole(self, form: Format) -> tuple[Any, np.ndarray, tuple[Any, ...], dict[str, list[str | None]]]:
        X, y, layout = form.read()
        labels = names(y, form)
        if len(labels) != (n := X.shape[0]):
            raise form.bad(f"y: {len(labels)} labels for {n} samples in x")
        return X, labels, layout, form.words

    def _apart(self) -> None:
        """Refuse one file as two domains."""
        seen: dict[Any, str] = {}
        for name, files in self._files.items() if not self._groups else ():
            for form in files:
                key = form.path.resolve(), form.x, form.y
                if (other := seen.setdefault(key, name)) != name:
                    raise BadInput(f"data: domains: {other} and {name} are the same file, {form.path}: {_split(form)}")

    def _judged(self, held: Held, domain: str) -> Any:
        """Numbers that are fit to be features, or one line about those that are not."""
        form, X = held.parts[0][0], held.X
        if is_sparse(X) and 4 * X.shape[0] * X.shape[1] <= SMALL:
            X = X.toarray()
        sparse = is_sparse(X)
        values = X.data if sparse else X
        if values.dtype.kind == "f":
            wrong = np.abs(values) > np.finfo(np.float32).max  # what float32 cannot hold is infinite to a network
            gone = np.isnan(values)
            if wrong.any() or (gone.any() and self._given.get("impute", "none") == "none"):
                bad = wrong if wrong.any() else gone
                row, *rest = np.argwhere(bad)[0].tolist() if not sparse else (0,)
                at, line = held.at(row)
                hint = "" if wrong.any() or "impute" not in self._kind.keys else " (a missing value? impute: mean)"
                raise at.bad(f"{at.place(line, rest)}: NaN or infinity{hint}", {"impute": "mean"} if hint else None)
            if gone.any() and self._model is None:
                self._imputable(values, gone, form, held, domain)
        if not sparse and X.ndim == 2 and self._model is None:
            X = X.astype(np.float64, copy=False)
            if (far := _columns.extreme(X)) is not None:
                at, line = held.at(far[0])
                raise at.bad(
                    f"{at.place(line, far[1:])}: {X[far]:g} is far out of what the others are: correct it, leave the "
                    f"row out, or say missing: ['{X[far]:g}'] and impute: mean",
                    {"missing": [f"{X[far]:g}"], "impute": "mean"},
                )
            listed = form.features(held.layout)[: X.shape[1]]
            telling, odd = _columns.audit(X, held.labels, listed, form.table)
            if telling:
                raise form.bad(f"x: {_columns.said([*telling, *odd])}", _columns.mending(telling))
            if odd:
                self._notes.setdefault(domain, []).append(f"columns to look at: {_columns.said(odd)}")
        return X.astype(np.float32) if sparse else _precise(X)

    def _imputable(self, X: np.ndarray, gone: np.ndarray, form: Format, held: Held, domain: str) -> None:
        """Refuse columns with next to no value, from which nothing can be learnt about the others."""
        if X.ndim != 2:
            raise form.bad("x: only vectors have missing values imputed")
        there = (~gone).sum(0)
        listed = form.features(held.layout)
        if len(few := np.flatnonzero(there < min(FEW, (len(X) + 1) // 2))):
            found = [_columns.Finding(listed[j], f"{there[j]} values of {len(X)}") for j in few]
            raise form.bad(f"x: {_columns.said(found)}", _columns.mending(found))
        how, rows = self._given["impute"], int(gone.any(1).sum())
        self._notes.setdefault(domain, []).append(
            f"{int(gone.sum())} missing values in {rows} of {len(X)} rows, filled with the {how} of the training part"
        )

    def _encoded(self, X: Any, held: Held, domain: str) -> Any:
        """Category columns as one column a word, of the words of all domains."""
        columns, own = [], self._model or self
        for name in sorted(held.words):
            words = sorted({t for d in own.domains for t in own._words(d)[name] if t is not None}, key=_natural)
            if len(words) > 1000:
                raise BadInput(f"data: categories: {name!r} holds {len(words)} different words: drop: [{name}]")
            columns += [[t == word for t in held.words[name]] for word in words]
        self._levels = tuple(range(X.shape[1], X.shape[1] + len(columns)))
        return np.concatenate([X, np.array(columns, X.dtype).reshape(len(columns), len(X)).T], 1)

    def _words(self, domain: str) -> dict[str, list[str | None]]:
        if domain not in self._seen:
            self._seen[domain] = self._held(domain).words
        return self._seen[domain]

    @property
    def _seen(self) -> dict[str, dict[str, list[str | None]]]:
        return vars(self).setdefault("_seen_words", {})

    def _alike(self, form: Format, layout: tuple[Any, ...]) -> None:
        """Compare with the domain loaded first."""
        self._first = path, like = self._first or (form.path, layout)
        if layout != like:
            raise form.unlike(layout, like, str(path))


def dataset(data: dict[str, Any]) -> Dataset:
    """The ``data:`` key of a suite as a data set; a format that reads whole domains at once brings its own `Own`."""
    own, kind = getattr(module_of(data["format"]), "Own", Own), format_of(data["format"])
    if unused := [k for k in _said(data) if k not in kind.keys]:
        takes = ", ".join(kind.keys) or "none of them"
        raise BadInput(f"data: {unused[0]}: means nothing for {data['format']}, which takes {takes}")
    if own is not Own and (data.get("file") or any(not isinstance(p, str) for p in data["domains"].values())):
        raise BadInput(f"data: format: {data['format']} takes domains: {{NAME: PATH}}, one path each")
    return own(data)


def _places(parts: Sequence[tuple[Format, np.ndarray]], several: bool) -> tuple[list[str], np.ndarray]:
    """The file of each sample, where there are several, and its number there."""
    files: list[str] = []
    for form, rows in parts:
        each = form.listed()
        files += [str(each[row]) for row in rows] if each else [str(form.path)] * len(rows) if several else []
    return files, np.concatenate([rows for _, rows in parts])


def _said(data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that say how files are to be read."""
    return {k: v for k in KEYS if (v := data.get(k)) and (k, v) not in SAID}


def format_of(name: str) -> type[Format]:
    return getattr(module_of(name), name.capitalize())


def module_of(name: str) -> Any:
    return importlib.import_module(f"{formats.__name__}.{name}")


def _precise(X: np.ndarray) -> np.ndarray:
    """Samples as float32, or as float64 where that would be wrong by more than a little of a column's spread."""
    small = np.ascontiguousarray(X, np.float32)
    if X.ndim == 2 and X.dtype == np.float64 and len(X):
        with np.errstate(invalid="ignore"):
            spread = np.nanmax(X, axis=0, initial=-np.inf) - np.nanmin(X, axis=0, initial=np.inf)
            wrong = np.nanmax(np.abs(X - small), axis=0, initial=0)
        if ((spread > 0) & (wrong > PRECISE * spread)).any():
            return np.ascontiguousarray(X)
    return small


def _split(form: Format) -> str:
    """How a file that holds several domains is given."""
    column = "COLUMN"
    if isinstance(form, Table):
        columns = form.columns()
        column = next((c for c in columns if c.lower() in _columns.DOMAINS), column)
    return f"give each its own, or, if it holds several, file: {form.path} and by: {column} in place of domains"


def _globbed(path: str) -> list[Path]:
    if any(c in path for c in "*?[") and plain.trouble(path) and (found := glob.glob(path, recursive=True)):
        return sorted(map(Path, found), key=lambda p: (str(p.parent), _natural(p.stem), p.name))
    return [Path(path)]


def _natural(name: str) -> tuple[Any, ...]:
    """Numbers in names by their size."""
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", name) if p)


def paths(domains: Iterable[str | Sequence[str]]) -> list[Path]:
    """All paths that domains are read from."""
    return [p for one in domains for each in ([one] if isinstance(one, str) else one) for p in _globbed(each)]
