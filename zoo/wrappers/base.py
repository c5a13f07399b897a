"""What a wrapper of a library says, and what its fits share: tensors in, class scores out."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.ops.rows import sparse, to_scipy


class Wrapper(Adapter):
    """An estimator of another library, known by its name there; all that the library says is a stranger's word.

    The constructor imports it, so that `fit_s` is the fit's alone.

    Attributes
    ----------
    root : str
        The module in which names are looked up.
    modules : bool
        Whether the modules below it have names, too: ``LIBRARY:module.Name``.
    distribution : str
        What is installed, whose version is part of a cell's identity.
    extra : str
        The extra of zoo that installs it; empty where zoo itself needs it.
    of : tuple of str
        Names of classes of which what it wraps descends from one; empty: whatever there is.
    families : dict
        The family of what is defined in a module of that name, or below it, where that is not `family`.
    gives : tuple of str
        The parameters that it gives itself, such as the base estimator.
    """

    root: ClassVar[str] = ""
    modules: ClassVar[bool] = True
    distribution: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    of: ClassVar[tuple[str, ...]] = ()
    families: ClassVar[dict[str, str]] = {}
    gives: ClassVar[tuple[str, ...]] = ()
    family: ClassVar[str] = "feature"
    deterministic: ClassVar[bool] = False  # nothing says so of another's code

    def __init__(self, wraps: str, **given: Any) -> None:
        module, _, name = wraps.rpartition(".")
        self.wraps, self.given = wraps, given
        self.made = getattr(importlib.import_module(module), name)

    def get_params(self) -> dict[str, Any]:
        return dict(self.given)


def takes(function: Any, parameter: str) -> bool:
    """Whether something of a library has a parameter of that name."""
    return parameter in inspect.signature(function).parameters


def rows(X: Tensor) -> Any:
    """Samples as the libraries take them: float64 [n, d], or a sparse matrix."""
    return to_scipy(X).astype(np.float64) if sparse(X) else X.detach().cpu().flatten(1).double().numpy()


def scored(estimator: Any, X: Any, classes: np.ndarray, columns: int, **beside: Any) -> Tensor:
    """Class scores [n, columns]: its probabilities of `classes`, where it gives any, else 1 for what it predicts."""
    found = np.zeros((X.shape[0], columns))
    if hasattr(estimator, "predict_proba"):
        found[:, classes] = estimator.predict_proba(X, **beside)
    else:
        found[np.arange(len(found)), np.asarray(estimator.predict(X, **beside)).astype(int)] = 1.0
    return torch.from_numpy(found)
