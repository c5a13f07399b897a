"""Sparse neighbour graphs, and labels spreading along them."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn

from zoo.ops.kernels import sq_dists
from zoo.ops.rows import sparse, taken

MANY = 8192  # rows of Y from which on float32 looks first
SPARE, GROUPS = 12, 32  # candidates beyond the k nearest; columns of which only the nearest is looked at, at first
BLOCK, FEWER = (
    2**25,
    2**23,
)  # entries of a block of distances, and of sparse rows, which are of use where memory is short


def neighbours(X: Tensor, Y: Tensor, k: int, *, loops: bool = True, chunk: int = 2048) -> tuple[Tensor, Tensor]:
    """Squared distances and indices [n, k] of the k rows of Y nearest to each row of X, nearest first.

    In float64. Among many rows on a CPU, float32 finds candidates; the answer is the same.

    Parameters
    ----------
    loops : bool
        With False, X is Y and a row is not its own neighbour.
    chunk : int
        Rows of X at a time, at most, so that no [n, m] matrix is held.
    """
    block = FEWER if sparse(X) else BLOCK
    k, chunk = min(k, len(Y) - (not loops)), max(1, min(chunk, block // max(len(Y), 1)))
    own = None if loops else torch.arange(len(X), device=X.device)
    exact = torch.get_float32_matmul_precision() == "highest" and X.device.type == "cpu" and X.is_floating_point()
    if len(Y) >= MANY and (k + SPARE) * GROUPS <= len(Y) and exact and not sparse(X):
        return _screened(X.flatten(1), Y.flatten(1), k, own, chunk)
    return _whole(X, Y, k, own, chunk)


def _whole(X: Tensor, Y: Tensor, k: int, own: Tensor | None, chunk: int) -> tuple[Tensor, Tensor]:
    """All distances in float64; `own` names the row of Y that each row of X is."""
    found = []
    for start in range(0, len(X), chunk):
        D = sq_dists(taken(X, slice(start, start + chunk)), Y)
        if own is not None:
            D.scatter_(1, own[start : start + chunk, None], torch.inf)
        found.append(D.topk(k, largest=False))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def _screened(X: Tensor, Y: Tensor, k: int, own: Tensor | None, chunk: int) -> tuple[Tensor, Tensor]:
    """Candidates by products in float32, their distances in float64.

    No other row is nearer if the last candidate is farther than the k-th neighbour by more than rounding, which is
    bounded as in Higham and Mary (2019), at six of their deviations. Rows where it is not are searched in float64.
    """
    n, (m, d) = len(X), Y.shape
    centre = Y.mean(0, dtype=torch.float64)
    x, y = (Z - centre.to(Z.dtype) for Z in (X, Y))
    scale = max(float(Z.abs().max()) for Z in (x, y)) or 1.0  # float32 overflows, and underflows, early
    x, y = (x / scale).float(), (y / scale).float()
    lengths, squares = x.double().norm(dim=1), y.square().sum(1)
    slack = (6 * d**0.5 + 16) * 2**-24 * (lengths + squares.max().double().sqrt()).square()
    width = -(-m // GROUPS)
    columns = torch.zeros(d + 1, width * GROUPS)  # (x, 1)·(-2y, |y|²) = |x - y|² - |x|²
    columns[:d, :m], columns[d, :m], columns[d, m:] = -2 * y.T, squares, torch.inf
    del y
    D = torch.empty(min(chunk, n), width * GROUPS)
    values, indices = X.new_empty(n, k, dtype=torch.float64), torch.empty(n, k, dtype=torch.int64)
    unsure, member = [], width * torch.arange(GROUPS)
    for at in torch.arange(n).split(len(D)):
        block = torch.mm(nn.functional.pad(x[at], (0, 1), value=1.0), columns, out=D[: len(at)])
        if own is not None:
            block.scatter_(1, own[at, None], torch.inf)
        # The nearest columns lie in the groups with the nearest columns.
        groups = block.view(len(at), GROUPS, width).amin(1).topk(k + SPARE, largest=False, sorted=False).indices
        columns_in = (groups[..., None] + member).flatten(1)
        near = block.gather(1, columns_in).topk(k + SPARE, largest=False)
        candidates = columns_in.gather(1, near.indices).clamp_max_(m - 1)  # beyond only where nothing is finite
        true = torch.stack([(X[at].double() - Y[c].double()).square().sum(1) for c in candidates.T], 1)
        first = true.topk(k, largest=False)
        values[at], indices[at] = first.values, candidates.gather(1, first.indices)
        others = near.values[:, -1].double() + lengths[at].square() - slack[at]
        unsure.append(at[~(others > first.values[:, -1] / scale**2)])
    again = torch.cat(unsure)
    if len(again):
        values[again], indices[again] = _whole(X[again], Y, k, None if own is None else own[again], chunk)
    return values, indices


def affinities(D: Tensor) -> Tensor:
    """Weights of neighbours from squared distances [n, k], nearest first: ``exp(-(d² - d1²) / mean(d² - d1²))``.

    Relative to the nearest neighbour, so that no row underflows to nothing; the scale is the row's own, so that dense
    and sparse regions are alike. Uniform where all neighbours are equally far.

    >>> affinities(torch.tensor([[1.0, 1.0], [0.0, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 0.1353352814912796]]
    """
    beyond = D - D[:, :1]
    scale = beyond.mean(1, keepdim=True)
    return torch.exp(-beyond / torch.where(scale > 0, scale, 1))


def knn_graph(X: Tensor, k: int) -> Tensor:
    """The symmetric affinity matrix [n, n] of the k-nearest-neighbour graph of rows, sparse CSR, float64."""
    D, columns = neighbours(X, X, k, loops=False)
    n, k = columns.shape
    rows = torch.arange(n, device=X.device).repeat_interleave(k)
    both = torch.stack([torch.cat([rows, columns.flatten()]), torch.cat([columns.flatten(), rows])])
    half = affinities(D).flatten() / 2
    return _csr(torch.sparse_coo_tensor(both, torch.cat([half, half]), (n, n), check_invariants=True).coalesce())


def normalised(W: Tensor) -> Tensor:
    """``D^-½ W D^-½`` of a sparse CSR affinity matrix whose degrees are D."""
    W = W.to_sparse_coo().coalesce()
    rows, columns = W.indices()
    degree = W.values().new_zeros(len(W)).index_add(0, rows, W.values())
    root = torch.where(degree > 0, degree, 1).rsqrt()
    values = W.values() * root[rows] * root[columns]
    return _csr(torch.sparse_coo_tensor(W.indices(), values, W.shape, check_invariants=True).coalesce())


def spread(S: Tensor, Y: Tensor, alpha: float, *, tol: float = 1e-10) -> Tensor:
    """``(1 - alpha) (I - alpha S)⁻¹ Y`` (Zhou et al. 2004) for symmetric S >= 0 with eigenvalues in [-1, 1], Y >= 0.

    By conjugate gradients, all columns at once. Their error is small against the largest values; where a row's own are
    too small for that (few and weak edges lead there), by power iteration, whose terms are all non-negative. A row is
    exactly 0 where no label reaches it, in either.
    """
    F = conjugate_gradients(S, (1 - alpha) * Y, alpha, tol).clamp_min_(0)
    reached = F.sum(1)
    weak = (reached > 0) & (reached < tol**0.5 * reached.max())
    return power_iteration(S, Y, alpha, tol) if bool(weak.any()) else F


def conjugate_gradients(S: Tensor, B: Tensor, alpha: float, tol: float) -> Tensor:
    """``(I - alpha S)⁻¹ B``; stops when no column's residual is above `tol` of B's."""
    F, R, P = torch.zeros_like(B), B.clone(), B.clone()
    tiny = torch.finfo(B.dtype).tiny
    size = R.square().sum(0)
    goal = tol**2 * size
    while bool((size > goal).any()):
        Q = torch.addmm(P, S, P, alpha=-alpha)
        step = size / (P * Q).sum(0).clamp_min(tiny)  # a column without labels is 0, and so is its step
        F.addcmul_(P, step)
        R.addcmul_(Q, step, value=-1)
        before, size = size, R.square().sum(0)
        P.mul_(size / before.clamp_min(tiny)).add_(R)
    return F


def power_iteration(S: Tensor, Y: Tensor, alpha: float, tol: float) -> Tensor:
    """What `spread` gives; the error shrinks by alpha a step, so that the number of steps is known beforehand."""
    start = (1 - alpha) * Y
    F = start
    for _ in range(math.ceil(math.log(tol) / math.log(alpha))):
        F = torch.addmm(start, S, F, alpha=alpha)
    return F


def _csr(W: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return W.to_sparse_csr()
