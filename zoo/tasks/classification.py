from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.kinds import scores as of_scores
from zoo.tasks import Problem

if TYPE_CHECKING:
    from torch import Tensor

MANY, FEW = 20, 10  # distinct whole numbers, and samples of each, from and below which they may be no classes


class Classification(Problem):
    """One of several classes for each sample."""

    metric = "accuracy"
    bases = ("logistic", "1nn", "knn", "linear_svm", "svc")
    options = {"logistic": {"C": 1.0}, "knn": {"k": 5}, "linear_svm": {"C": 1.0}, "svc": {"C": 1.0, "gamma": 0.0}}
    resampled = ("1nn", "knn")

    def encoded(self, labels: dict[str, np.ndarray], where: dict[str, str]) -> tuple[dict[str, np.ndarray], list[str]]:
        """Classes are matched by name; -1 is none.

        Raises
        ------
        BadInput
            All labels are numbers, and some of them not whole.
        """
        seen = {str(c) for own in labels.values() for c in own} - {""}
        values = _numbers(seen)
        if values is not None and (odd := np.flatnonzero(values != np.round(values))).size:
            value = sorted(seen)[odd[0]]
            name = next(name for name, own in labels.items() if value in {str(c) for c in own})
            raise BadInput(
                f"{where[name]}: y: the labels are real numbers, such as {value}: classes are names or "
                "whole numbers; task: regression predicts a quantity",
                {"task": "regression"},
            )
        classes = sorted(seen, key=_natural)
        index = {c: i for i, c in enumerate(classes)} | {"": -1}
        return {name: np.array([index[str(c)] for c in own]) for name, own in labels.items()}, classes

    def remark(self, labels: dict[str, np.ndarray], classes: list[str]) -> str:
        n = sum(map(len, labels.values()))
        if len(classes) <= MANY or n >= FEW * len(classes) * len(labels):
            return ""
        if (found := _numbers(set(classes))) is not None:
            what = f"y holds {len(classes)} whole numbers from {found.min():g} to {found.max():g}, a class each"
            return f"{what}: if that is a quantity, say task: regression"
        return ""

    def metrics(self, scores: np.ndarray, y: np.ndarray, classes: np.ndarray | None = None) -> dict[str, float | None]:
        return of_scores.metrics(scores, y, classes)

    def fault(self, scores: np.ndarray) -> str:
        whole = (scores >= 0).all() and np.abs(scores.sum(1) - 1).max(initial=0.0) <= 1e-3
        return "" if whole else "rows that are not class scores (non-negative, summing to 1)"

    def constant(self, y: Tensor, columns: int) -> Tensor:
        """The frequencies of the classes."""
        counts = y.bincount(minlength=columns).double()
        return counts / counts.sum()

    def estimator(self, base: str, y: np.ndarray) -> Any:
        """The standard learners; what is not an option is scikit-learn's default.

        ``1nn``, ``knn``: Euclidean nearest neighbours; ``logistic``: L2; ``linear_svm``: squared hinge; ``svc``: a
        Gaussian kernel, gamma 0 being scikit-learn's "scale", one over the features' number times their variance.
        """
        if len(np.unique(y)) == 1:
            from sklearn.dummy import DummyClassifier

            return DummyClassifier(strategy="prior")
        name, said = self.option(base)
        if name in ("1nn", "knn"):
            from sklearn.neighbors import KNeighborsClassifier

            return KNeighborsClassifier(n_neighbors=min(said.get("k", 1), len(y)), algorithm="brute")
        if name == "linear_svm":
            from sklearn.svm import LinearSVC

            return LinearSVC(C=said["C"], random_state=0, max_iter=10_000)
        if name == "svc":
            from sklearn.svm import SVC

            return SVC(C=said["C"], gamma=said["gamma"] or "scale", break_ties=True)
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=said["C"], max_iter=1000)

    def scores(self, estimator: Any, rows: Any, columns: int) -> np.ndarray:
        """Rows sum to 1; classes never seen score 0."""
        import torch

        if hasattr(estimator, "predict_proba"):
            seen = estimator.predict_proba(rows)
        else:  # margins are not probabilities: the softmax keeps their order only
            margin = estimator.decision_function(rows)
            margin = np.stack([-margin, margin], 1) if margin.ndim == 1 else margin
            seen = torch.softmax(torch.from_numpy(margin), 1).numpy()
        scores = np.zeros((rows.shape[0], columns))
        scores[:, estimator.classes_] = seen
        return scores

    def losses(self, outputs: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, y, reduction="none", label_smoothing=smoothing)

    def agreement(self, scores: Tensor, y: Tensor) -> float:
        """The accuracy."""
        return float((scores.argmax(1) == y).double().mean())

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.float().softmax(1)


def _numbers(texts: set[str]) -> np.ndarray | None:
    """The values of all texts, sorted as these are, or None where one of them is no finite number."""
    try:
        values = np.array([float(t) for t in sorted(texts)])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _natural(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdigit() else (1, 0, name)
