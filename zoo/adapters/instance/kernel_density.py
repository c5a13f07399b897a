from __future__ import annotations

from torch import Tensor

from zoo.adapters.instance._density import Density
from zoo.ops.densities import Principal, kernel_log_ratio


class KernelDensity(Density):
    """The ratio of two kernel density estimates, one of each domain.

    Gaussians with Scott's bandwidth and each domain's own covariance, on principal components; the ratio is taken in
    logarithms. The source's density at a source sample is that of the others: its own Gaussian would be 77 to 99 % of
    it, and the ratio next to nothing but the target's density. New points are scored by the base classifier.

    Parameters
    ----------
    k : int
        Dimensions: the leading principal components of the pooled rows.
    ess : float
        Where the effective sample size is below this share of n_s, the weights are flattened to ``w^p`` (Shimodaira
        2000) with the largest p that reaches it; 0 leaves them. In many dimensions a few samples would take all.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.

    Notes
    -----
    Shimodaira (2000), with the densities estimated as by Scott (1992); Sugiyama et al. (2008) compare with it (KDE), on
    the sample that it was fitted to, as SKADA's ReweightDensity does; leaving it out is ours.
    """

    space = {"k": ("int", 2, 50), "ess": ("float", 0.1, 0.9)}

    def log_ratio(self, P: Principal) -> Tensor:
        return kernel_log_ratio(P)
