"""What the columns of a table mean: numbers, words, dates, ids, counters; and what mends those that are no features."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DOMAINS = ("domain", "domains", "batch", "subject", "site", "environment", "env", "hospital", "centre", "center")
MISSING = ("", "NA", "NaN", "nan", "null", "None", "<NA>")
MARKS = 3  # different words among numbers, up to which they look like marks of missing values
LEVELS = 50  # words of a category, at most
COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+([eE][+-]?\d+)?")
THOUSANDS = re.compile(r"[+-]?\d{1,3}([,' ]\d{3})+(\.\d+)?")
PERCENT = re.compile(r"[+-]?[\d.,]+ ?%")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2})?.*)?|\d{1,2}:\d{2}(:\d{2})?|\d{4}-\d{2}")
DAYS = [(3e8, 2.3e9), (3e11, 2.3e12), (3e14, 2.3e15), (3e17, 2.3e18)]  # 1979 to 2042 in s, ms, µs, ns


@dataclass(frozen=True)
class Finding:
    """What a column is, and the key of ``data:`` under which it is to be listed."""

    column: str
    what: str
    key: str = "drop"
    value: str = ""

    def __str__(self) -> str:
        return f"{self.column!r} ({self.what})"


def said(findings: Sequence[Finding], most: int = 12) -> str:
    """Findings as one line with the keys that mend them.

    >>> said([Finding("day", "dates"), Finding("hue", "2 words", "categories")])
    "'day' (dates), 'hue' (2 words): drop: [day], categories: [hue]"
    """
    names = ", ".join(map(str, findings[:most])) + (f" and {len(findings) - most} more" if len(findings) > most else "")
    keys = mending(findings)
    listed = [f"{k}: {v!r}" if isinstance(v, str) else f"{k}: [{', '.join(map(_plain, v))}]" for k, v in keys.items()]
    return f"{names}: {', '.join(listed)}"


def mending(findings: Sequence[Finding]) -> dict[str, Any]:
    """The keys of ``data:`` that mend what was found."""
    keys: dict[str, Any] = {}
    for f in findings:
        if f.key == "decimal":
            keys["decimal"] = ","
        else:
            have = keys.setdefault(f.key, [])
            have += [v for v in [f.value or f.column] if v not in have]
    return keys


def _plain(name: str) -> str:
    """A name as a list of YAML takes it."""
    word = re.fullmatch(r"[A-Za-z_][\w .%/-]*[\w.%]|[A-Za-z_]", name)
    return name if word and name.lower() not in ("null", "true", "false", "nan") else repr(name)


def numbers(column: pd.Series[Any], decimal: str, missing: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
    """A column as float64, NaN where there is none; and where it holds something else."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        gone = [float(m) for m in missing if _parses(m)]
        return np.where(np.isin(values, gone), np.nan, values) if gone else values, np.zeros(len(values), bool)
    texts = texts_of(column, missing)
    there = np.array([t is not None for t in texts], bool)
    values, wrong = np.full(len(texts), np.nan), np.zeros(len(texts), bool)
    kept = [t for t in texts if t is not None]
    found = [_float(t, decimal) for t in kept]
    if any(f is None for f in found) and {t.lower() for t in kept} <= {"true", "false"}:
        found = [float(t.lower() == "true") for t in kept]
    values[there] = [np.nan if f is None else f for f in found]
    wrong[there] = [f is None for f in found]
    return values, wrong


def texts_of(column: pd.Series[Any], missing: Collection[str]) -> list[str | None]:
    """A column as stripped text; None where it is missing."""
    gone = {*MISSING, *missing}
    texts = (None if v is None or v is not v or v != v else str(v).strip() for v in column.astype(object).tolist())
    return [None if t is None or t in gone else t for t in texts]


def _float(text: str, decimal: str) -> float | None:
    if decimal == ",":
        if not re.fullmatch(r"[+-]?\d*(,\d*)?([eE][+-]?\d+)?", text):
            if not COMMA.fullmatch(text) and not re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", text):
                return None
            text = text.replace(".", "")
        text = text.replace(",", ".")
    if "_" in text:  # which Python reads
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _parses(text: str) -> bool:
    return _float(text, ".") is not None


