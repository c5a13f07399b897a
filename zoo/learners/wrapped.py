"""Base learners of scikit-learn beside the standard ones, by their names there, such as ``sklearn:svm.NuSVC``."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from zoo.learners.base import Fitted, _converged, _rows
from zoo.tasks import parted, problem


def estimator(name: str) -> Any:
    """The estimator that a name stands for, with its options; always the same random numbers, as `linear_svm` has."""
    dotted, given = parted(name)
    module, _, leaf = f"sklearn.{dotted.partition(':')[2]}".rpartition(".")
    made = getattr(importlib.import_module(module), leaf)(**given)
    if made.get_params(deep=False).get("random_state", 0) is None:
        made.set_params(random_state=0)
    return made


def fit_wrapped(
    name: str,
    X: torch.Tensor,
    y: torch.Tensor,
    n_classes: int,
    weight: torch.Tensor | None = None,
    task: str = "classification",
) -> Fitted:
    """As `zoo.learners.base.fit_base`, of a name that holds a colon."""
    rows, labels = _rows(X), y.detach().cpu().numpy()
    extra = {} if weight is None else {"sample_weight": weight.detach().cpu().double().numpy()}
    fitted, converged = _converged(lambda: estimator(name).fit(rows, labels, **extra))
    return Fitted(problem(task), fitted, n_classes, converged)
