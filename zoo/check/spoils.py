"""What a method must leave as it was: all that it shares with others, and the state of its process.

Runs in the method's process: it holds a method of the zoo, whose workers serve many, to its promise. A stranger gets a
process of its own for each fit, so what it spoils there is its own.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo import ops
from zoo.learners import Learner

LIBRARIES = ("zoo", "torch", "numpy", "scipy", "sklearn", "ot", "builtins", "math", "random", "copy")
OF_TORCH = ("nn", "optim", "linalg", "autograd", "random", "functional", "distributions")  # its other modules are many
PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, torch.dtype, torch.device)
Leaves = dict[str, str]
Places = dict[str, tuple[str, Any]]


# What is given out ----------------------------------------------------------------------------------------------------


class Given:
    """Remembers what a method was given, by names that a message can use, and what it held then."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[Any, Leaves]] = {}
        self.kept: dict[Any, Any] = {}

    def know(self, name: str, value: Any) -> None:
        """From now on `value` is not to be written into."""
        if name not in self.held:
            self.held[name] = value, leaves(value)

    def memo(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What `task.shared` calls: each result is computed once, and handed out again as it is."""
        key = (function, *map(id, arguments), *sorted(options.items()))
        if key not in self.kept:
            self.kept[key] = arguments, function(*arguments, **options)
        where = getattr(function, "__name__", "")
        self.know(f"a result of task.shared ({where}, {len(self.kept)})", self.kept[key][1])
        return self.kept[key][1]

    def changed(self) -> list[str]:
        """Names of what has been written into, and where."""
        found = []
        for name, (value, before) in self.held.items():
            now = leaves(value)
            if wrong := [path for path, was in before.items() if now.get(path) != was]:
                found.append(f"{name}{wrong[0]}")
        return found


class Sharing(Learner):
    """A learner whose base classifier is fitted once to the samples as they are, for all methods that see them."""

    given: Given
    samples: tuple[Any, ...]

    def fit(self, X: Any, y: Any, n_classes: int, weight: Any = None) -> Any:
        shares = self.use == "base" and weight is None and any(X is own for own in self.samples)
        if not shares:
            return super().fit(X, y, n_classes, weight)
        key = "classifier", id(X), id(y)
        if key not in self.given.kept:
            self.given.kept[key] = (X, y), super().fit(X, y, n_classes)
        self.given.know("the classifier of task.learner.fit", self.given.kept[key][1])
        return self.given.kept[key][1]


def leaves(value: Any) -> Leaves:
    """Digests of all that a value is made of, by the path that leads there.

    >>> leaves({"a": [1, np.zeros(2)]}) == leaves({"a": [1, np.zeros(2)]})
    True
    >>> sorted(leaves({"a": [1, 2]}))
    ['[a][0]', '[a][1]']
    """
    found: Leaves = {}
    seen: dict[int, Any] = {}
    todo: list[tuple[str, Any]] = [("", value)]
    while todo:
        path, part = todo.pop()
        if isinstance(part, PLAIN):
            found[path] = repr(part)
        elif id(part) not in seen:
            seen[id(part)] = part
            if (content := _content(part)) is not None:
                found[path] = content
            else:
                todo += _members(path, part)
    return found


def _content(part: Any) -> str | None:
    """A digest of what has no members of its own."""
    if isinstance(part, Tensor):
        return _of_tensor(part)
    if isinstance(part, np.ndarray) and part.dtype != object:
        return _digest(part.dtype, part.shape, np.ascontiguousarray(part).tobytes())
    if isinstance(part, torch.Generator):
        return _of_tensor(part.get_state())
    if isinstance(part, type | ModuleType | FunctionType | BuiltinFunctionType):
        return f"{getattr(part, '__qualname__', '')} {id(part)}"
    return None


def _of_tensor(t: Tensor) -> str:
    if t.layout != torch.strided:
        parts = (t.crow_indices(), t.col_indices(), t.values()) if t.layout == torch.sparse_csr else ()
        return _digest(t.shape, *map(_of_tensor, parts))
    if t.is_meta:
        return _digest(t.dtype, t.shape)
    whole = t.detach().cpu().contiguous().flatten()
    return _digest(t.dtype, t.shape, whole.view(torch.uint8).numpy().tobytes() if whole.numel() else b"")


def _digest(*parts: Any) -> str:
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(part if isinstance(part, bytes) else repr(part).encode())
    return found.hexdigest()


def _members(path: str, part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping):
        return ((f"{path}[{k}]", v) for k, v in part.items())
    if isinstance(part, list | tuple | np.ndarray):
        return ((f"{path}[{i}]", v) for i, v in enumerate(part))
    if isinstance(part, set | frozenset):
        return iter([(path + "{}", tuple(sorted(map(repr, part))))])
    if hasattr(part, "__dict__"):
        return ((f"{path}.{k}", v) for k, v in vars(part).items())
    try:
        state = part.__reduce_ex__(2)
    except Exception:  # an object that has no content which could be told
        return iter(())
    return iter([(path + "()", state[1:])] if isinstance(state, tuple) else ())


# The process ----------------------------------------------------------------------------------------------------------


def warm_up() -> None:
    """Load what methods share, and do what libraries do at their first use, such as wrapping an optimiser's `step`."""
    for module in pkgutil.walk_packages(ops.__path__, "zoo.ops."):
        importlib.import_module(module.name)
    importlib.import_module("zoo.adapters.base")
    for name in ("Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "LBFGS"):
        getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)], lr=0.1)
    ops.rows.thin(torch.eye(1))  # the first sparse tensor of a process warns


