"""What a format has to say, and what arrays, tables and folders have in common."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo import discover, plain
from zoo.data import _images
from zoo.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

FEATURES = frozenset({"x", "features", "feats", "fts", "data", "images", "samples"})
LABELS = frozenset({"y", "label", "labels", "class", "classes", "target", "targets"})
WHOLE = re.compile(r"([+-]?\d+)\.0*")


class Format:
    """The file or folder with one domain's samples, and the keys of ``data:`` that say what is what in it.

    Attributes
    ----------
    keys : which of ``x, y, size`` the format takes
    suffixes : how its files end, for ``zoo data inspect``
    kind, photographs : as in `zoo.data.base.Dataset`
    """

    keys: ClassVar[tuple[str, ...]] = ("x", "y")
    suffixes: ClassVar[tuple[str, ...]] = ()
    kind: str = "samples"
    photographs: ClassVar[bool] = False
    lies_in: ClassVar[str] = "file"  # or a folder, or '' for either
    row, first_row = "row", 0  # how a sample's place in the file is called, and the first one's number

    def __init__(self, path: Path, x: str = "", y: str = "", size: int = 0) -> None:
        self.path, self.x, self.y, self.size = path, x, y, size

    def read(self) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        """Samples, labels as they stand there, and what has to be the same in all domains."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """What there is: name, type and shape of each array, of each run of columns, or of each class's files."""
        raise NotImplementedError

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        """The keys to read it by, and the labels under them."""
        raise NotImplementedError

    def place(self, row: int, rest: Sequence[int]) -> str:
        """Where a value of the samples stands in the file."""
        return f"x: {self.row} {row + self.first_row}" + (f", column {rest[0]}" if len(rest) == 1 else "")

    def bad(self, message: str) -> BadInput:
        return BadInput(f"{self.path}: {message}")

    def choose(self, key: str, names: Sequence[str], usual: frozenset[str], other: str = "") -> str:
        """The name that the key gives, or else the one with a usual name, or else the only one besides `other`."""
        given = getattr(self, key)
        if given:
            if given not in names:
                raise self.bad(f"{key}: {discover.unknown('name', given, names)}")
            return given
        for found in ([n for n in names if n.lower() in usual], [n for n in names if n != other] if other else []):
            if len(found) == 1:
                return found[0]
        there = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        raise self.bad(f"{key}: missing; say which holds the {'labels' if key == 'y' else 'features'}: {there or '-'}")


