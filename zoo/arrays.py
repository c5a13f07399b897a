"""Samples and labels as people hold them, checked in one place: numpy, pandas, polars, sparse, tensors, lists.

Pure functions. What comes out is float32 (or int64 codes), of native byte order, contiguous and finite; what cannot be
is refused in one line. `Task.from_arrays` and `zoo.estimator` both go through here.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.errors import BadInput, one_line

DENSE = 2**31  # bytes of a sparse matrix made dense, at most
ROLES = ("source", "target", "labelled")  # of rows, in a `domain` vector


class BadArray(BadInput, ValueError):
    """An array cannot be used; a ValueError, as scikit-learn's callers expect."""


class BadType(BadInput, TypeError):
    """What was given holds no numbers at all."""


@dataclass(frozen=True)
class Given:
    """Arrays of one task, as every method takes them.

    Attributes
    ----------
    Xs, Xt, Xl : float32 arrays [n, ...]; None where there are none
    ys, yl : int64 arrays of codes, positions in `classes`; or float32 arrays of values
    classes : array of the labels as they were given, sorted; of values none
    """

    Xs: np.ndarray
    ys: np.ndarray
    classes: np.ndarray
    Xt: np.ndarray | None = None
    Xl: np.ndarray | None = None
    yl: np.ndarray | None = None


def given(
    Xs: Any,
    ys: Any,
    Xt: Any = None,
    Xl: Any = None,
    yl: Any = None,
    *,
    classes: Any = None,
    warn: bool = False,
    values: bool = False,
) -> Given:
    """Check the arrays of a task together.

    Parameters
    ----------
    classes : all classes, where `ys` and `yl` lack some
    warn : as scikit-learn does of labels in a column
    values : whether labels are real values, and no classes

    Raises
    ------
    BadArray
        NaN or infinity, text, unequal widths or lengths, columns in another order, one class only, labels missing.

    >>> found = given([[0, 1], [2, 3]], ["ill", "well"], [[1, 1]])
    >>> found.classes.tolist(), found.ys.tolist(), found.Xt.dtype.name
    (['ill', 'well'], [0, 1], 'float32')
    >>> given([[0, 1], [2, 3]], [0, 1], [[1, 1, 1]])
    Traceback (most recent call last):
    zoo.arrays.BadArray: Xt has 3 features, but Xs has 2: source and target need the same columns
    """
    if (Xl is None) != (yl is None):
        raise BadArray("Xl and yl come together: the labelled target samples, and their labels")
    X = samples(Xs, "Xs")
    of = quantities if values else labels
    y = of(ys, "ys", len(X), warn=warn)
    T, L = (None if Z is None else samples(Z, name) for name, Z in (("Xt", Xt), ("Xl", Xl)))
    for name, Z, raw in (("Xt", T, Xt), ("Xl", L, Xl)):
        if Z is not None:
            same_columns(Xs, raw, X, Z, name)
    few = None if L is None else of(yl, "yl", len(L))
    if values:
        return Given(X, y, np.empty(0), T, L, few)
    known = distinct([y] if few is None else [y, few], "ys") if classes is None else distinct([classes], "classes")
    return Given(X, coded(y, known, "ys"), known, T, L, None if few is None else coded(few, known, "yl"))


def length(X: Any, name: str) -> int:
    """How many samples there are; of what has no length, an error."""
    try:
        shape = getattr(X, "shape", None) or (len(X) if hasattr(X, "__len__") else np.asarray(X).shape[0],)
        return int(shape[0])
    except (IndexError, TypeError):
        raise BadType(f"{name}: expected an array of samples [n, d], got {type(X).__name__}") from None


