"""Metrics of class scores; what has no meaning is None. The driver computes them, since only it has the labels."""

from __future__ import annotations

import numpy as np

NAMES = ("accuracy", "balanced_accuracy", "f1_macro", "auroc", "nll", "ece")


def metrics(scores: np.ndarray, y: np.ndarray, classes: np.ndarray | None = None) -> dict[str, float | None]:
    """Accuracy, balanced accuracy, macro F1 and AUROC, negative log-likelihood and calibration error.

    Parameters
    ----------
    scores : array [n, n_classes]
        Class scores, rows summing to 1.
    y : int array [n]
        Labels.
    classes : int array, optional
        Over which ``balanced_accuracy``, ``f1_macro`` and ``auroc`` are averaged: those that samples can have, where
        they cannot have all that are predicted.

    Returns
    -------
    dict
        All None where no sample has a label.
        ``auroc`` is one against rest, averaged over classes (None with a class missing); ``nll`` is None where a true
        class has score 0 (1-NN); ``ece`` uses 15 bins of the top score (Guo et al. 2017), None for one-hot scores.

    >>> metrics(np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]]), np.array([0, 1, 1]))["balanced_accuracy"]
    0.75
    """
    n, n_classes = scores.shape
    if not n:
        return dict.fromkeys(NAMES)
    predicted = scores.argmax(1)
    confusion = np.bincount(y * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    hits, true, guessed = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    some = np.arange(n_classes) if classes is None else classes
    present = np.isin(np.arange(n_classes), some) & (true + guessed > 0)
    nll = -np.log(scores[np.arange(n), y], where=scores[np.arange(n), y] > 0, out=np.full(n, -np.inf)).mean()
    top = scores.max(1)
    return {
        "accuracy": float((predicted == y).mean()),
        "balanced_accuracy": float((hits[true > 0] / true[true > 0]).mean()),
        "f1_macro": float((2 * hits[present] / (true + guessed)[present]).mean()),
        "auroc": auroc(scores, y, true, some),
        "nll": float(nll) if np.isfinite(nll) else None,
        "ece": None if (top == 1).all() else _ece(top, predicted == y),
    }


def auroc(scores: np.ndarray, y: np.ndarray, counts: np.ndarray, classes: np.ndarray) -> float | None:
    """The mean over classes of that of one against the rest; `counts` are those of all classes in y."""
    if (counts[classes] == 0).any() or (counts == len(y)).any():
        return None
    order = np.sort(scores, axis=0)
    total = 0.0
    for c in classes:  # mid-ranks, so that ties count half
        own = scores[y == c, c]
        ranks = np.searchsorted(order[:, c], own) + np.searchsorted(order[:, c], own, side="right")
        total += ((ranks.sum() + len(own)) / 2 - len(own) * (len(own) + 1) / 2) / (len(own) * (len(y) - len(own)))
    return float(total / len(classes))


def _ece(top: np.ndarray, right: np.ndarray) -> float:
    bins = np.clip(np.ceil(top * 15).astype(int) - 1, 0, 14)
    gap = np.bincount(bins, weights=right.astype(float) - top, minlength=15)
    return float(np.abs(gap).sum() / len(top))