class Arrays(Format):
    """A file of named arrays, samples along their first axis; arrays of 3 or 4 axes are images."""

    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shapes and types of the arrays, without reading them."""
        raise NotImplementedError

    def arrays(self, names: list[str]) -> list[np.ndarray]:
        raise NotImplementedError

    @property
    def kind(self) -> str:  # type: ignore[override]
        headers = self.headers()
        return "images" if len(headers[self._names(headers)[0]][0]) in (3, 4) else "samples"

    def _names(self, headers: Iterable[str]) -> tuple[str, str]:
        names = list(headers)
        y = self.choose("y", names, LABELS, self.x)
        return self.choose("x", names, FEATURES, y), y

    def read(self) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        X, y = self.arrays(list(self._names(self.headers())))
        if X.dtype.kind not in "biuf" or not 1 <= X.ndim <= 4:
            raise self.bad(f"x: holds {'×'.join(map(str, X.shape))} {X.dtype}: expected numbers, a row for each sample")
        if len(X) != y.size and y.size in X.shape:
            raise self.bad(f"x: has shape {X.shape} for {y.size} labels: samples have to come first, transpose it")
        if X.ndim in (1, 3):  # one feature, one channel
            X = X[:, None]
        if X.ndim == 4:
            if X.shape[1] not in (1, 3) and X.shape[3] in (1, 3):
                X = X.transpose(0, 3, 1, 2)  # channels last, as most image libraries have them
            if X.dtype == np.uint8:
                X = X.astype(np.float32) / 255
        return X, y, X.shape[1:]

    def rows(self) -> list[dict[str, Any]]:
        return [{"name": n, "type": dtype, "shape": list(shape)} for n, (shape, dtype) in self.headers().items()]

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        x, y = self._names(self.headers())
        return {"x": x, "y": y}, self.arrays([y])[0]


class Table(Format):
    """A file of named columns, one of them the labels."""

    def columns(self) -> list[str]:
        raise NotImplementedError

    def frame(self, y: str) -> pd.DataFrame:
        """The table, with the column `y` as it stands there."""
        raise NotImplementedError

    def _names(self) -> tuple[list[str], str]:
        columns = self.columns()
        if twice := [c for c, count in Counter(columns).items() if count > 1]:
            raise self.bad(f"column {twice[0]!r} stands twice")
        y = self.choose("y", columns, LABELS)
        patterns = [p.strip() for p in self.x.split(",") if p.strip()] or ["*"]
        rest = [c for c in columns if c != y]
        for p in patterns:
            if not any(p == c or fnmatchcase(c, p) for c in rest):
                raise self.bad(f"x: {discover.unknown('column', p, rest)}")
        chosen = [c for c in rest if any(p == c or fnmatchcase(c, p) for p in patterns)]
        if unnamed := [c for c in chosen if re.fullmatch(r"Unnamed: \d+|__index_level_\d+__", c)]:
            raise self.bad(
                f"x: a column has no name ({unnamed[0]}), perhaps a row number, which would tell the class: "
                "remove it, or list the features in x, such as x: f*"
            )
        return chosen, y

    def read(self) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        chosen, y = self._names()
        frame = self.frame(y)
        X = np.empty((len(frame), len(chosen)), np.float64)
        for j, column in enumerate(chosen):
            X[:, j] = self._numbers(column, frame[column])
        return X, frame[y].to_numpy(dtype=object), tuple(chosen)

    def _numbers(self, name: str, column: pd.Series[Any]) -> np.ndarray:
        import pandas as pd

        if not pd.api.types.is_numeric_dtype(column):
            parsed = pd.to_numeric(column.astype(str).where(column.notna()), errors="coerce")
            wrong = np.flatnonzero(parsed.isna() & column.notna())
            if len(wrong):
                at = f"column {name!r}, {self.row} {wrong[0] + self.first_row}"
                raise self.bad(f"x: {at}: expected a number, got {column.iloc[wrong[0]]!r}")
            column = parsed
        return column.to_numpy(dtype=np.float64, na_value=np.nan)

    def place(self, row: int, rest: Sequence[int]) -> str:
        return f"x: column {self._names()[0][rest[0]]!r}, {self.row} {row + self.first_row}"

    def rows(self) -> list[dict[str, Any]]:
        frame, rows = self.frame(""), []
        for kind, run in groupby(self.columns(), key=lambda column: str(frame[column].dtype)):
            first, *rest = run
            name = " … ".join([first, *rest[-1:]])
            rows.append({"name": name, "type": kind, "shape": [len(frame), 1 + len(rest)]})
        return rows

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        y = self._names()[1]
        return {"y": y}, self.frame(y)[y].to_numpy(dtype=object)


class Folder(Format):
    """A folder with a folder of files per class."""

    kind = "images"
    lies_in = "folder"

    def tree(self) -> tuple[list[Path], np.ndarray]:
        return _images.tree(self.path, self.suffixes)

    def described(self, path: Path) -> str:
        """What kind of file it is, in a few words."""
        raise NotImplementedError

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


def names(y: Any, form: Format) -> np.ndarray:
    """Class names of labels: 1, 1.0, '1.0' and b'1' are one class; text is kept.

    >>> names(np.array([[1.0], [2.0]]), Format(Path("a.npz"))).tolist()
    ['1', '2']
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biufOSU":
        raise form.bad(f"y: holds {y.dtype}: expected names or whole numbers")
    if y.ndim > 1 and y.size != max(y.shape, default=0):
        raise form.bad(f"y: has shape {y.shape}: expected one label for each sample")
    return np.array([_name(value, i, form) for i, value in enumerate(y.ravel().tolist())], dtype=str)


def _name(value: Any, i: int, form: Format) -> str:
    place = f"y: {form.row} {i + form.first_row}"
    while isinstance(value, np.ndarray) and value.size == 1:  # a cell of a MATLAB array
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, bool | np.bool):
        value = int(value)
    if isinstance(value, int) and (why := plain.unfit_value(value)):
        raise form.bad(f"{place}: {why}")
    text = str(value).strip()
    if why := plain.unfit_value(text):  # of a folder whose name is no UTF-8
        raise form.bad(f"{place}: {text!r}: {why}")
    if text in ("", "<NA>", "[]") or value is None or value != value:
        raise form.bad(f"{place} has no label")
    return str(int(whole[1])) if (whole := WHOLE.fullmatch(text)) else text


@contextmanager
def reading(file: Format, domain: str = "") -> Iterator[None]:
    """Whatever goes wrong in a file becomes one line with its key and its path."""
    where = f"data: domains: {domain}: " if domain else ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about damage that they read past, or then raise for
            yield
    except BadInput as error:
        raise BadInput(f"{where}{error}") from None
    except MemoryError:
        raise BadInput(f"{where}{file.path} needs more memory than there is") from None
    except Exception as error:  # a damaged file raises nearly anything: zlib's errors, ValueError, OSError
        strerror = getattr(error, "strerror", None)
        reason = strerror or (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{where}{file.path} cannot be read as {type(file).__name__.lower()}: {reason}") from None
