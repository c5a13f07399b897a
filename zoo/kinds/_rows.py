"""Rows of samples, dense or sparse: norms, missing values, and which of them a draw holds out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.graph import is_sparse

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.discover import NetInfo
    from zoo.kinds.base import Domain

FOLDS = 5


def imputed(X: np.ndarray, rows: np.ndarray, how: str) -> np.ndarray:
    """Samples with the mean or median of some rows for what is missing; 0 where none of these rows has a value."""
    gone = np.isnan(X)
    if not gone.any():
        return X
    known = X[rows].astype(np.float64)
    there = ~np.isnan(known).all(0)
    fill = np.zeros(X.shape[1])
    fill[there] = (np.nanmean if how == "mean" else np.nanmedian)(known[:, there], axis=0)
    return np.where(gone, fill.astype(X.dtype), X)


def row_norms(X: Any, order: int) -> np.ndarray:
    """Norms of rows, of sparse features too; 1 for rows of zeros."""
    if is_sparse(X):
        values = abs(X).power(order).astype(np.float64)
        flat = np.asarray(values.sum(1)).ravel() ** (1 / order)
    else:
        flat = np.linalg.norm(X.reshape(len(X), -1).astype(np.float64), ord=order, axis=1)
    return np.where(flat > 0, flat, 1.0)


def divided(X: Any, norms: np.ndarray) -> Any:
    """Rows over their norms."""
    if is_sparse(X):
        from scipy.sparse import diags

        return (diags(1 / norms) @ X).tocsr()
    return X / norms.reshape(-1, *[1] * (X.ndim - 1))


def take(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows in ascending order; all of them without a copy."""
    return X if len(rows) == X.shape[0] else X[rows]


def rank_in_class(y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random rank of each row within its class, from 0."""
    noise = generator.random(len(y))
    order = np.lexsort((noise, y))
    first = np.searchsorted(y[order], y[order])
    rank = np.empty(len(y), np.int64)
    rank[order] = np.arange(len(y)) - first
    return rank


def stratified(y: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """A mask that holds out `share` of every class; at least one sample of each that has two."""
    counts = np.bincount(y)
    held = np.where(counts > 1, np.maximum(1, np.round(share * counts)), 0)
    return rank_in_class(y, generator) < held[y]


def adapt_rows(suite: Suite, domain: Domain, seed: int) -> np.ndarray:
    """Rows to train on or adapt to: 80 % of the units, stratified; all of them in transductive."""
    if suite.protocol == "transductive":
        return np.arange(len(domain.y))
    y, unit = domain.units()
    return np.flatnonzero(~stratified(y, 0.2, domain.secret.generator("split", seed))[unit])


def training_rows(suite: Suite, domain: Domain, seed: int) -> np.ndarray:
    """The rows of a domain of which statistics are made: those trained on or adapted to, without a label too."""
    rows = adapt_rows(suite, domain, seed)
    return np.concatenate([rows, domain.unlabelled]) if len(domain.unlabelled) else rows


def folded(domain: Domain) -> np.ndarray:
    """A fold for every row, classes spread evenly; each class starts at another fold, to even out the sizes.

    Rows of one unit are in one fold.

    Where they start is drawn: a class of fewer samples than folds would else tell in which folds it is.
    """
    generator = domain.secret.generator("folds")
    y, unit = domain.units()
    start = (generator.integers(FOLDS) + generator.permutation(y.max(initial=-1) + 1))[y]
    found: np.ndarray = ((rank_in_class(y, generator) + start) % FOLDS)[unit]
    return found


def unreadable(net: NetInfo, shape: tuple[int, ...]) -> str:
    """What a network takes where samples of a shape are none of it; '' where it reads them."""
    if net.smallest and (len(shape) != 3 or min(shape[1:]) < net.smallest):
        return f"takes images of {net.smallest}×{net.smallest} pixels and more"
    if net.shortest and (len(shape) != 2 or shape[1] < net.shortest):
        return f"takes series, channels × {net.shortest} steps and more"
    return ""


def labelled(suite: Suite, t: Domain, adapt: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the K labelled units per class, and those of Xt, from which they are taken."""
    if suite.labels == "all":
        return adapt, adapt
    y, unit = t.units(adapt)
    rank = rank_in_class(y, t.secret.generator("labels", seed))
    counts, k = np.bincount(y, minlength=int(t.strata.max(initial=0)) + 1), int(suite.labels)
    # Of a class with no more than K nothing is reserved: no cell of this target is granted labels.
    chosen = ((rank < k) & (counts > k)[y])[unit]
    return adapt[chosen], adapt[~chosen]