def samples(X: Any, name: str = "X", *, nd: bool = True) -> np.ndarray:
    """Samples [n, ...] as a float32 array that nobody else writes into.

    Raises
    ------
    BadArray, BadType
        Which row and column is wrong, and what would be right.

    >>> samples(np.arange(6, dtype=">i2")[::-1].reshape(3, 2)).tolist()
    [[5.0, 4.0], [3.0, 2.0], [1.0, 0.0]]
    """
    from scipy.sparse import issparse
    from sklearn.utils import check_array

    names = columns(X)
    if issparse(X):
        X = _dense(X, name)
    X = _untied(X)
    if text := _texts(X, names):
        what = f"column{'s'[: len(text) > 1]} {', '.join(map(repr, text[:5]))}{', …' if len(text) > 5 else ''}"
        raise BadArray(f"{name}: {what} hold no numbers: encode (sklearn.preprocessing.OneHotEncoder) or drop them")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            X = check_array(X, dtype="numeric", ensure_all_finite=False, allow_nd=nd, input_name=name)
    except ValueError as error:
        raise BadArray(f"{name}: {one_line(error)}") from None
    except TypeError as error:
        raise BadType(f"{name}: {one_line(error)}") from None
    return _single(X, name, names)


def columns(X: Any) -> list[Any] | None:
    """Names of the columns of a data frame; None of what has none."""
    found = getattr(X, "columns", None)
    return None if found is None else list(found)


def same_columns(Xs: Any, Xt: Any, a: np.ndarray, b: np.ndarray, name: str) -> None:
    """Refuse samples of another shape than the source's, or whose columns have other names or another order.

    Raises
    ------
    BadArray
        Which differ.
    """
    if a.shape[1:] != b.shape[1:]:
        if a.ndim == b.ndim == 2:
            raise BadArray(
                f"{name} has {b.shape[1]} features, but Xs has {a.shape[1]}: source and target need the same columns"
            )
        raise BadArray(f"{name} has samples of shape {b.shape[1:]}, but Xs of {a.shape[1:]}")
    ours, theirs = columns(Xs), columns(Xt)
    if ours is not None and theirs is not None and ours != theirs:
        i = next(i for i, (p, q) in enumerate(zip(ours, theirs, strict=True)) if p != q)
        hint = f"take {name}[Xs.columns]" if set(ours) == set(theirs) else "they need the same columns in one order"
        raise BadArray(f"{name}: column {i} is {theirs[i]!r}, but {ours[i]!r} in Xs: {hint}")


def labels(y: Any, name: str, n: int | None = None, *, warn: bool = False) -> np.ndarray:
    """Labels [n] of any kind, none of them missing.

    Parameters
    ----------
    n : how many samples there are
    warn : as scikit-learn does of labels in a column

    Raises
    ------
    BadArray
        Missing, real-valued, of several columns, or not `n` of them.
    """
    import pandas as pd
    from sklearn.utils import column_or_1d
    from sklearn.utils.multiclass import type_of_target

    if y is None:
        raise BadArray(f"{name}: missing: the estimator requires y to be passed, but the target y is None")
    y = _untied(y)
    try:
        found = column_or_1d(y, warn=warn)
    except (ValueError, TypeError) as error:
        raise BadArray(f"{name}: {one_line(error)}") from None
    if n is not None and len(found) != n:
        raise BadArray(
            f"{name} has {len(found)} labels, but there are {n} samples: one label for each sample is needed"
        )
    if isinstance(y, list | tuple) and found.dtype.kind in "US" and not all(isinstance(v, str | bytes) for v in y):
        found = np.array(y, dtype=object)  # numpy makes text of numbers that stand beside text, and of None
    if (missing := np.flatnonzero(pd.isna(found))).size:
        raise BadArray(
            f"{name}: the label of sample {missing[0]} is missing (None or NaN; {missing.size} in all): "
            "drop these samples, or give them as target samples without labels"
        )
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise BadArray(f"{name}: the label of sample {np.flatnonzero(~np.isfinite(found))[0]} is infinity (inf)")
    try:
        kind = type_of_target(found, input_name=name) if len(found) else "binary"
    except (ValueError, TypeError) as error:
        raise BadArray(f"{name}: {one_line(error)}") from None
    if kind == "unknown" and len({type(v) for v in found.tolist()}) == 1:
        kind = "multiclass"  # objects of one kind, such as whole numbers in a column of objects
    if kind not in ("binary", "multiclass"):
        what = "real-valued; a class for each sample is expected" if kind == "continuous" else "text and numbers mixed"
        raise BadArray(f"{name}: Unknown label type: {kind}: {what}")
    return found.astype(found.dtype.newbyteorder("=")) if found.dtype.kind in "iuf" else found