def other(name: str, texts: Sequence[str], wrong: Sequence[str]) -> Finding:
    """What a column is that holds other things than numbers: `texts` are its values, `wrong` those that are none."""
    marks = sorted(Counter(wrong), key=lambda t: (-Counter(wrong)[t], t))
    if len(wrong) * 2 < len(texts) and len(marks) <= MARKS and not any(c.isdigit() for m in marks for c in m):
        return Finding(name, f"{marks[0]!r} among numbers", "missing", marks[0])
    if all(PERCENT.fullmatch(t) for t in texts):
        return Finding(name, "percent")
    small = all(THOUSANDS.fullmatch(t) or t.isdigit() for t in texts)
    if small and not any(re.match(r"[+-]?0[,' ]", t) for t in texts):
        return Finding(name, "numbers with thousands separators")
    if all(COMMA.fullmatch(t) or _parses(t) for t in texts):
        return Finding(name, "numbers with a decimal comma", "decimal")
    if all(DATE.fullmatch(t) for t in texts):
        return Finding(name, "dates")
    levels = len(set(texts))
    if sum(len(t.split()) for t in texts) > 4 * len(texts):
        return Finding(name, "text")
    if len(texts) >= 10 and levels > 0.9 * len(texts):
        return Finding(name, "ids" if all(" " not in t for t in texts) else "names")
    if levels > LEVELS:
        return Finding(name, f"{levels} different words")
    return Finding(name, f"{levels} word{'s'[: levels > 1]}", "categories")


# Of numbers -----------------------------------------------------------------------------------------------------------


def audit(X: np.ndarray, y: np.ndarray, names: Sequence[str], table: bool) -> tuple[list[Finding], list[Finding]]:
    """Columns that tell the class by the order of the file, which are refused, and those that are to be looked at.

    Parameters
    ----------
    X, y : rows [n, d] and labels in the order of the file
    table : whether constant and equal columns are worth a word; arrays of pixels and counts are full of them
    """
    telling, odd = [], []
    seen: dict[bytes, str] = {}
    for j, name in enumerate(names):
        x = X[:, j]
        there = x[np.isfinite(x)]
        if len(there) < len(x) or len(x) < 8:
            continue
        times = any(low <= there.min() and there.max() <= high for low, high in DAYS) and _integral(there)
        counter = _counts(there)
        if (counter or times) and _blocks(y[np.argsort(there, kind="stable")]):
            what = "unix times" if times else "row numbers"
            telling.append(Finding(name, f"{what} that tell the class, since the rows are sorted by it"))
        elif times:
            odd.append(Finding(name, "unix times"))
        elif counter and (table or _steady(there)):
            odd.append(Finding(name, "row numbers"))
        elif table and (there == there[0]).all():
            odd.append(Finding(name, "constant"))
        elif table and (twin := seen.setdefault(np.ascontiguousarray(x).tobytes(), name)) != name:
            odd.append(Finding(name, f"equals {twin!r}"))
        elif table and _renames(there, y):
            odd.append(Finding(name, "one value for each class: the label again?"))
    return telling, odd


def _integral(x: np.ndarray) -> bool:
    return bool((x == np.round(x)).all())


def _steady(x: np.ndarray) -> bool:
    """Whether it goes on by equal steps."""
    steps = np.diff(x)
    return bool(len(steps)) and bool((steps == steps[0]).all()) and steps[0] != 0


def _counts(x: np.ndarray) -> bool:
    """Whether values count rows: one way through the file, by steps that are whole or alike; or 1 to n in any order."""
    steps = np.diff(x)
    if (steps > 0).all() or (steps < 0).all():
        return _integral(x) or float(np.mean(np.isclose(steps, np.median(steps), rtol=0.01))) > 0.5
    if not _integral(x):
        return False
    distinct = np.unique(x)
    if len(distinct) == len(x) and x.max() - x.min() < 1.2 * len(x):
        return True
    return bool((steps >= 0).all()) and len(distinct) > 0.8 * len(x)


def _blocks(y: np.ndarray) -> bool:
    """Whether labels in this order come in far fewer runs than they would by chance."""
    counts = np.unique(y, return_counts=True)[1]
    runs = 1 + int((y[1:] != y[:-1]).sum())
    chance = 1 + len(y) * (1 - float(((counts / len(y)) ** 2).sum()))
    return len(counts) > 1 and (runs < chance / 2 if len(y) >= 30 else runs == len(counts) < chance / 2)


def _renames(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether a column is the labels under other names; where labels hardly come again, any other number is."""
    values, labels = np.unique(x), np.unique(y)
    if 2 * len(labels) > len(y):
        return False
    return 2 <= len(values) == len(labels) and len({*zip(x.tolist(), y.tolist(), strict=True)}) == len(values)


def extreme(X: np.ndarray, least: float = 1e9) -> tuple[int, int] | None:
    """Row and column of a value that is `least` times what the others of its column are, if there is one."""
    if len(X) < 10:
        return None
    largest = np.nanmax(np.abs(X), axis=0, initial=0)
    for j in np.flatnonzero(largest > 1e6):
        x = np.abs(X[:, j])
        usual = np.nanmedian(x[x > 0])
        far = np.flatnonzero(x > least * usual)
        if 0 < len(far) <= max(1, len(x) // 50):
            return int(far[0]), int(j)
    return None
