"""How far apart two samples are: four distances that see different things, each with its range and its bias."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from zoo.ops.coral import covariance
from zoo.ops.kernels import gaussian, inverse_scale, sq_dists
from zoo.ops.mmd import mmd2

# Ridge of the domain classifier, in mean eigenvalues of the pooled covariance over n. It vanishes as n grows; with more
# features than samples it is what keeps the classifier from fitting noise. Of 0.01 to 10, 10 gave the least held-out
# error on raw SURF, and on pixels the choice hardly mattered.
RIDGE = 10.0
LEAST = 4  # samples of a domain: two to train on, for the threshold, and two to be held out


class ProxyA(NamedTuple):
    """The distance in [0, 2], the mean held-out balanced error behind it, and the 95 % interval under the null."""

    distance: float
    error: float
    low: float
    high: float


class Mmd(NamedTuple):
    """Unbiased MMD², which may be negative, and its permutation p-value."""

    value: float
    p: float


def proxy_a_distance(
    X: Tensor, Y: Tensor, *, splits: int = 20, permutations: int = 200, generator: Generator | None = None
) -> ProxyA:
    """Proxy A-distance ``2 (1 - 2·err)``: the empirical H-divergence 2·sup|P(A) - Q(A)| over half-spaces A.

    err is the balanced error, on the held-out half, of a linear domain classifier; the mean of `splits` random halves,
    each stratified by domain. The classifier is Fisher's discriminant on standardised features with a ridge, in closed
    form. Scaling and covariance are those of all rows, domains unseen, so they are the same for every relabelling; its
    threshold is midway between unbiased estimates of the class means, so that 80:20 domains do not shift it.

    Bounds: 2 where a half-space parts the domains. The sup is 0 only where P = Q, but the discriminant looks along the
    difference of the means: domains that differ in spread alone come out near 0. It is at best as good as the best
    half-space, so the estimate falls short of the sup, less so with more samples; clipping at 0 lifts values near 0.
    Half such a divergence, of the class H delta H, and the error of the best joint hypothesis bound by how much the
    target's error exceeds the source's (Ben-David et al., NIPS 2006; Machine Learning 79, 2010); this one stands in.
    A plain error would call an 80:20 split of one domain 2(1 - 2·0.2) = 1.2 apart.

    The null interval holds the middle 95 % of the statistic, unclipped, when domain labels are permuted, each time with
    new splits: what a domain against itself gives. Domains that were centred one by one before give less, since the
    halves of a centred domain have opposite means: err rises above ½, and the distance is 0.

    Parameters
    ----------
    X, Y : Tensor [n, d], [m, d]
        At least 4 rows each.
    """
    n, size = len(X), len(X) + len(Y)
    if min(n, size - n) < LEAST:
        raise ValueError(f"proxy_a_distance: {n} and {size - n} rows, but each sample needs {LEAST} or more")
    Z = torch.cat([X, Y]).double()
    std = Z.std(0, correction=0)
    Z = (Z - Z.mean(0)) / torch.where(std > 0, std, 1)
    K = Z @ Z.T
    ridge = (RIDGE * K.trace() / size).clamp_min(torch.finfo(K.dtype).eps)
    eye = torch.eye(size, dtype=K.dtype, device=K.device)
    S = torch.cholesky_solve(K, torch.linalg.cholesky(K + ridge * eye))  # z_i' (Z'Z + ridge)^-1 z_j, all i and j
    orders = [torch.arange(size)] + [torch.randperm(size, generator=generator) for _ in range(permutations)]
    errors = torch.stack([_balanced_error(S, n, order, splits, generator) for order in orders])
    null = 2 * (1 - 2 * errors[1:])
    low, high = null.quantile(null.new_tensor([0.025, 0.975])).tolist() if permutations else (0.0, 0.0)
    error = errors[0].item()
    return ProxyA(min(max(2 * (1 - 2 * error), 0.0), 2.0), error, low, high)


def _balanced_error(S: Tensor, n: int, order: Tensor, splits: int, generator: Generator | None) -> Tensor:
    """Mean over splits of the held-out balanced error, where the first `n` rows in `order` are one class."""
    m = len(S) - n
    noise = torch.rand(len(S), splits, generator=generator, dtype=torch.float64)
    first, train = torch.zeros(len(S), 1, dtype=torch.bool), torch.empty(len(S), splits, dtype=torch.bool)
    first[order[:n]] = True
    train[order[:n]] = noise[:n] <= noise[:n].kthvalue(n // 2, 0).values
    train[order[n:]] = noise[n:] <= noise[n:].kthvalue(m // 2, 0).values
    first, train = first.to(S.device), train.to(S.device)
    masks = torch.cat([train & first, train & ~first], 1).double()
    counts = masks.sum(0)
    sums = S @ masks
    within = (masks * (sums - S.diagonal()[:, None])).sum(0) / (counts * (counts - 1))  # |class mean|², unbiased
    a, b = (sums / counts).chunk(2, 1)
    norm_a, norm_b = within.chunk(2)
    says_first = a - b >= (norm_a - norm_b) / 2
    wrong = (says_first != first) & ~train
    return ((wrong & first).sum(0) / (n - n // 2) + (wrong & ~first).sum(0) / (m - m // 2)).mean() / 2


def median_gamma(X: Tensor, Y: Tensor) -> Tensor:
    """The Gaussian kernel's gamma by the median heuristic, ``1 / (2 median d²)`` over pairs of the pooled rows.

    Where more than half of the pairs are equal, half of one over the mean, which is not 0 unless all are.
    """
    D = sq_dists(torch.cat([X, Y]))
    median = D[torch.ones_like(D, dtype=torch.bool).triu(1)].median()
    return torch.where(median > 0, 0.5 / median, 0.5 * inverse_scale(X, Y))


def mmd_test(
    X: Tensor,
    Y: Tensor,
    *,
    gamma: float | Tensor | None = None,
    permutations: int = 999,
    generator: Generator | None = None,
) -> Mmd:
    """Unbiased MMD² with a Gaussian kernel, and ``p = (1 + #{permuted >= observed}) / (1 + permutations)``.

    Bounds: at most 2; its expectation is 0 just where P = Q, since the kernel is characteristic, and single values may
    be negative. No bias for a given `gamma`, an error of O(n^-½), and O(n^-1) where P = Q (Gretton et al., JMLR 13,
    2012). The p-value is exact for exchangeable rows, and at least 1 / (1 + permutations). `gamma` is the median
    heuristic's unless given.
    """
    n, m = len(X), len(Y)
    K = gaussian(torch.cat([X, Y]), gamma=median_gamma(X, Y) if gamma is None else gamma)
    observed = mmd2(K, n)
    order = torch.stack([torch.randperm(n + m, generator=generator) for _ in range(permutations)], 1)
    a = (order < n).to(K)  # a column is a relabelling; one product with K gives all the sums
    K.fill_diagonal_(0)
    within_a, row = (a * (K @ a)).sum(0), a.T @ K.sum(1)
    within_b, between = K.sum() - 2 * row + within_a, row - within_a
    permuted = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * between / (n * m)
    above = (permuted >= observed - 1e-12).sum().item()  # the same labels, summed in another order
    return Mmd(observed.item(), (1 + above) / (1 + permutations))


def coral_distance(X: Tensor, Y: Tensor) -> float:
    """``|C_X - C_Y|²_F / (4 d²)`` of the covariances: the loss of Sun & Saenko (ECCV Workshops 2016).

    Bounds: 0 for equal covariances, whatever the means, and no upper one; it grows with the fourth power of the
    features' unit. Biased upwards, for Gaussians by ``((tr C)² + tr C²) / (4 d² (n - 1))`` from either sample.
    """
    n, m, d = len(X), len(Y), X.shape[1]
    if d <= n + m:
        return ((covariance(X) - covariance(Y)).square().sum() / (4 * d**2)).item()
    # Fewer samples than features: |A'A - B'B|² = |AA'|² + |BB'|² - 2|AB'|², without a matrix [d, d].
    A, B = ((Z.double() - Z.double().mean(0)) / max(len(Z) - 1, 1) ** 0.5 for Z in (X, Y))
    squares = [(P @ Q.T).square().sum() for P, Q in ((A, A), (B, B), (A, B))]
    return ((squares[0] + squares[1] - 2 * squares[2]).clamp_min(0) / (4 * d**2)).item()


def directions(d: int, count: int, generator: Generator | None = None) -> Tensor:
    """Random unit vectors [d, count] in float64, uniform on the sphere."""
    theta = torch.randn(d, count, generator=generator, dtype=torch.float64)
    return theta / theta.norm(dim=0)


def sliced_wasserstein(X: Tensor, Y: Tensor, theta: Tensor) -> float:
    """Sliced Wasserstein distance of order 2: the root mean square over directions of the 1-D distances, each exact.

    Bounds: 0 just where P = Q (given all directions), and at most W2 / √d, in the features' unit (Rabin et al., SSVM
    2011; Bonneel et al., JMIV 51, 2015). Samples of one distribution are above 0, by about n^-½ for light tails, since
    empirical quantiles differ; finitely many directions add noise but no bias to the square.

    Parameters
    ----------
    theta : Tensor [d, k]
        Unit vectors; see `directions`.

    >>> X = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> sliced_wasserstein(X, X + torch.tensor([3.0, 4.0]), torch.eye(2)) ** 2  # (9 + 16) / 2
    12.5...
    """
    n, m = len(X), len(Y)
    x, y = ((theta.T.double() @ Z.double().T).sort().values for Z in (X, Y))
    # Quantile functions are constant between the levels i/n and j/m; times nm these are integers, hence exact.
    levels = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique().to(x.device)
    share = levels.diff(prepend=levels.new_zeros(1)).double() / (n * m)
    gaps = x[:, (levels - 1) // m] - y[:, (levels - 1) // n]
    return (gaps.square() @ share).mean().sqrt().item()