def state() -> Places:
    """What other methods of a process depend on, as ``place: (what it is in words, value)``."""
    import sklearn

    flags: dict[str, Any] = {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's deterministic mode": torch.get_deterministic_debug_mode(),
        "torch's precision of float32 products": torch.get_float32_matmul_precision(),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's inference mode": torch.is_inference_mode_enabled(),
        "torch's anomaly mode": torch.is_anomaly_enabled(),
        "torch's autocast": torch.is_autocast_enabled("cpu"),
        "torch's flushing of denormal numbers": float(torch.tensor(1e-40) * 2),
        "cudnn's flags": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "numpy's errstate": np.geterr(),
        "numpy's error callback": np.geterrcall(),
        "scikit-learn's configuration": sklearn.get_config(),
        "the filters of warnings that raise": [f for f in warnings.filters if f[0] == "error"],
        "the recursion limit": sys.getrecursionlimit(),
        "torch's global random numbers": _of_tensor(torch.get_rng_state()),
        "numpy's global random numbers": repr(np.random.get_state()),
        "Python's global random numbers": _digest(random.getstate()),
        **_threads(),
    }
    return {name: (repr(value), None) for name, value in flags.items()} | dict(_bindings())


def changes(before: Places, now: Places) -> list[str]:
    """What is no longer as it was; what has come to it is no change."""
    return [name for name, (was, _) in before.items() if now.get(name, ("gone", None))[0] != was]


def _threads() -> dict[str, Any]:
    import threadpoolctl

    return {f"the threads of {p['prefix']}": p["num_threads"] for p in threadpoolctl.threadpool_info()}


def _bindings() -> Iterator[tuple[str, tuple[str, Any]]]:
    """Functions and classes of the libraries by name, and the methods of those classes: which object each name holds.

    The objects are kept beside, for an address says nothing once it can be given anew.
    """
    for name, module in list(sys.modules.items()):
        first, *rest = name.split(".")
        if first not in LIBRARIES or (first == "torch" and rest and rest[0] not in OF_TORCH):
            continue
        for key, value in list(vars(module).items()) if isinstance(module, ModuleType) else ():
            if issubclass(type(value), type):
                yield f"{name}.{key}", (str(id(value)), value)
                if getattr(value, "__module__", None) == name:
                    for attribute, held in list(vars(value).items()):
                        if callable(held) or isinstance(held, property | classmethod | staticmethod):
                            yield f"{name}.{key}.{attribute}", _bound(held)
            elif callable(value):
                yield f"{name}.{key}", _bound(value)


def _bound(held: Any) -> tuple[str, Any]:
    code, defaults = getattr(held, "__code__", None), getattr(held, "__defaults__", None)
    return f"{id(held)} {id(code)} {id(defaults)}", (held, code, defaults)
