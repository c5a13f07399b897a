"""Series of measurements: an array of them, a table in long form, or a folder of tables."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import discover, plain
from zoo.data import _columns, _folders, _together
from zoo.data._reading import names, reading
from zoo.data.base import Dataset
from zoo.data.formats import npz
from zoo.data.formats.base import FEATURES, LABELS, Format
from zoo.data.formats.csv import Csv
from zoo.errors import BadInput
from zoo.series import Series as Measured
from zoo.series import evened

if TYPE_CHECKING:
    import pandas as pd

_Parts = tuple[np.ndarray, np.ndarray, np.ndarray | None, list[str]]  # values and lengths, times, names of series
LENGTHS = frozenset({"length", "lengths"})
IDS = frozenset({"id", "series", "series_id", "recording", "recording_id", "sequence", "sequence_id"})
TIMES = frozenset({"time", "t", "timestamp", "seconds"})
TABLES = (".csv", ".tsv")


class Series(Format):
    """Series with a label each: an .npz file, a .csv in long form, or a folder with a folder of .csv files per class.

    - ``.npz``: ``x`` [n, channels, time] or, of one channel, [n, time], and ``y`` [n]; steps of NaN at the end of a
      series are cut off. Or ``x`` [steps of all series, channels], ``length`` [n] and ``y`` [n].
    - ``.csv``: a line a step, with columns ``id``, ``time`` (may be missing: as the lines stand), the label and the
      channels.
    - a folder: a file a series, a line a step, a column a channel; a column ``time`` may be among them.

    ``id`` and ``time`` name columns that are called otherwise. Times are seconds, or dates. Steps count as even where
    none is off by half; others need ``rate:``, at which they are interpolated.
    """

    keys = ("x", "y", "id", "time", "window", "step", "rate")
    kind = "series"
    lies_in = ""

    def __init__(
        self, path: Path, x: str = "", y: str = "", *, id: str = "", time: str = "", rate: float = 0.0, **more: Any
    ) -> None:
        super().__init__(path, x, y, **more)
        self.id, self.time, self.rate = id, time, rate
        self.row = "series"

    def read(self) -> tuple[Any, Any, tuple[Any, ...]]:
        if self.path.is_dir():
            return self._folder()
        if self.path.suffix.lower() == ".npz":
            return self._arrays()
        if self.path.suffix.lower() in TABLES:
            return self._long()
        raise self.bad("series are an .npz or .csv file, or a folder with a folder of .csv files per class")

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether a file or folder looks like series, and not like images or samples."""
        if path.is_dir():
            return any(p.suffix.lower() in TABLES for p in path.glob("*/*"))
        if path.suffix.lower() == ".npz":
            return bool({n.lower() for n in npz.Npz(path).headers()} & LENGTHS)
        columns = {c.lower() for c in Csv(path).columns()} if path.suffix.lower() in TABLES else set()
        return bool(columns & IDS and columns & TIMES)

    def rows(self) -> list[dict[str, Any]]:
        found, _, layout = self.read()
        steps = f"{found.lengths.min()} to {found.lengths.max()} steps"
        rate = f" at {found.rate:g} a second" if found.rate else ""
        return [{"name": "x", "type": f"series of {len(layout)} channels, {steps}{rate}", "shape": [len(found)]}]

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        found, y, _ = self.read()
        uneven = len(set(found.lengths.tolist())) > 1
        length = int(found.lengths.min())
        window = {"window": "2 s" if found.rate and 2 * found.rate <= length else str(length)} if uneven else {}
        return window, y

    # An array ---------------------------------------------------------------------------------------------------------

    def _arrays(self) -> tuple[Measured, np.ndarray, tuple[Any, ...]]:
        file = npz.Npz(self.path)
        there = list(file.headers())
        lengths = [n for n in there if n.lower() in LENGTHS]
        others = [n for n in there if n not in lengths]
        y = self.choose("y", others, LABELS, self.x)
        x = self.choose("x", others, FEATURES, y if self.labelled else y or "none")
        X, *rest = file.arrays([x, y] if self.labelled else [x])
        labels = rest[0] if rest else np.full(len(X), "")
        if X.dtype.kind not in "biuf":
            raise self.bad(f"x: holds {X.dtype}: expected numbers")
        if lengths and X.ndim == 2:
            n = np.ravel(file.arrays(lengths[:1])[0])
            if n.dtype.kind not in "iu" or (n < 1).any() or n.sum() != len(X):
                raise self.bad(f"{lengths[0]}: whole numbers from 1 are expected, {len(X)} in all as {x} has rows")
            return Measured(_floats(X), n.astype(np.int64)), labels, tuple(range(X.shape[1]))
        X = X[:, None] if X.ndim == 2 else X
        if X.ndim != 3 or not all(X.shape):
            shape = "×".join(map(str, X.shape))
            raise self.bad(f"x: is {shape}: expected [n, channels, time], or [steps, channels] with {min(LENGTHS)}")
        n, channels, time = X.shape
        notes: tuple[str, ...] = ()
        if channels > time:
            notes = (f"x is read as [n, channels, time]: {channels} channels of {time} steps; transpose it if not",)
        padded = np.isnan(X).all(1) if X.dtype.kind == "f" else np.zeros((n, time), bool)
        ends = time - np.logical_and.accumulate(padded[:, ::-1], 1).sum(1)
        if (ends == 0).any():
            raise self.bad(f"x: series {int(np.flatnonzero(ends == 0)[0])} holds NaN only")
        if (cut := int((ends < time).sum())) > 0:
            notes += (f"steps of NaN at the end of {cut} series were cut off",)
        steps = np.arange(time) < ends[:, None]
        return Measured(_floats(X.transpose(0, 2, 1)[steps]), ends, notes=notes), labels, tuple(range(channels))

    # A table in long form ---------------------------------------------------------------------------------------------

    @cached_property
    def _table(self) -> Csv:
        return Csv(self.path)

    def _long(self) -> tuple[Measured, np.ndarray, tuple[Any, ...]]:
        table = self._table
        y = self.choose("y", table.columns(), LABELS)
        columns = [c for c in table.columns() if c != y]
        patterns = [p.strip() for p in self.x.split(",") if p.strip()] or ["*"]
        for p in patterns:
            if not any(fnmatchcase(c, p) for c in columns):
                raise self.bad(f"x: {discover.unknown('column', p, columns)}")
        key = self._column(columns, self.id, "id", IDS)
        if not key:
            there = ", ".join(columns[:8])
            raise self.bad(f"id: missing; say which column tells the series apart: {there}")
        time = self._column(columns, self.time, "time", TIMES)
        channels = [c for c in columns if c not in (key, time) and any(fnmatchcase(c, p) for p in patterns)]
        if not channels:
            raise self.bad("x: no column is left for the channels")
        frame = table.frame()
        ids = frame[key].fillna("").str.strip()
        if (ids == "").any():
            raise self.bad(f"{key}: {table.line(int(np.flatnonzero(ids == '')[0]))} belongs to no series")
        numbers, called = ids.factorize()
        labels = names(frame[y].to_numpy(dtype=object) if self.labelled else np.full(len(frame), ""), table)
        first = np.unique(numbers, return_index=True)[1]
        if (odd := np.flatnonzero(labels != labels[first][numbers])).size:
            i, of = int(odd[0]), int(numbers[odd[0]])
            line, other = (table.line(row) for row in (int(first[of]), i))
            one, two = str(labels[first[of]]), str(labels[i])
            raise self.bad(
                f"{y}: series {called[of]!r} has label {one!r} in {line} and {two!r} in {other}: one label a "
                f"series; give each part an {key} of its own"
            )
        values = np.stack([_numbers(table, c, frame[c]) for c in channels], 1)
        times = None if time is None else self._seconds(table, time, frame[time])
        order = np.lexsort((numbers,) if times is None else (times, numbers))  # stable: lines keep their order
        lengths = np.bincount(numbers)
        when = None if times is None else times[order]
        found = self._made((values[order], lengths, when, [str(c) for c in called]))
        return found, labels[first], tuple(channels)

    def _column(self, columns: Sequence[str], given: str, key: str, usual: frozenset[str]) -> str | None:
        if given:
            if given not in columns:
                raise self.bad(f"{key}: {discover.unknown('column', given, columns)}")
            return given
        found = [c for c in columns if c.lower() in usual]
        if len(found) > 1:
            raise self.bad(f"{key}: one of {', '.join(found)}: say which")
        return found[0] if found else None

    def _seconds(self, table: Csv, name: str, column: pd.Series[Any]) -> np.ndarray:
        """Times as seconds, dates from the first one."""
        import pandas as pd

        if _columns.numbers(column, ".", ())[1].any():  # first, for 2024 is also a date
            dates = pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")
            if dates.notna().all():
                return (dates - dates.min()).dt.total_seconds().to_numpy()
        found = _numbers(table, name, column)
        if not np.isfinite(found).all():
            raise table.bad(f"{name}: {table.line(int(np.flatnonzero(~np.isfinite(found))[0]))} has no time")
        return found - found.min()

    # A folder ---------------------------------------------------------------------------------------------------------

    def _folder(self) -> tuple[Measured, np.ndarray, tuple[Any, ...]]:
        files, labels, left = (_folders.tree if self.labelled else _folders.flat)(self.path, TABLES)
        self.notes = [f"left out: {left}"] if left else []
        values, times = [], []
        like: list[str] = []
        for path in files:
            table = Csv(path)
            columns = table.columns()
            time = self._column(columns, self.time if self.time in columns else "", "time", TIMES)
            channels = [c for c in columns if c != time]
            like = like or channels
            if channels != like:
                raise table.bad(f"channels are {', '.join(channels)}, but {', '.join(like)} in {files[0]}")
            frame = table.frame()
            if not len(frame):
                raise table.bad("holds no steps")
            values.append(np.stack([_numbers(table, c, frame[c]) for c in channels], 1))
            times.append(None if time is None else self._seconds(table, time, frame[time]))
        known = [t for t in times if t is not None]
        if 0 < len(known) < len(files):
            raise self.bad("time: a column of some files, and not of others")
        whole = np.concatenate(known) if known else None
        called = [str(p.relative_to(self.path)) for p in files]
        lengths = np.array([len(v) for v in values])
        return self._made((np.concatenate(values), lengths, whole, called)), labels, tuple(like)

    def _made(self, parts: _Parts) -> Measured:
        """Series from their steps in order; where there are times, at an even rate."""
        values, lengths, times, called = parts
        if not np.isfinite(values).all():
            step, channel = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            i = int(np.searchsorted(np.cumsum(lengths), step, side="right"))
            at = step - int(lengths[:i].sum())
            raise self.bad(f"x: series {called[i]!r}, step {at}, channel {channel + 1}: NaN or infinity")
        if times is None:
            return Measured(_floats(values), lengths)
        try:
            return evened(values, lengths, times, called, self.rate)
        except ValueError as error:
            raise self.bad(f"time: {error}") from None


