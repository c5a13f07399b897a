from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.base import Dataset


class Diabetes(Dataset):
    """Progression of diabetes a year after ten measurements, 442 patients, split at the median of the body-mass index.

    A split by a covariate: which patients are asked for differs, what follows from the measurements does not. The index
    itself stays among the features.
    """

    domains = ("low_bmi", "high_bmi")
    cite = "efron2004least"
    origin = "scikit-learn, sklearn.datasets.load_diabetes"
    licence = "none stated; as scikit-learn ships it"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.datasets import load_diabetes

        X, y = load_diabetes(return_X_y=True)
        index = X[:, 2]
        chosen = index > np.median(index) if domain == "high_bmi" else index <= np.median(index)
        return X[chosen].astype(np.float32), y[chosen].astype(str)
