"""What a format has to say, and what arrays, tables and folders have in common."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo import discover
from zoo.data import _columns, _folders, _labels, _room
from zoo.errors import BadInput
from zoo.graph import is_sparse

if TYPE_CHECKING:
    import pandas as pd

FEATURES = frozenset({"x", "xs", "xt", "features", "feature", "feats", "fts", "fea", "data", "images", "samples"})
LABELS = frozenset({"y", "ys", "yt", "label", "labels", "class", "classes", "target", "targets", "gnd"})


class Format:
    """The file or folder with one domain's samples, and the keys of ``data:`` that say what is what in it.

    Attributes
    ----------
    keys : which keys of ``data:`` the format takes, beside those that say where it lies
    suffixes : how its files end, for ``zoo data inspect``
    kind, photographs : as in `zoo.data.base.Dataset`
    each, methods : for ``zoo data inspect``: keys that every domain has a value of, and methods to begin with
    notes : what was left out or assumed at reading, a line each
    labelled : whether labels are read; else all are ''
    wanted : the columns that are read, where another file says them
    words : category columns of what was read, by their names; None where a value is missing
    """

    keys: ClassVar[tuple[str, ...]] = ("x", "y")
    suffixes: ClassVar[tuple[str, ...]] = ()
    each: ClassVar[tuple[str, ...]] = ()
    methods: ClassVar[tuple[str, ...]] = ("source_only", "coral", "dann", "target_only")
    kind: str = "samples"
    photographs: ClassVar[bool] = False
    lies_in: ClassVar[str] = "file"  # or a folder, or '' for either
    table: ClassVar[bool] = False  # whether features are columns with names
    labelled: bool = True
    wanted: tuple[str, ...] = ()
    row, first_row = "row", 0  # how a sample's place in the file is called, and the first one's number

    def __init__(self, path: Path, x: str = "", y: str = "", size: int = 0, **more: Any) -> None:
        self.path, self.x, self.y, self.size = path, x, y, size
        self.by: str = more.get("by", "")
        self.drop: tuple[str, ...] = tuple(more.get("drop", ()))
        self.categories: tuple[str, ...] = tuple(more.get("categories", ()))
        self.missing: tuple[str, ...] = tuple(more.get("missing", ()))
        self.decimal: str = more.get("decimal", "") or "."
        self.header: str = more.get("header", "")
        self.channels: str = more.get("channels", "")
        self.files: list[Path] = more.get("files", [path])
        self.beside: list[Path] = []  # what the other domains are read from
        self.notes: list[str] = []
        self.words: dict[str, list[str | None]] = {}

    @classmethod
    def grouped(cls, paths: Sequence[Path]) -> list[list[Path]]:
        """The paths of a domain, by those that are read as one."""
        return [[path] for path in paths]

    @classmethod
    def lies_in_of(cls, path: Path) -> str:
        """What has to lie at a path: a file, a folder, or either."""
        return cls.lies_in

    def read(self) -> tuple[Any, Any, tuple[Any, ...]]:
        """Samples, labels as they stand there, and what has to be the same in all domains."""
        raise NotImplementedError

    def groups(self) -> np.ndarray:
        """The domain of each sample: what the column or array `by` holds."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """What there is: name, type and shape of each array, of each run of columns, or of each class's files."""
        raise NotImplementedError

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        """The keys to read it by, and the labels under them."""
        raise NotImplementedError

    def frame(self) -> Any:
        """The table of samples, a DataFrame whose index counts the rows of the file; None where there is none."""

    def place(self, row: int, rest: Sequence[int]) -> str:
        """Where a value of the samples stands in the file."""
        return f"x: {self.line(row)}" + (f", column {rest[0]}" if len(rest) == 1 else "")

    def listed(self) -> list[Path]:
        """The file of each sample, where each has one of its own."""
        return []

    def line(self, row: int) -> str:
        """Where a sample stands in the file."""
        return f"{self.row} {row + self.first_row}"

    def features(self, layout: tuple[Any, ...]) -> list[str]:
        """What the features are called: columns by name, or by their numbers."""
        return [str(i) for i in range(layout[0])] if len(layout) == 1 else []

    def unlike(self, layout: tuple[Any, ...], like: tuple[Any, ...], path: str) -> BadInput:
        """The line about a domain whose samples have another layout than those of the file `path`."""
        return self.bad(f"x: samples are {'×'.join(map(str, layout))}, but {'×'.join(map(str, like))} in {path}")

    def bad(self, message: str, fix: dict[str, Any] | None = None) -> BadInput:
        """One line about the file; `fix` are the keys of ``data:`` that mend it."""
        return BadInput(f"{self.path}: {message}", fix)

    def choose(self, key: str, names: Sequence[str], usual: frozenset[str], other: str = "") -> str:
        """The name that the key gives, or else the one with a usual name, or else the only one besides `other`."""
        given = unicodedata.normalize("NFC", getattr(self, key))
        if key == "y" and not self.labelled:
            return next((n for n in names if n == given or n.lower() in usual), "")
        if given:
            if given not in names:
                raise self.bad(f"{key}: {discover.unknown('name', given, names)}")
            return given
        for found in ([n for n in names if n.lower() in usual], [n for n in names if n != other] if other else []):
            if len(found) == 1:
                return found[0]
        there = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        what = ("labels", "; where there are none, y: none") if key == "y" else ("features", "")
        raise self.bad(f"{key}: missing; say which holds the {what[0]}: {there or '-'}{what[1]}")