def quantities(y: Any, name: str, n: int | None = None, *, warn: bool = False) -> np.ndarray:
    """Real values [n], all of them finite, as float32.

    >>> quantities([1, 2.5], "ys", 2).tolist()
    [1.0, 2.5]
    """
    from sklearn.utils import column_or_1d

    try:
        found = np.asarray(column_or_1d(_untied(y), warn=warn)).astype(np.float32)
    except (ValueError, TypeError) as error:
        raise BadArray(f"{name}: a number for each sample is expected: {one_line(error)}") from None
    if n is not None and len(found) != n:
        raise BadArray(f"{name} has {len(found)} values, but there are {n} samples: one for each sample is needed")
    if not np.isfinite(found).all():
        raise BadArray(f"{name}: the value of sample {np.flatnonzero(~np.isfinite(found))[0]} is missing or infinite")
    return found


def distinct(parts: Sequence[np.ndarray], name: str) -> np.ndarray:
    """The classes among labels, sorted.

    Raises
    ------
    BadArray
        There is one only, or they cannot be compared.

    >>> distinct([np.array([3, 1]), np.array([1, 2])], "ys").tolist()
    [1, 2, 3]
    """
    values = [np.asarray(part).ravel() for part in parts]
    texts = {isinstance(v, str | bytes) for part in values for v in part.tolist()}
    found = np.empty(0)
    try:
        found = np.unique(np.concatenate(values)) if len(texts) < 2 else found
    except TypeError:  # of objects that have no order
        texts = {True, False}
    if len(texts) > 1:
        raise BadArray(f"{name}: labels of several kinds (text beside numbers): write all of them alike")
    if len(found) < 2:
        what = f"one class only ({found[0]!s})" if len(found) else "no labels"
        raise BadArray(f"{name}: {what}: at least two classes are needed to tell apart")
    return found


def coded(y: np.ndarray, classes: np.ndarray, name: str) -> np.ndarray:
    """Labels as positions in the sorted `classes`."""
    codes = np.searchsorted(classes, y)
    wrong = (codes >= len(classes)) | (classes[np.minimum(codes, len(classes) - 1)] != y)
    if wrong.any():
        raise BadArray(f"{name}: {np.asarray(y)[wrong][0]!s} is none of the classes {', '.join(map(str, classes[:5]))}")
    return codes.astype(np.int64)


def roles(domain: Any, n: int) -> np.ndarray:
    """What each row is, as text: source, target (without label), or labelled (target, whose label may be used).

    Parameters
    ----------
    domain : these words; or truth values or 0 and 1, where 1 is target

    Raises
    ------
    BadArray
        Another word, number or length.

    >>> roles([0, 1, 1], 3).tolist(), roles(["source", "labelled"], 2).tolist()
    (['source', 'target', 'target'], ['source', 'labelled'])
    """
    found = np.asarray(_untied(domain)).ravel()
    if len(found) != n:
        raise BadArray(f"domain has {len(found)} entries, but there are {n} samples: each needs one")
    words = found.astype(str)
    numbers = found.dtype.kind in "biuf"
    if (wrong := ~np.isin(found, (0, 1)) if numbers else ~np.isin(words, ROLES)).any():
        raise BadArray(
            f"domain: entry {np.flatnonzero(wrong)[0]} is {one_line(words[wrong][0], 40)!r}: "
            f"expected {', '.join(ROLES)}; or 0 for source and 1 for target"
        )
    return np.where(found.astype(bool), "target", "source") if numbers else words


def parted(X: Any, y: Any, domain: Any, needed: Sequence[str], who: str) -> Given:
    """One table as the arrays of a task, by the `roles` of its rows; labels of target rows are not looked at.

    Parameters
    ----------
    needed, who : the roles that there have to be, and the method that needs them

    >>> found = parted([[0], [1], [2], [3]], [5, 6, None, "?"], [0, 0, 1, 1], ["source", "target"], "coral")
    >>> found.Xt.tolist(), found.classes.tolist()
    ([[2.0], [3.0]], [5, 6])
    """
    whole = samples(X, "X")
    role = roles(domain, len(whole))
    at = {name: np.flatnonzero(role == name) for name in ROLES}
    if none := [name for name in needed if not len(at[name])]:
        hint = "a training part of a cross-validation needs some, too"
        raise BadArray(f"domain: none of {len(role)} rows is {none[0]}, which {who} needs ({hint})")
    ys, yl = (_rows(y, at[name], len(whole)) for name in ("source", "labelled"))
    Xt, Xl = (whole[at[name]] if len(at[name]) else None for name in ("target", "labelled"))
    return given(whole[at["source"]], ys, Xt, Xl, None if Xl is None else yl)


