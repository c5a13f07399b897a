from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class ClassAmi(Validator):
    """Adjusted mutual information of the target's predicted classes and of k-means clusters of its features.

    Source: Musgrave et al. 2022, section 3 ("ClassAMI"): as many clusters as classes, by scikit-learn's k-means with 10
    starts. It agrees with clusters, whatever they are clusters of.
    """

    needs = {"pt", "zt"}
    cite = "musgrave2022three"

    def value(self, seen: Seen) -> float:
        return agreement(seen.zt, seen.pt.argmax(1), seen.pt.shape[1])


def agreement(z: np.ndarray, predicted: np.ndarray, n_classes: int) -> float:
    """Adjusted mutual information of predictions [n] and clusters of features [n, d]."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score

    clusters = KMeans(min(n_classes, len(z)), n_init=10, random_state=0).fit_predict(z.astype(np.float64))
    return float(adjusted_mutual_info_score(predicted, clusters))