class Arrays(Format):
    """A file of named arrays, samples along their first axis; arrays of 3 or 4 axes are images."""

    keys: ClassVar[tuple[str, ...]] = ("x", "y", "by", "drop", "missing", "impute", "channels")

    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shapes and types of the arrays, without reading them."""
        raise NotImplementedError

    def arrays(self, names: list[str]) -> list[Any]:
        raise NotImplementedError

    @property
    def kind(self) -> str:  # type: ignore[override]
        headers = self.headers()
        return "images" if len(headers[self._names(headers)[0]][0]) in (3, 4) else "samples"

    def _names(self, headers: Iterable[str]) -> tuple[str, str]:
        names = [name for name in headers if name != self.by]
        y = self.choose("y", names, LABELS, self.x)
        return self.choose("x", names, FEATURES, y if self.labelled else y or "none"), y

    def read(self) -> tuple[Any, Any, tuple[Any, ...]]:
        x, name = self._names(self.headers())
        X, *rest = self.arrays([x, name] if self.labelled else [x])
        y: Any = rest[0] if rest else np.full(X.shape[0], "")
        y = y.toarray() if is_sparse(y) else y
        if is_sparse(X):
            X = _room.sparse("x", X.tocsr(), self.bad)
        if X.dtype.kind not in "biuf" or not 1 <= X.ndim <= 4:
            raise self.bad(f"x: holds {'×'.join(map(str, X.shape))} {X.dtype}: expected numbers, a row for each sample")
        if X.shape[0] != y.size and y.size in X.shape:
            raise self.bad(f"x: has shape {X.shape} for {y.size} labels: samples have to come first, transpose it")
        if X.ndim in (1, 3):  # one feature, one channel
            X = X[:, None]
        if X.ndim == 4:
            X = X.transpose(0, 3, 1, 2) if self._channels_last(X.shape) else X
            if X.dtype == np.uint8:
                X = X.astype(np.float32) / 255
        if X.ndim == 2:
            X = self._kept(X)
        return X, y, X.shape[1:]

    def groups(self) -> np.ndarray:
        headers = self.headers()
        if self.by not in headers:
            raise self.bad(f"by: {discover.unknown('name', self.by, headers)}")
        return self.arrays([self.by])[0]

    def _channels_last(self, shape: tuple[int, ...]) -> bool:
        """Which axis of images [n, ., ., .] the channels are: the one that is none of the sides, or few."""
        if self.channels:
            return self.channels == "last"
        _, first, middle, last = shape
        if (first in (1, 3)) != (last in (1, 3)):
            return last in (1, 3)
        if (first == middle) != (middle == last):
            return first == middle
        if first != last and max(first, last) > 2 * min(first, last):
            return last < first
        if first == last != middle or first in (1, 3):
            return False
        raise self.bad(
            f"x: images are {first}×{middle}×{last}: say channels: first or channels: last, which shape alone does not",
            {"channels": "first"},
        )

    def _kept(self, X: Any) -> Any:
        """Vectors without the columns dropped, and with NaN for what is missing."""
        if self.drop:
            numbers = [str(i) for i in range(X.shape[1])]
            if unknown := [d for d in self.drop if d not in numbers]:
                raise self.bad(f"drop: columns of an array are numbers from 0 to {X.shape[1] - 1}, got {unknown[0]!r}")
            self._left = [i for i in range(X.shape[1]) if str(i) not in self.drop]
            X = X[:, self._left]
        if not is_sparse(X) and (gone := [float(m) for m in self.missing if _labels.NUMBER.fullmatch(m)]):
            X = np.where(np.isin(X, gone), np.nan, X)
        return X

    _left: Sequence[int] = ()

    def features(self, layout: tuple[Any, ...]) -> list[str]:
        return [str(i) for i in self._left or range(layout[0])] if len(layout) == 1 else []

    def place(self, row: int, rest: Sequence[int]) -> str:
        return super().place(row, [self._left[i] for i in rest] if self._left else rest)

    def rows(self) -> list[dict[str, Any]]:
        return [{"name": n, "type": dtype, "shape": list(shape)} for n, (shape, dtype) in self.headers().items()]

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        x, y = self._names(self.headers())
        return {"x": x, "y": y}, self.arrays([y])[0]


class Table(Format):
    """A file of named columns, one of them the labels."""

    keys: ClassVar[tuple[str, ...]] = ("x", "y", "by", "drop", "categories", "missing", "impute")
    table = True

    def columns(self) -> list[str]:
        raise NotImplementedError

    def _names(self) -> tuple[list[str], str]:
        columns = self.columns()
        if twice := [c for c, count in Counter(columns).items() if count > 1]:
            raise self.bad(f"column {twice[0]!r} stands twice")
        if self.wanted:
            if lacking := [c for c in self.wanted if c not in columns]:
                raise self.bad(f"x: lacks column {', '.join(map(repr, lacking[:5]))}, which the run's data have")
            return list(self.wanted), ""
        for key, names in (("drop", self.drop), ("categories", self.categories), ("by", [self.by] if self.by else [])):
            for p in names:
                if not any(p == c or fnmatchcase(c, p) for c in columns):
                    raise self.bad(f"{key}: {discover.unknown('column', p, columns)}")
        y = self.choose("y", [c for c in columns if c != self.by], LABELS)
        patterns = [p.strip() for p in self.x.split(",") if p.strip()] or ["*"]
        rest = [c for c in columns if c not in (y, self.by) and not _fits(c, self.drop)]
        for p in patterns:
            if not any(p == c or fnmatchcase(c, p) for c in rest):
                raise self.bad(f"x: {discover.unknown('column', p, rest)}")
        chosen = [c for c in rest if _fits(c, patterns)]
        if unnamed := [c for c in chosen if re.fullmatch(r"Unnamed: \d+|__index_level_\d+__", c)]:
            raise self.bad(
                f"x: a column has no name ({unnamed[0]}), perhaps a row number, which would tell the class: "
                f"drop: ['{unnamed[0]}'], or list the features in x, such as x: f*",
                {"drop": [unnamed[0]]},
            )
        return chosen, y

    def read(self) -> tuple[Any, Any, tuple[Any, ...]]:
        chosen, y = self._names()
        frame = self.frame()
        self._lines = frame.index.to_numpy()
        kept = [c for c in chosen if not _fits(c, self.categories)]
        X, findings = self.parsed(frame, kept)
        if findings:
            raise self.bad(f"x: {'; '.join(findings)}", self.fix)
        self.words = {c: _columns.texts_of(frame[c], self.missing) for c in chosen if c not in kept}
        self._kept = kept
        return X, self._labels(frame, y), tuple(kept) + tuple(sorted(self.words))

    def _labels(self, frame: pd.DataFrame, y: str) -> np.ndarray:
        """Labels as they stand there; numbers with a decimal comma as numbers."""
        if not self.labelled:
            return np.full(len(frame), "", dtype=object)
        values, wrong = _columns.numbers(frame[y], self.decimal, self.missing)
        return frame[y].to_numpy(dtype=object) if self.decimal == "." or wrong.any() else values

    def parsed(self, frame: pd.DataFrame, chosen: Sequence[str]) -> tuple[np.ndarray, list[str]]:
        """Columns as numbers, and what is to be said of those that are none: single values, and whole columns."""
        X = np.empty((len(frame), len(chosen)), np.float64)
        single, whole = [], []
        for j, name in enumerate(chosen):
            X[:, j], wrong = _columns.numbers(frame[name], self.decimal, self.missing)
            if not wrong.any():
                continue
            at = np.flatnonzero(wrong)
            texts = _columns.texts_of(frame[name], self.missing)
            found = _columns.other(name, [t for t in texts if t is not None], [str(texts[i]) for i in at])
            if self.wanted or found.key == "missing" or 2 * len(at) < len(frame):
                where = f"column {name!r}, {self.row} {frame.index[at[0]] + self.first_row}"
                hint = (
                    f" (if it means none: missing: ['{texts[at[0]]}'] and impute: mean)" if len(at) < len(texts) else ""
                )
                single.append(f"{where}: expected a number, got {texts[at[0]]!r}{hint}")
            whole.append(
                found
                if 2 * len(at) >= len(frame) and not self.wanted
                else _columns.Finding(name, "", "missing", str(texts[at[0]]))
            )
        others = [f for f in whole if f.key != "missing"]
        self.fix = _columns.mending(whole) | ({"impute": "mean"} if single else {})
        return X, [*([_columns.said(others)] if others else []), *single[:3]]

    fix: dict[str, Any] = {}
    _lines: Sequence[int] | np.ndarray = ()
    _kept: Sequence[str] = ()

    def groups(self) -> np.ndarray:
        return np.array([t or "" for t in _columns.texts_of(self.frame()[self.by], self.missing)], dtype=object)

    def line(self, row: int) -> str:
        return f"{self.row} {(self._lines[row] if len(self._lines) else row) + self.first_row}"

    def features(self, layout: tuple[Any, ...]) -> list[str]:
        return list(self._kept)

    def unlike(self, layout: tuple[Any, ...], like: tuple[Any, ...], path: str) -> BadInput:
        if len(layout) != len(like):
            odd = sorted(set(layout) ^ set(like))
            which = f" ({', '.join(map(repr, odd[:5]))})" if odd and len(odd) < len(layout) else ""
            return self.bad(f"x: {len(layout)} features, but {len(like)} in {path}{which}")
        i = next(i for i, (a, b) in enumerate(zip(layout, like, strict=True)) if a != b)
        return self.bad(f"x: feature {i + 1} is {layout[i]!r}, but {like[i]!r} in {path}")

    def place(self, row: int, rest: Sequence[int]) -> str:
        return f"x: column {self._kept[rest[0]]!r}, {self.line(row)}"

    def rows(self) -> list[dict[str, Any]]:
        frame, rows = self.frame(), []
        kinds = {c: self._type(frame[c]) for c in self.columns()}
        for kind, run in groupby(self.columns(), key=lambda column: kinds[column]):
            first, *rest = run
            name = " … ".join([first, *rest[-1:]])
            rows.append({"name": name, "type": kind, "shape": [len(frame), 1 + len(rest)]})
        return rows

    def _type(self, column: pd.Series[Any]) -> str:
        if str(column.dtype) not in ("object", "str", "string"):
            return str(column.dtype)
        return "text" if _columns.numbers(column, self.decimal, self.missing)[1].any() else "numbers"

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        y = self._names()[1]
        return {"y": y}, self.frame()[y].to_numpy(dtype=object)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(p == name or fnmatchcase(name, p) for p in patterns)


class Folder(Format):
    """A folder with a folder of files per class."""

    kind = "images"
    lies_in = "folder"

    def holds(self, path: Path) -> bool:
        """Whether a file without one of the `suffixes` is one of its kind all the same, by its content."""
        return False

    @classmethod
    def grouped(cls, paths: Sequence[Path]) -> list[list[Path]]:
        return [list(paths)]

    def tree(self) -> tuple[list[Path], np.ndarray]:
        """Files of the folder, or of several that are pooled, and their classes."""
        read = _folders.tree if self.labelled else _folders.flat
        found = [read(folder, self.suffixes, self.holds) for folder in self.files]
        self.notes = [f"left out: {left}" for _, _, left in found if left]
        return [path for files, _, _ in found for path in files], np.concatenate([y for _, y, _ in found])

    def described(self, path: Path) -> str:
        """What kind of file it is, in a few words."""
        raise NotImplementedError

    def listed(self) -> list[Path]:
        return self.tree()[0]

    def rows(self) -> list[dict[str, Any]]:
        seen: dict[str, Counter[str]] = {}
        for path, c in zip(*self.tree(), strict=True):
            seen.setdefault(str(c), Counter())[self.described(path)] += 1
        return [
            {"name": c, "type": "; ".join(k for k, _ in kinds.most_common(3)), "shape": [kinds.total()]}
            for c, kinds in seen.items()
        ]

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        return {"size": 32} if "size" in self.keys else {}, self.tree()[1]
