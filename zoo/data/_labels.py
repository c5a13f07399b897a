"""Class names as people write them: which labels are the same, which are none, and which look mistyped."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np

from zoo import plain
from zoo.errors import BadInput

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORDS = {"true": "1", "false": "0"}

Bad = Callable[[str], BadInput]


def names(y: Any, bad: Bad, place: Callable[[int], str], missing: Collection[str] = ()) -> np.ndarray:
    """Class names of labels: 1, 1.0, '1.0', '1e0', '+1', True and b'1' are one class; text is kept, in NFC.

    A label that is blank or one of `missing` is '', which is none.

    Raises
    ------
    BadInput
        The labels are no names or numbers, or not one for each sample.

    >>> names(np.array([[1.0], [2.0]]), BadInput, str).tolist(), names(["True", "false"], BadInput, str).tolist()
    (['1', '2'], ['1', '0'])
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biufOSUT":
        raise bad(f"y: holds {y.dtype}: expected names or whole numbers")
    if y.ndim > 1 and y.size != max(y.shape, default=0):
        raise bad(f"y: has shape {y.shape}: expected one label for each sample")
    values = y.ravel()

    def at(i: int) -> Callable[[], str]:
        return lambda: f"y: {place(i)}"

    if values.dtype.kind in "biuf":  # the common case, by what is distinct
        unique, where = np.unique(values, return_inverse=True)
        first = {i: int(np.flatnonzero(where == i)[0]) for i in range(len(unique))} if len(unique) < 1000 else {}
        each = [_text(v, at(first.get(i, 0)), bad) for i, v in enumerate(unique.tolist())]
        texts = np.array(each, dtype=object)[where.ravel()].tolist() if each else []
    else:
        texts = [_text(v, at(i), bad) for i, v in enumerate(values.tolist())]
    gone = {m.strip() for m in missing}
    texts = ["" if t in gone else t for t in texts]
    distinct = set(texts) - {""}
    words = all(t.lower() in WORDS or t in ("0", "1") for t in distinct)
    return np.array([WORDS.get(t.lower(), t) if words else t for t in map(whole, texts)], dtype=str)


def whole(text: str) -> str:
    """A whole number however it is written, as digits; any other text as it is.

    >>> [whole(t) for t in ("01", "1.000e+00", "+1", "-0", "a1", "1.5")]
    ['1', '1', '1', '0', 'a1', '1.5']
    """
    x = _number(text)
    if x is None or not x.is_integer() or abs(x) >= plain.WHOLE:
        return text
    return str(int(text)) if re.fullmatch(r"[+-]?\d+", text) else str(int(x))


def real(labels: Iterable[str]) -> bool:
    """Whether labels are numbers, and some of them not whole.

    >>> real(["1.5", "2", ""]), real(["1", "2"]), real(["1.5", "a"])
    (True, False, False)
    """
    numbers = [_number(t) for t in labels if t]
    return None not in numbers and not all(x is None or x.is_integer() for x in numbers)


def alike(classes: Collection[str], others: Collection[str]) -> tuple[str, str] | None:
    """A class of the one that differs from one of the other only in case, blanks and the like.

    >>> alike({"Cat", "Dog", "bird"}, {"cat", "dog"}), alike({"a", "A"}, {"a"}), alike({"a b"}, {"a_b"})
    (('Cat', 'cat'), None, ('a b', 'a_b'))
    """
    mine: dict[str, list[str]] = {}
    theirs: dict[str, list[str]] = {}
    for found, names in ((mine, classes), (theirs, others)):
        for name in sorted(n for n in names if _number(n) is None):  # of numbers 1 and -1 differ in more
            found.setdefault(_folded(name), []).append(name)
    for key in sorted(mine.keys() & theirs.keys()):
        if len(mine[key]) == len(theirs[key]) == 1 and mine[key] != theirs[key]:
            return mine[key][0], theirs[key][0]
    return None


def _folded(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _number(text: str) -> float | None:
    return float(text) if NUMBER.fullmatch(text) else None


def _text(value: Any, place: Callable[[], str], bad: Bad) -> str:
    """A label as text; '' where there is none."""
    while isinstance(value, np.ndarray) and value.size == 1:  # a cell of a MATLAB array
        value = value.ravel()[0]
    if isinstance(value, np.ndarray):
        if value.size:
            raise bad(f"{place()}: holds {value.size} values, where one label should stand")
        return ""
    if value is None or value != value:
        return ""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, bool | np.bool):
        value = int(value)
    if isinstance(value, int) and (why := plain.unfit_value(value)):
        raise bad(f"{place()}: {why}")
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        raise bad(f"{place()}: is infinite")
    text = unicodedata.normalize("NFC", str(value).strip())
    if why := plain.unfit_value(text):  # of a folder whose name is no UTF-8
        raise bad(f"{place()}: {text!r}: {why}")
    return "" if text.lower() in ("", "<na>", "[]") else text
