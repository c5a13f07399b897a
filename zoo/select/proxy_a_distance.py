from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen

FOLDS = 2


class ProxyADistance(Validator):
    """How well a linear SVM tells source from target by their features, negated: alignment, whatever the classes do.

    Features that are constant are perfectly aligned.

    Source: Ben-David et al. 2007, section 4: 2 (1 − 2 ε), ε the error on samples held out, here over 2 folds.
    """

    needs = {"zs", "zt"}
    cite = "bendavid2006analysis"

    def value(self, seen: Seen) -> float:
        return -a_distance(seen.zs, seen.zt)


def a_distance(zs: np.ndarray, zt: np.ndarray) -> float:
    """2 (1 − 2 ε), ε the mean of the two domains' shares told wrongly; 0 where it is worse than a coin."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    X = np.concatenate([zs, zt]).astype(np.float64)
    domain = np.repeat([0, 1], [len(zs), len(zt)])
    judge = make_pipeline(StandardScaler(), LinearSVC(class_weight="balanced", random_state=0, max_iter=5000))
    told = cross_val_predict(judge, X, domain, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0))
    error = float(np.mean([(told[domain == d] != d).mean() for d in (0, 1)]))
    return max(0.0, 2 * (1 - 2 * error))
