from __future__ import annotations

from torch import Tensor

from zoo.adapters.instance._density import Density
from zoo.ops.densities import Principal, gaussian_log_ratio


class GaussianDensity(Density):
    """The ratio of two Gaussians, one fitted to each domain.

    Covariances are shrunk as by Ledoit and Wolf, on principal components scaled to variance 1; the ratio is taken in
    logarithms. New points are scored by the base classifier.

    Parameters
    ----------
    k : int
        Dimensions: the leading principal components of the pooled rows.
    ess : float
        Where the effective sample size is below this share of n_s, the weights are flattened to ``w^p`` (Shimodaira
        2000) with the largest p that reaches it; 0 leaves them. In many dimensions a few samples would take all.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Shimodaira (2000), "Improving predictive inference under covariate shift by weighting the log-likelihood function".
    """

    space = {"k": ("int", 2, 100), "ess": ("float", 0.1, 0.9)}

    def log_ratio(self, P: Principal) -> Tensor:
        return gaussian_log_ratio(P)