def _floats(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
        return values.astype(np.float32)


def _numbers(table: Csv, name: str, column: pd.Series[Any]) -> np.ndarray:
    """A column as numbers; what is missing is NaN."""
    found, wrong = _columns.numbers(column, ".", ())
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        got = str(column.iloc[i]).strip()
        raise table.bad(f"x: column {name!r}, {table.line(i)}: expected a number, got {got!r}")
    return found


class Own(Dataset):
    """The ``data:`` key of a suite of series.

    Raises
    ------
    BadInput
        A file that is not there; on loading, whatever is wrong in a file.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        given = {k: v for k in ("x", "y", "id", "time", "rate") if (v := data.get(k))}
        self._files = {name: Series(Path(path), **given) for name, path in data["domains"].items()}
        for file in self._files.values():
            file.labelled = not data.get("unlabelled")
        for name, file in self._files.items():
            if why := plain.trouble(file.path):
                raise BadInput(f"data: domains: {name}: {file.path} {why}")
        seen: dict[Path, str] = {}
        for name, file in self._files.items():
            if (other := seen.setdefault(file.path.resolve(), name)) != name:
                raise BadInput(f"data: domains: {other} and {name} are the same, {file.path}: give each its own")
        self._first: tuple[str, tuple[Any, ...], float] | None = None
        self._notes: dict[str, list[str]] = {}
        vars(self).update(domains=tuple(self._files), kind="series")

    def load(self, domain: str, root: Path | None) -> tuple[Any, np.ndarray]:
        file = self._files[domain]
        with reading(file, domain):
            series, y, layout = file.read()
            labels = names(y, file)
            if len(series) != len(labels):
                raise file.bad(f"y: {len(labels)} labels for {len(series)} series in x")
            self._first = other, like, rate = self._first or (domain, layout, series.rate)
            if layout != like:
                own, others = (", ".join(map(str, names)) for names in (layout, like))
                raise file.bad(f"x: channels are {own}, but {others} in domain {other}")
            if not file.rate and series.rate != rate:
                both = f"{series.rate:g} steps a second, but {rate:g} in domain {other}"
                raise file.bad(f"time: {both}: say at which rate: to have both")
            self._notes[domain] = [*file.notes]
        return series, labels

    def together(self, raw: dict[str, Any], normalise: Sequence[str], classes: bool = True) -> dict[str, Any]:
        files = {name: str(self._files[name].path) for name in raw}
        seen = {name: (X.values, labels) for name, (X, labels) in raw.items()}
        found, notes = _together.checked(seen, files, normalise, split=False, classes=classes)
        for name in raw:
            self._notes[name] += notes[name]
        return {name: (X, found[name][1]) for name, (X, _) in raw.items()}

    def like(self, other: Dataset) -> None:
        assert isinstance(other, Own)
        self._first = other._first

    def place(self, domain: str) -> str:
        return f"data: domains: {domain}: {self._files[domain].path}"

    def notes(self, domain: str) -> tuple[str, ...]:
        return tuple(self._notes.get(domain, ()))
