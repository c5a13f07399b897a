"""The density ratio that importance-weighted validators share."""

from __future__ import annotations

import numpy as np


def weights(zs: np.ndarray, zt: np.ndarray, at: np.ndarray) -> np.ndarray:
    """p_target / p_source at rows of features, by a logistic domain classifier (Bickel et al. 2007, equation 7).

    It is fitted on standardised source-train against target-adapt features with C = 1; the odds are corrected for the
    sizes of the two. No label is used.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X = np.concatenate([zs, zt]).astype(np.float64)
    domain = np.repeat([0, 1], [len(zs), len(zt)])
    found = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, domain)
    return np.exp(found.decision_function(at.astype(np.float64))) * (len(zs) / len(zt))
