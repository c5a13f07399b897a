"""The base learners: scikit-learn behind tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from zoo.ops.rows import sparse, to_scipy
from zoo.tasks import Problem, problem

WIDE, SPARSE = 1000, 0.05


class Fitted:
    """A fitted scikit-learn estimator that gives scores [n, n_classes] as tensors, and whether its solver converged."""

    def __init__(self, problem: Problem, estimator: object, n_classes: int, converged: bool = True) -> None:
        self.problem, self.estimator, self.n_classes, self.converged = problem, estimator, n_classes, converged

    def predict(self, X: torch.Tensor) -> torch.Tensor:
        """Scores as its task has them: of classes, which sum to 1 and are 0 for those never seen, or values."""
        return torch.as_tensor(self.problem.scores(self.estimator, _rows(X), self.n_classes), device=X.device)


def fit_base(
    name: str,
    X: torch.Tensor,
    y: torch.Tensor,
    n_classes: int,
    weight: torch.Tensor | None = None,
    task: str = "classification",
) -> Fitted:
    """Fit the base learner `name` of a task on X [n, d], y [n]; its file in ``zoo/tasks/`` says what that is.

    Raises
    ------
    ValueError
        Weights with a learner that cannot use them, such as 1-NN.
    """
    solved = problem(task)
    if weight is not None and solved.resamples(name):
        raise ValueError(f"{name} cannot use weights: resample instead")
    rows, labels = _rows(X), y.detach().cpu().numpy()
    extra = {} if weight is None else {"sample_weight": weight.detach().cpu().double().numpy()}
    estimator, converged = _converged(lambda: solved.estimator(name, labels).fit(rows, labels, **extra))
    return Fitted(solved, estimator, n_classes, converged)


def _converged(fit: Callable[[], Any]) -> tuple[Any, bool]:
    """A fitted estimator, and whether its solver says so; other warnings pass."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        estimator = fit()
    for w in said:
        if not issubclass(w.category, ConvergenceWarning):
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    return estimator, not any(issubclass(w.category, ConvergenceWarning) for w in said)


def _rows(X: torch.Tensor) -> Any:
    """Samples as float64; wide ones that are nearly all 0 (words) as a sparse matrix, which scikit-learn takes."""
    X = X.detach().cpu()
    if sparse(X):
        return to_scipy(X).astype(np.float64)
    if X.dim() == 2 and X.shape[1] >= WIDE and int(X.count_nonzero()) < SPARSE * X.numel():
        from scipy.sparse import csr_matrix

        return csr_matrix(X.numpy()).astype(np.float64)
    return X.double().numpy()
