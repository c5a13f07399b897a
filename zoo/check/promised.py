"""What a method's own functions give, looked at where they give it: in words, and with the method's line.

It runs in the method's process, and is no verdict: what it misses, or is kept from it, judges find in the scores.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.promises import counted, place, require

CONTRACT = "zoo.adapters.base"  # whose functions are no method's own
SUMS = ("sum", "mean", "cov", "std", "var", "matmul", "mm", "einsum")
PRECISE = ("double", "float64")


def watch(cls: type) -> None:
    """Have the functions of a method look at what they give."""
    looks = {"source": _mapped, "target": _mapped, "predict": _predicted, "weights": _weights, "omega": _omega}
    for name, look in looks.items():
        owner = next((c for c in cls.__mro__ if name in vars(c)), object)
        if owner is not object and owner.__module__ != CONTRACT:
            setattr(cls, name, _looked(getattr(cls, name), look))


def _looked(function: Callable[..., Any], look: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def looked(self: Any, *given: Any, **named: Any) -> Any:
        found = function(self, *given, **named)
        look(function, found, *given)
        return found

    return looked


def where(function: Callable[..., Any]) -> str:
    """The line of a function that may be looked at."""
    return place(getattr(getattr(function, "__func__", function), "__wrapped__", function))


def _mapped(function: Callable[..., Any], found: Any, X: Any = None, *_: Any) -> None:
    what = f"{function.__name__}(X)"
    _is_tensor(function, found, what)
    _rows(function, found, X, what)
    require(found.dim() == 2, f"{what} gave shape {list(found.shape)}, where [n, features] is promised", function)
    _finite(function, found, what)


def _predicted(function: Callable[..., Any], found: Any, X: Any = None, *_: Any) -> None:
    if isinstance(found, Tensor) and found.dim() == 2 and isinstance(X, Tensor):
        _rows(function, found, X, "predict(X)")
        _finite(function, found, "predict(X)")


def _weights(function: Callable[..., Any], found: Any, task: Any = None, *_: Any) -> None:
    what, n = "weights(task)", len(getattr(task, "ys", ()))
    _is_tensor(function, found, what)
    right = list(found.shape) == [n]
    gave = counted(len(found), "weight") if found.dim() == 1 else f"shape {list(found.shape)}"
    require(right or not n, f"{what} gave {gave} for {counted(n, 'source sample')}", function)
    for bad, why in ((~torch.isfinite(found), "is not finite"), (found < 0, "is negative")):
        if bool(bad.any()):
            raise FloatingPointError(f"{what} {why} in {int(bad.sum())} of {len(found)} {place(function)}")


def _omega(function: Callable[..., Any], found: Any, *_: Any) -> None:
    gave = f"shape {list(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
    one = isinstance(found, int | float) or (isinstance(found, Tensor) and found.numel() == 1)
    require(one, f"omega gave {gave}, where one number is promised", function)


def _is_tensor(function: Callable[..., Any], found: Any, what: str) -> None:
    require(isinstance(found, Tensor), f"{what} gave a {type(found).__name__}, where a tensor is promised", function)


def _rows(function: Callable[..., Any], found: Tensor, X: Any, what: str) -> None:
    n = X.shape[0] if isinstance(X, Tensor) and X.dim() else found.shape[0]
    got = found.shape[0] if found.dim() else 0
    require(got == n, f"{what} gave {counted(got, 'row')} for {counted(n, 'sample')}", function)


def _finite(function: Callable[..., Any], found: Tensor, what: str) -> None:
    if found.layout != torch.strided or found.is_meta:
        return
    odd = ~torch.isfinite(found).reshape(len(found), -1).all(1)
    if n := int(odd.sum()):
        which = "NaN" if bool(torch.isnan(found).any()) else "infinity"
        first = int(odd.nonzero()[0])
        require(False, f"{what} is not finite: {which} in {n} of {len(found)} rows, first in row {first}", function)


def single(path: Path) -> str:
    """The first sum of a file over rows that is not in float64, as ``(my.py:17)``; '' where none is found."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError):
        return ""
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in SUMS
        and not any(word in ast.unparse(node) for word in PRECISE)
    ]
    return f"({path.name}:{min(lines)})" if lines else ""
