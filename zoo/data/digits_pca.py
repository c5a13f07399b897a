from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from zoo.data._digits import framed, read
from zoo.data.base import Dataset

SIDE, COMPONENTS, EACH, SEED = 32, 50, 3000, 27
MEAN, SPREAD = 0.1307, 0.3081  # of MNIST's pixels


class DigitsPca(Dataset):
    """MNIST and USPS as SKADA-Bench's shallow methods see them: 3,000 training images each, 50 whitened components.

    Images are padded with black to 32×32, so that USPS digits stay half as large as MNIST's. The components are those
    of all training images of both sets, without their labels, as the benchmark has it (there of SVHN's, too): no
    statistic of a protocol's parts, but part of the data.
    """

    domains = ("mnist", "usps")
    cite = "lecun1998gradient, hull1994database, lalou2024skada"
    origin = (
        "MNIST at ossci-datasets.s3.amazonaws.com/mnist, USPS at csie.ntu.edu.tw/~cjlin/libsvmtools/datasets; "
        "scikit-adaptation/skada-bench: datasets/digit.py, preprocess_digit.py"
    )
    licence = "MNIST: CC BY-SA 3.0; USPS: none stated, for research"
    folder = "digits"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        X, y = _components(root)[self.domains.index(domain)]
        chosen = np.random.RandomState(SEED).choice(len(X), min(EACH, len(X)), replace=False)
        return X[chosen], y[chosen].astype("<U1")


@lru_cache(maxsize=1)
def _components(root: Path | None) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Components [n, 50] and digits [n] of all training images of each set."""
    from sklearn.decomposition import PCA

    parts = [read(DigitsPca(), domain, root, (True,)) for domain in DigitsPca.domains]
    rows = [(framed(X, SIDE).reshape(len(X), -1) - MEAN) / SPREAD for X, _ in parts]
    pca = PCA(COMPONENTS, whiten=True, svd_solver="covariance_eigh").fit(np.concatenate(rows))
    return tuple((pca.transform(X).astype(np.float32), y) for X, (_, y) in zip(rows, parts, strict=True))
