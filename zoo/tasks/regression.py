from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.tasks import Problem

if TYPE_CHECKING:
    from torch import Tensor


class Regression(Problem):
    """A real value for each sample; methods see it in units of the source's training part."""

    metric = "mae"
    bases = ("ridge", "knn")
    options = {"ridge": {"alpha": 1.0}, "knn": {"k": 5}}
    resampled = ("knn",)
    classes = False

    def encoded(self, labels: dict[str, np.ndarray], where: dict[str, str]) -> tuple[dict[str, np.ndarray], list[str]]:
        """Values as they are; NaN is none.

        Raises
        ------
        BadInput
            A label that is no finite number, or labels that are all equal.
        """
        found = {}
        for name, own in labels.items():
            values = np.array([_value(label, i, where[name]) for i, label in enumerate(own.tolist())])
            there = values[~np.isnan(values)]
            if there.size and (there == there[0]).all():
                raise BadInput(f"{where[name]}: y: all labels are {there[0]:g}: there is nothing to predict")
            found[name] = values
        return found, []

    def scale(self, y: np.ndarray) -> tuple[float, float]:
        spread = float(y.std())
        return float(y.mean()), spread if spread > 0 else 1.0

    def handed(self, y: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
        return ((y - scale[0]) / scale[1]).astype(np.float32)

    def given(self, scores: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
        return scores * scale[1] + scale[0]

    def metrics(self, scores: np.ndarray, y: np.ndarray, classes: np.ndarray | None = None) -> dict[str, float | None]:
        """Mean absolute error, root of the mean squared error, and R²; None of no samples, R² where y does not vary.

        >>> Regression().metrics(np.array([[1.0], [2.0], [5.0]]), np.array([1.0, 2.0, 3.0]))
        {'mae': 0.666..., 'rmse': 1.154..., 'r2': -1.0}
        """
        if not len(y):
            return dict.fromkeys(("mae", "rmse", "r2"))
        off = scores[:, 0] - y
        spread = float(np.square(y - y.mean()).sum())
        return {
            "mae": float(np.abs(off).mean()),
            "rmse": float(np.sqrt(np.square(off).mean())),
            "r2": 1 - float(np.square(off).sum()) / spread if spread > 0 else None,
        }

    def constant(self, y: Tensor, columns: int) -> Tensor:
        """The mean."""
        return y.double().mean()[None]

    def estimator(self, base: str, y: np.ndarray) -> Any:
        """``ridge``: with an intercept; ``knn``: the mean of the nearest by Euclidean distance."""
        name, said = self.option(base)
        if name == "knn":
            from sklearn.neighbors import KNeighborsRegressor

            return KNeighborsRegressor(n_neighbors=min(said["k"], len(y)), algorithm="brute")
        from sklearn.linear_model import Ridge

        return Ridge(alpha=said["alpha"], tol=1e-10)  # of what solves for sparse rows by iteration

    def scores(self, estimator: Any, rows: Any, columns: int) -> np.ndarray:
        found: np.ndarray = estimator.predict(rows).reshape(-1, 1)
        return found

    def losses(self, outputs: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
        return (outputs[:, 0].float() - y).square()

    def agreement(self, scores: Tensor, y: Tensor) -> float:
        """Less the mean squared error."""
        return -float((scores[:, 0] - y).double().square().mean())

    def activated(self, outputs: Tensor) -> Tensor:
        return outputs.float()


def _value(label: Any, row: int, where: str) -> float:
    if isinstance(label, str) and not label:
        return np.nan
    try:
        value = float(label)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise BadInput(f"{where}: y: row {row}: expected a finite number, got {label!r} (task: regression)")
    return value
