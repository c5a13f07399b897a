"""The contract of a validator: a number for one fitted method, higher for a better one, and no target label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from zoo.errors import LeakError, Unsupported

if TYPE_CHECKING:
    import numpy as np


class Validator:
    """Judges a fitted method by what is seen of it without target labels. A subclass says `needs` and `value`.

    Its class attributes are literals, since they are read without importing the file.

    Attributes
    ----------
    needs : set of fields of `Seen` that it reads
    outside : '' ; of the zoo's own, what its value comes from where that is not `value`
    cite : key in ``zoo/refs.bib``
    """

    needs: ClassVar[set[str]] = {"pt"}
    outside: ClassVar[str] = ""
    cite: ClassVar[str] = ""

    def value(self, seen: Seen) -> float:
        """The number, higher for a better method; NaN or infinite where there is none, which selects nothing."""
        raise NotImplementedError


class Seen:
    """What a validator sees of one fit: numpy arrays, of source-train (s), source-validation (v) and target-adapt (t).

    Attributes
    ----------
    ps, pv, pt : class scores [n, n_classes], rows summing to 1
    ys, yv : labels of the source's samples [n]
    zs, zv, zt : features [n, d]: the network's, or what the base classifier sees
    pm, im : class scores [m, n_classes] of mixtures ``0.55 x_i + 0.45 x_j`` of target-adapt samples, and (i, j) [m, 2]

    Raises
    ------
    LeakError
        On reading a field that `needs` does not name.
    """

    ps: np.ndarray
    ys: np.ndarray
    zs: np.ndarray
    pv: np.ndarray
    yv: np.ndarray
    zv: np.ndarray
    pt: np.ndarray
    zt: np.ndarray
    pm: np.ndarray
    im: np.ndarray

    def __init__(self, fields: Mapping[str, Any], needs: Iterable[str]) -> None:
        self.needs = frozenset(needs)
        self.__dict__.update({k: v for k, v in fields.items() if k in self.needs})

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("needs", ()):
            raise Unsupported(f"needs {name}, which this fit does not give")
        if name.startswith("__"):
            raise AttributeError(name)
        raise LeakError(f"{name} was read, but the validator's needs do not name it")