def _rows(y: Any, rows: np.ndarray, n: int) -> Any:
    """Labels of some rows; those of the others may be anything."""
    if y is None:
        labels(y, "y")
    if (found := length(y, "y")) != n:
        raise BadArray(f"y has {found} labels, but there are {n} samples: one label for each sample is needed")
    if isinstance(y, list | tuple):
        return [y[i] for i in rows]
    if hasattr(y, "iloc"):
        return y.iloc[rows]
    some = _untied(y)
    some = (some if isinstance(some, np.ndarray) else np.asarray(some))[rows]
    return some.tolist() if some.dtype.kind == "O" else some


def _untied(X: Any) -> Any:
    """Tensors as arrays; anything else as it is."""
    if hasattr(X, "detach") and hasattr(X, "cpu"):
        X = X.detach().cpu()
        return (X.float() if str(X.dtype) in ("torch.bfloat16", "torch.float16") else X).numpy()
    return X


def _dense(X: Any, name: str) -> np.ndarray:
    size = 4 * int(np.prod(X.shape))
    if size > DENSE:
        raise BadArray(
            f"{name}: sparse {X.shape[0]} × {X.shape[1]} would need {size / 1e9:.1f} GB in full, as methods are given "
            "it here: reduce it first (sklearn.decomposition.TruncatedSVD, or SelectKBest)"
        )
    if X.dtype.kind == "c":
        raise BadArray(f"{name}: Complex data not supported")
    return X.toarray()


def _texts(X: Any, names: list[Any] | None) -> list[Any]:
    """The columns of a data frame that hold no numbers."""
    if names is None:
        return []
    found = []
    for i, name in enumerate(names):
        column = np.asarray(X.iloc[:, i] if hasattr(X, "iloc") else X[name])
        if column.dtype.kind in "biufc":
            continue
        try:
            numbers = column.dtype.kind not in "mM" and np.asarray(column, dtype=float) is not None
        except (ValueError, TypeError):
            numbers = any(isinstance(v, dict | list) for v in column)  # of which scikit-learn speaks
        if not numbers:
            found.append(name)
    return found


def _single(X: np.ndarray, name: str, names: list[Any] | None) -> np.ndarray:
    """Finite numbers as float32, in which they are still told apart."""

    def column(at: Sequence[int]) -> str:
        return repr(names[at[1]]) if names is not None else ", ".join(map(str, at[1:]))

    finite = np.isfinite(X) if X.dtype.kind == "f" else np.ones(1, bool)
    if not finite.all():
        at = tuple(np.argwhere(~finite)[0].tolist())
        what = "NaN" if np.isnan(X[at]) else "infinity (inf)"
        raise BadArray(
            f"{name}: {what} in row {at[0]}, column {column(at)} ({int((~finite).sum())} of {X.size} values): "
            "impute (sklearn.impute.SimpleImputer) or drop them"
        )
    with np.errstate(over="ignore"):
        found = np.array(X, dtype=np.float32, order="C")
    if not np.isfinite(found).all():
        at = tuple(np.argwhere(~np.isfinite(found))[0].tolist())
        raise BadArray(
            f"{name}: {X[at]:g} in row {at[0]}, column {column(at)} is too large for float32: scale it first"
        )
    if X.dtype.itemsize > 4 and len(X) > 1:
        alike = (found.min(0) == found.max(0)) & (X.min(0) < X.max(0))
        if alike.any():
            at = (0, *np.argwhere(alike)[0].tolist())
            raise BadArray(
                f"{name}: column {column(at)} varies by less than float32 tells apart around {X[at]:g}: "
                "subtract its mean first (sklearn.preprocessing.StandardScaler)"
            )
    return found
