"""Subspaces of one or two domains: principal components, the geodesic between two subspaces, transfer components."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Spectrum(NamedTuple):
    """The mean [d], variances [r] in descending order and their directions [d, r]; r is the numerical rank."""

    mean: Tensor
    values: Tensor
    vectors: Tensor


def signed(V: Tensor) -> Tensor:
    """Columns with the sign under which the entry of largest size is positive: eigenvectors have none of their own.

    >>> signed(torch.tensor([[1.0, 0.0], [-2.0, 3.0]])).tolist()
    [[-1.0, 0.0], [2.0, 3.0]]
    """
    if not V.numel():
        return V
    return V * torch.where(V.gather(0, V.abs().argmax(0, keepdim=True)) < 0, -1.0, 1.0).to(V)


def spectrum(X: Tensor) -> Spectrum:
    """Principal components of rows, in float64, of the covariance with n - 1; empty for a single row.

    With fewer rows than columns through the n x n side; directions below rounding (d·eps of the largest) are dropped.

    >>> mean, values, vectors = spectrum(torch.tensor([[0.0, 1.0, 5.0], [2.0, 1.0, 5.0]]))
    >>> mean.tolist(), values.tolist(), vectors.T.round().add(0).tolist()
    ([1.0, 1.0, 5.0], [2.0], [[1.0, 0.0, 0.0]])
    """
    X = X.flatten(1).double()
    n, d = X.shape
    mean = X.mean(0)
    X = X - mean
    values, vectors = torch.linalg.eigh(X @ X.T if n < d else X.T @ X)
    kept = values > values[-1].clamp_min(0) * d * torch.finfo(X.dtype).eps
    values, vectors = values[kept].flip(0), vectors[:, kept].flip(1)
    if n < d:  # in descending order, so that small directions, which are the less precise, yield to large ones
        vectors = torch.linalg.qr(X.T @ vectors).Q
    return Spectrum(mean, values / max(n - 1, 1), signed(vectors))


def joint_spectrum(Xs: Tensor, Xt: Tensor) -> Spectrum:
    """Principal components of both domains' rows together, around their common mean."""
    return spectrum(torch.cat([Xs, Xt]))


def subspace_pair(source: Spectrum, target: Spectrum, k: int) -> tuple[Tensor, Tensor]:
    """Orthonormal bases [d, k] of the leading components of each domain; k at most the source's rank.

    A target of lower rank (of few samples) is completed by what is left of the source's directions, largest first.

    Raises
    ------
    FloatingPointError
        The source does not vary.
    """
    Ps = source.vectors[:, :k]
    k = Ps.shape[1]
    if not k:
        raise FloatingPointError("all source samples are equal, so that they span no subspace")
    Pt = target.vectors[:, :k]
    if (missing := k - Pt.shape[1]) > 0:
        rest = Ps - Pt @ (Pt.T @ Ps)
        Pt = torch.cat([Pt, signed(torch.linalg.svd(rest, full_matrices=False).U[:, :missing])], 1)
    return Ps, Pt


