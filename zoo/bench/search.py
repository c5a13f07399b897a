"""The search over a method's parameters: points of its `space`, the same for every pair, seed and machine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from zoo.discover import MethodInfo
from zoo.errors import BadInput
from zoo.records.ids import canonical

RANGES = ("log", "uniform", "linear", "float", "int")  # the middle three are one: evenly over an interval


def trials(info: MethodInfo, parameters: dict[str, Any], fixed: Iterable[str], n: int) -> list[dict[str, Any]]:
    """The parameters of up to `n` trials: first those of the row, then points of a scrambled Sobol sequence.

    The sequence is seeded by the method's name and its space alone (Owen 1998 scrambles; Bergstra & Bengio 2012 on why
    not a grid), so a larger `n` adds points and changes none. What a suite or ``--set`` says (`fixed`) is not searched:
    it keeps its value in every trial. Points that give the same parameters, as whole numbers may, are one trial, and a
    method with nothing to search has one.

    Raises
    ------
    BadInput
        A range of the space is none.
    """
    fixed = set(fixed)
    found = [dict(parameters)]
    for point in points(info, n - 1) if set(info.space) - fixed else []:
        made = parameters | {k: v for k, v in point.items() if k not in fixed}
        if made not in found:
            found.append(made)
    return found


def points(info: MethodInfo, n: int) -> list[dict[str, Any]]:
    """The first `n` points of a method's space, each a value for every parameter in it."""
    names = sorted(info.space)
    if n < 1 or not names:
        return []
    from scipy.stats import qmc

    said = [info.name, [[name, list(info.space[name])] for name in names]]
    sobol = qmc.Sobol(len(names), scramble=True, seed=int(canonical(said), 16))
    unit = sobol.random_base2(math.ceil(math.log2(n)))[:n] if n > 1 else sobol.random(1)
    for name in names:
        check(info, name)
    return [
        {name: value(info.space[name], float(u), info.parameters[name]) for name, u in zip(names, row, strict=True)}
        for row in unit
    ]


def value(entry: tuple[Any, ...], u: float, default: Any) -> Any:
    """The value at `u` in [0, 1) of a range such as ``("log", 1e-3, 10)``, of the type of the default.

    Fractions are rounded to 6 digits: what a machine's `exp` does to the last one names no other cell.

    >>> value(("log", 0.01, 100), 0.5, 1.0), value(("int", 1, 3), 0.99, 2), value(("uniform", 0.0, 4.0), 0.25, 0.0)
    (1.0, 3, 1.0)
    """
    kind, low, high = entry
    if kind == "int":
        return int(min(low + math.floor(u * (high - low + 1)), high))
    raw = low * (high / low) ** u if kind == "log" else low + u * (high - low)
    return round(raw) if isinstance(default, int) else float(f"{raw:.6g}")


def check(info: MethodInfo, name: str) -> None:
    """Refuse a range that is none.

    Raises
    ------
    BadInput
        With the method's file and what would be right.
    """
    entry = info.space[name]
    right = (
        isinstance(entry, tuple)
        and len(entry) == 3
        and entry[0] in RANGES
        and all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in entry[1:])
        and entry[1] < entry[2]
        and (entry[0] != "log" or entry[1] > 0)
        and (entry[0] != "int" or all(isinstance(v, int) for v in entry[1:]))
        and isinstance(info.parameters[name], int | float)
        and not isinstance(info.parameters[name], bool)
    )
    if not right:
        ranges = "('log', low, high) above 0, ('uniform', low, high) or ('int', low, high)"
        raise BadInput(f"{info.path}:1: space: {name}: a range of a number is {ranges}, low below high; got {entry!r}")
