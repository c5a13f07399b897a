"""Marginal and class-conditional alignment in factored form: MMD matrices are E Eᵀ with C + 1 columns, never n x n."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.ops.graphs import neighbours


def unit_rows(X: Tensor) -> Tensor:
    """Rows of length 1, in float64; rows of zeros stay.

    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    X = X.flatten(1).double()
    length = X.norm(dim=1, keepdim=True)
    return X / torch.where(length > 0, length, 1)


def leading(S: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest eigenvalues of a symmetric matrix, descending, and their vectors.

    Those below rounding are left out: their directions are arbitrary, and would depend on the order of the rows. On the
    CPU through LAPACK's solver for a part of the spectrum, which takes half the time of the whole.
    """
    k = min(k, len(S))
    S = (S + S.T) / 2
    if not bool(torch.isfinite(S).all()):
        raise FloatingPointError("the eigenproblem has entries that are not finite")
    if S.device.type == "cpu":
        from scipy.linalg import eigh

        w, V = eigh(S.numpy(), subset_by_index=[len(S) - k, len(S) - 1])
        values, vectors = torch.from_numpy(w).flip(0), torch.from_numpy(V).flip(1)
    else:
        w, V = torch.linalg.eigh(S)
        values, vectors = w[-k:].flip(0), V[:, -k:].flip(1)
    kept = values > values[0].clamp_min(0) * len(S) * torch.finfo(S.dtype).eps
    return values[kept], vectors[:, kept]


def mmd_factors(ys: Tensor, yt: Tensor | None, n_t: int, n_classes: int) -> tuple[Tensor, Tensor]:
    """Columns e0 [n, 1] and e1..eC [n, C] with M0 = e0 e0ᵀ and Mc = ec ecᵀ (Long et al. 2013, equations 4 and 7).

    The column of a class that one side lacks is 0; without pseudo-labels `yt` all are.
    """
    n_s = len(ys)
    ones = torch.ones(n_s + n_t, 1, dtype=torch.float64, device=ys.device)
    ones[:n_s] /= n_s
    ones[n_s:] /= -n_t
    if yt is None:
        return ones, ones.new_zeros(n_s + n_t, n_classes)
    S, T = one_hot(ys, n_classes).double(), one_hot(yt, n_classes).double()
    a, b = S.sum(0), T.sum(0)
    both = ((a > 0) & (b > 0)).double()
    return ones, torch.cat([S * (both / a.clamp_min(1)), -T * (both / b.clamp_min(1))])


def mmd_root(ys: Tensor, yt: Tensor | None, n_t: int, n_classes: int, marginal: float, conditional: float) -> Tensor:
    """E [n, C + 1] with ``E Eᵀ = (marginal M0 + conditional ΣMc) / |its Frobenius norm|``, as the authors' codes do."""
    e0, ec = mmd_factors(ys, yt, n_t, n_classes)
    E = torch.cat([marginal**0.5 * e0, conditional**0.5 * ec], 1)
    return E / torch.linalg.matrix_norm(E.T @ E).clamp_min(torch.finfo(E.dtype).tiny).sqrt()


class Rows(NamedTuple):
    """Joint rows Z [n, r] in the eigenbasis [d, r] of their scatter, whose eigenvalues are `scatter` [r], ascending."""

    Z: Tensor
    scatter: Tensor
    basis: Tensor


def joint_rows(Xs: Tensor, Xt: Tensor, unit: float) -> Rows:
    """Both domains' rows, of length 1 or (unit = 0) over the root of their mean variance, in their own eigenbasis.

    Directions in which nothing varies are dropped, as no projection that maximises variance uses them. With d > n the
    scatter is decomposed in the rows' own space, which is exact.
    """
    X = torch.cat([Xs, Xt]).flatten(1).double()
    scale = 1.0
    if unit:
        X = unit_rows(X)
    else:
        scale = 1 / (float(X.var(0, correction=0).mean()) ** 0.5 or 1.0)
        X = X * scale
    n, d = X.shape
    centred = X - X.mean(0)
    within = torch.linalg.qr(X.T).Q if d > n else None
    thin = centred if within is None else centred @ within
    values, vectors = torch.linalg.eigh(thin.T @ thin)
    # Relative to the rows themselves too: where they are nearly equal, what is left of them after centring is rounding.
    floor = torch.maximum(values[-1] * len(values), X.square().sum() * 1e-12) * torch.finfo(X.dtype).eps
    kept = values > floor
    basis = vectors[:, kept] if within is None else within @ vectors[:, kept]
    return Rows(X @ basis, values[kept], basis * scale)


def components(rows: Rows, E: Tensor, k: int, reg: float) -> Tensor:
    """The k leading A [r, k] of ``S a = φ B a``, S the scatter and ``B = ZᵀEEᵀZ + reg I``, of length 1 under B.

    B⁻¹ is known (Woodbury, C + 1 columns), so this is the plain symmetric eigenproblem of ``S^½ B⁻¹ S^½``.
    """
    root = rows.scatter.sqrt()
    R = rows.Z.T @ E
    inner = torch.linalg.cholesky(reg * torch.eye(R.shape[1], dtype=R.dtype, device=R.device) + R.T @ R)
    half = torch.linalg.solve_triangular(inner, R.T, upper=False)  # B⁻¹ = (I - halfᵀ half) / reg
    L = half * root
    values, V = leading((torch.diag(rows.scatter) - L.T @ L) / reg, k)
    V = root[:, None] * V
    return (V - half.T @ (half @ V)) / (reg * values.sqrt())


# Joint geometrical and statistical alignment --------------------------------------------------------------------------


class Geometry(NamedTuple):
    """The pencil of JGSA but for its MMD term: G [2d, r] with S_max = G Gᵀ, and S_min's parts P [d, d] (top left,
    Cholesky of the Schur complement), `reg` and `mu`, with S0⁻¹G and GᵀS0⁻¹G."""

    G: Tensor
    schur: Tensor
    reg: float
    mu: float
    solved: Tensor
    inner: Tensor

    def solve(self, F: Tensor) -> Tensor:
        """``S0⁻¹ F`` with ``S0 = [[reg I + beta Sw, -reg I], [-reg I, (reg + mu) I]]``, through one d x d factor."""
        d, corner = len(self.schur), self.reg + self.mu
        x = torch.cholesky_solve(F[:d] + self.reg / corner * F[d:], self.schur)
        return torch.cat([x, (F[d:] + self.reg * x) / corner])


def geometry(Xs: Tensor, ys: Tensor, Xt: Tensor, n_classes: int, reg: float, beta: float, mu: float) -> Geometry:
    """What of the pencil no pseudo-label changes (Zhang et al. 2017)."""
    d = Xs.shape[1]
    Y = one_hot(ys, n_classes).double()
    count = Y.sum(0)
    means = (Y.T @ Xs) / count.clamp_min(1)[:, None]
    within = Xs - means[ys]
    between = (means - Xs.mean(0)) * (beta * count).sqrt()[:, None]
    centred = Xt - Xt.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    kept = values > values[-1].clamp_min(0) * d * torch.finfo(values.dtype).eps
    target = vectors[:, kept] * (mu * values[kept]).sqrt()
    eye = torch.eye(d, dtype=Xs.dtype, device=Xs.device)
    schur = torch.linalg.cholesky(beta * within.T @ within + reg * mu / (reg + mu) * eye)
    G = torch.block_diag(between.T, target)
    empty = G.new_empty(0)
    solved = Geometry(G, schur, reg, mu, empty, empty).solve(G)
    return Geometry(G, schur, reg, mu, solved, G.T @ solved)


def coupled(parts: Geometry, F: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k leading A, B [d, k] of ``S_max w = φ (S0 + F Fᵀ) w``, w = [a; b] of length 1 under the right matrix.

    With S_max = G Gᵀ the solutions are ``(S0 + FFᵀ)⁻¹ G u``: a symmetric problem of size rank(G), half of 2d.
    """
    SF = parts.solve(F)
    middle = torch.linalg.cholesky(torch.eye(F.shape[1], dtype=F.dtype, device=F.device) + F.T @ SF)
    GF = torch.linalg.solve_triangular(middle, SF.T @ parts.G, upper=False)
    values, U = leading(parts.inner - GF.T @ GF, k)
    if not len(values):
        raise FloatingPointError("all target samples are equal, and so are the source's class means")
    W = parts.solved @ U - SF @ torch.cholesky_solve(SF.T @ (parts.G @ U), middle)
    A, B = (W / values.sqrt()).tensor_split([len(parts.schur)])
    return A, B


# Transfer joint matching ----------------------------------------------------------------------------------------------


def matching(rows: Rows, e: Tensor, weights: Tensor, k: int, reg: float) -> tuple[Tensor, Tensor]:
    """The k largest φ, and the samples' coefficients A [n, k], of ``KHK a = φ (K e eᵀ K + reg G) a``; AᵀKHKA = I.

    K = Z Zᵀ and G = diag(weights). ``KHK = F Fᵀ`` with F [n, r] = Z scatter^½: a problem of the size of the features.
    """
    F = rows.Z * rows.scatter.sqrt()
    v = rows.Z @ (rows.Z.T @ e)
    GF, Gv = F / (reg * weights)[:, None], v / (reg * weights)
    share = 1 / (1 + v @ Gv)
    Fv = F.T @ Gv
    values, U = leading(F.T @ GF - share * torch.outer(Fv, Fv), k)
    return values, (GF @ U - share * torch.outer(Gv, Fv @ U)) / values


# Manifold embedded distribution alignment -----------------------------------------------------------------------------


def cosine_laplacian(X: Tensor, p: int) -> Tensor:
    """``I - D^-½ W D^-½`` [n, n], sparse, of the p-nearest-neighbour graph of unit rows; weights are their cosines.

    An edge is there where either row has the other among its neighbours, as in the authors' ``lapgraph``.
    """
    n = len(X)
    D, columns = neighbours(X, X, p, loops=False)
    rows = torch.arange(n, device=X.device).repeat_interleave(columns.shape[1])
    columns, cosine = columns.flatten(), (1 - D.flatten() / 2).clamp_min(0)
    # Both directions of an edge hold the same cosine: keeping one of two equal entries is their maximum.
    at, first = torch.unique(torch.cat([rows * n + columns, columns * n + rows]), return_inverse=True)
    values = torch.zeros(len(at), dtype=X.dtype, device=X.device)
    values.scatter_reduce_(0, first, torch.cat([cosine, cosine]), "amax")
    rows, columns = at // n, at % n
    degree = values.new_zeros(n).index_add(0, rows, values)
    root = torch.where(degree > 0, degree, 1).rsqrt()
    diagonal = torch.arange(n, device=X.device)
    where = torch.stack([torch.cat([rows, diagonal]), torch.cat([columns, diagonal])])
    entries = torch.cat([-values * root[rows] * root[columns], torch.ones_like(root)])
    return torch.sparse_coo_tensor(where, entries, (n, n), check_invariants=True).coalesce()


class Ridge:
    """``beta = ((A + V Vᵀ + rho L) K + eta I)⁻¹ A Y`` for many V: what no pseudo-label changes is factored once.

    Parameters
    ----------
    K : Tensor [n, n], or Phi [n, m] with K = Phi Phiᵀ if ``low_rank``
    labelled : Tensor [n]
        The diagonal of A.
    """

    def __init__(
        self, K: Tensor, labelled: Tensor, L: Tensor, Y: Tensor, rho: float, eta: float, *, low_rank: bool = False
    ) -> None:
        self.K, self.low_rank = K, low_rank
        BK = rho * torch.sparse.mm(L, K)
        BK += labelled[:, None] * K
        Q = K.T @ BK if low_rank else BK  # for low rank in Phi's coordinates: w = Phiᵀ beta
        Q.diagonal().add_(eta)
        self.factor = torch.linalg.lu_factor(Q)
        self.start = torch.linalg.lu_solve(*self.factor, self._left(labelled[:, None] * Y))

    def _left(self, V: Tensor) -> Tensor:
        return self.K.T @ V if self.low_rank else V

    def solve(self, V: Tensor) -> tuple[Tensor, Tensor]:
        """beta (or ``w = Phiᵀ beta``), and the values ``K beta`` [n, C] (or ``Phi w``)."""
        QV = torch.linalg.lu_solve(*self.factor, self._left(V))
        KV = self._left(V).T if self.low_rank else V.T @ self.K
        inner = torch.eye(V.shape[1], dtype=V.dtype, device=V.device) + KV @ QV
        beta = self.start - QV @ torch.linalg.solve(inner, KV @ self.start)
        return beta, self.K @ beta


def on_simplex(F: Tensor) -> Tensor:
    """The nearest point of the probability simplex to each row: scores from values that were regressed on one-hot rows.

    >>> on_simplex(torch.tensor([[0.9, 0.3, -1.0]])).mul(10).round().tolist()
    [[8.0, 2.0, 0.0]]
    """
    ordered = F.sort(1, descending=True).values
    count = torch.arange(1, F.shape[1] + 1, dtype=F.dtype, device=F.device)
    shift = (ordered.cumsum(1) - 1) / count
    used = (ordered > shift).sum(1, keepdim=True)
    return (F - shift.gather(1, used - 1)).clamp_min(0)