def geodesic_flow(Ps: Tensor, Pt: Tensor) -> Tensor:
    """A factor F [d, 2k] of the geodesic flow kernel, ``F Fᵀ = ∫ Φ(t) Φ(t)ᵀ dt`` over t in [0, 1].

    Φ is the geodesic of the Grassmannian from span(Ps) to span(Pt), both [d, k] with orthonormal columns. In principal
    vectors it is ``a_i cos(tθ_i) + b_i sin(tθ_i)``, so that no complement [d, d - k] is needed (Gong et al. 2012, eq.
    5-7, where the factor ½ is left out). Distances under the kernel are Euclidean distances of ``X F``.

    >>> F = geodesic_flow(torch.eye(3, 1), torch.eye(3, 1))  # no flow: the projection itself
    >>> (F @ F.T).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    Ps, Pt = Ps.double(), Pt.double()
    U, cosine, Vh = torch.linalg.svd(Ps.T @ Pt)
    a, end = Ps @ U, Pt @ Vh.T
    b = end - a * cosine
    sine = b.norm(dim=0)
    tiny = torch.finfo(b.dtype).tiny
    b = b / sine.clamp_min(tiny)  # of a direction that both share b is noise or 0; its weight below is then 0 too
    twice = 2 * torch.atan2(sine, cosine)
    safe = twice.clamp_min(tiny)
    sinc = torch.where(twice > 0, safe.sin() / safe, 1)
    aa, bb, ab = (1 + sinc) / 2, (1 - sinc) / 2, (safe / 2).sin().square() / safe
    root = aa.sqrt()
    corner = (bb - (ab / root).square()).clamp_min(0).sqrt()
    # Back to the order and signs of Ps and Pt: otherwise equal angles would leave F an arbitrary rotation.
    return torch.cat([(a * root + b * (ab / root)) @ U.T, (b * corner) @ Vh], 1)


def transfer_components(K: Tensor, mean: Tensor, gap: Tensor, n: int, k: int, mu: float) -> Tensor:
    """The leading W [r, k] of ``(KLK + mu I)⁻¹ KHK`` (Pan et al. 2011, eq. 10) with ``Wᵀ (KLK + mu I) W = I``.

    L is the rank-one ``l lᵀ`` and H centres, so ``KLK = gap gapᵀ`` with gap = K l, and ``KHK = K² - n mean meanᵀ`` with
    mean = K 1/n: one symmetric eigenproblem, since the root of ``mu I + gap gapᵀ`` is known. For a kernel ``Q K Qᵀ`` of
    low rank, Q orthonormal, all are given in Q's coordinates. k is at most the rank.
    """
    square = K @ K - n * torch.outer(mean, mean)
    length = gap.square().sum()
    # (mu I + g gᵀ)^-½ = mu^-½ (I - shrink g gᵀ / |g|²)
    u = gap / length.sqrt().clamp_min(torch.finfo(K.dtype).tiny)
    shrink = 1 - (mu / (mu + length)).sqrt()
    half = square - shrink * torch.outer(u, u @ square)
    whole = half - shrink * torch.outer(half @ u, u)
    values, vectors = torch.linalg.eigh((whole + whole.T) / 2)
    kept = values[-k:] > values[-1].clamp_min(0) * len(K) * torch.finfo(K.dtype).eps
    vectors = vectors[:, -k:][:, kept].flip(1)
    return signed((vectors - shrink * torch.outer(u, u @ vectors)) / mu**0.5)


class Landmarks(NamedTuple):
    """Rows [m, d] and the root [m, m] under which ``gaussian(X, rows) @ root`` are features, and the error."""

    rows: Tensor
    root: Tensor
    error: float


def landmarks(X: Tensor, m: int, gamma: float) -> Landmarks:
    """Nyström approximation of a Gaussian kernel on m rows, each the one that those before explain least.

    The greedy choice (a Cholesky factorisation with pivots) depends neither on random numbers nor on the rows' order.
    The error is the share of the kernel's trace that is left out; fewer than m rows are taken where it falls to 1e-12.
    """
    X = X.double()
    n = len(X)
    left = X.new_ones(n)
    F = X.new_zeros(n, m)
    chosen: list[int] = []
    Z = X - X.mean(0)
    squares = Z.square().sum(1)
    pivot = int(squares.argmin())
    while True:
        near = (squares + squares[pivot] - 2 * (Z @ Z[pivot])).clamp_min(0).mul_(-gamma).exp_()
        column = near - F[:, : len(chosen)] @ F[pivot, : len(chosen)]
        F[:, len(chosen)] = column / left[pivot].sqrt()
        left = (left - F[:, len(chosen)].square()).clamp_min(0)
        chosen.append(pivot)
        left[chosen] = 0
        pivot = int(left.argmax())
        if len(chosen) == m or float(left[pivot]) < 1e-12:
            break
    rows = X[chosen]
    L = F[chosen, : len(chosen)].tril()  # gaussian(rows) = L Lᵀ
    eye = torch.eye(len(chosen), dtype=X.dtype, device=X.device)
    return Landmarks(rows, torch.linalg.solve_triangular(L.T, eye, upper=True), float(left.sum()) / n)
