"""The base classifiers: scikit-learn behind tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

WIDE, SPARSE = 1000, 0.05


class Classifier:
    """A fitted scikit-learn classifier that gives class scores [n, n_classes] as tensors."""

    def __init__(self, estimator: object, n_classes: int) -> None:
        self.estimator, self.n_classes = estimator, n_classes

    def predict(self, X: torch.Tensor) -> torch.Tensor:
        """Class scores; rows sum to 1; classes never seen score 0."""
        e, rows = self.estimator, _rows(X)
        if hasattr(e, "predict_proba"):
            seen = e.predict_proba(rows)
        else:  # margins are not probabilities: the softmax keeps their order only
            margin = e.decision_function(rows)  # type: ignore[attr-defined]
            margin = np.stack([-margin, margin], 1) if margin.ndim == 1 else margin
            seen = torch.softmax(torch.from_numpy(margin), 1).numpy()
        scores = np.zeros((len(X), self.n_classes))
        scores[:, e.classes_] = seen  # type: ignore[attr-defined]
        return torch.as_tensor(scores, device=X.device)


def weighted(name: str) -> bool:
    """Whether the base classifier `name` can use sample weights."""
    return name != "1nn"


def fit_base(
    name: str, X: torch.Tensor, y: torch.Tensor, n_classes: int, weight: torch.Tensor | None = None
) -> Classifier:
    """Fit the base classifier `name` on X [n, d], y [n].

    ``1nn``: Euclidean nearest neighbour; ``logistic``: C = 1, L2; ``linear_svm``: C = 1, squared hinge.

    Raises
    ------
    ValueError
        Weights with 1-NN, which cannot use them.
    """
    if weight is not None and not weighted(name):
        raise ValueError("1-NN cannot use weights: resample instead")
    rows, labels = _rows(X), y.detach().cpu().numpy()
    extra = {} if weight is None else {"sample_weight": weight.detach().cpu().double().numpy()}
    estimator = _estimator(name, one_class=len(np.unique(labels)) == 1)
    return Classifier(estimator.fit(rows, labels, **extra), n_classes)


def _rows(X: torch.Tensor) -> Any:
    """Samples as float64; wide ones that are nearly all 0 (words) as a sparse matrix, which scikit-learn takes."""
    X = X.detach().cpu()
    if X.dim() == 2 and X.shape[1] >= WIDE and int(X.count_nonzero()) < SPARSE * X.numel():
        from scipy.sparse import csr_matrix

        return csr_matrix(X.numpy()).astype(np.float64)
    return X.double().numpy()


def _estimator(name: str, *, one_class: bool):  # type: ignore[no-untyped-def]
    if one_class:
        from sklearn.dummy import DummyClassifier

        return DummyClassifier(strategy="prior")
    if name == "1nn":
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(n_neighbors=1, algorithm="brute")
    if name == "linear_svm":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=1.0, random_state=0, max_iter=10_000)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000)
