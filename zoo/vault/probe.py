"""What is seen of a fitted method for validators, before any test row comes: features, weights, answers to mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np

HEAVIER = 0.55  # the share of a mixture's first parent: Hu et al. 2023
ADAPT, SOURCE = ("adapt", "test"), ("train", "validation")  # of the sets; a probed test set is the one fitted on


def features(adapter: Any, X: Any, source: bool) -> np.ndarray | None:
    """Features [n, d] in float32: of a network, of a mapping, else the vectors that the classifier sees.

    None of nodes by their numbers, which are no features.
    """
    import torch

    from zoo.adapters.base import Mapping

    embed = getattr(getattr(adapter, "model_", None), "embed", None)
    with torch.no_grad():
        if callable(embed):
            z = embed(X)
        elif isinstance(adapter, Mapping):
            z = adapter.source(X) if source else adapter.target(X)
        elif not X.dtype.is_floating_point:
            return None
        else:
            z = X
    return np.ascontiguousarray(z.detach().flatten(1).float().cpu().numpy())


def weights(adapter: Any, n: int) -> np.ndarray | None:
    """The weights [n, 1] in float32 that a method gave to its n training samples; None where it gave none."""
    given = getattr(adapter, "weights_", None)
    if not n or given is None or tuple(given.shape) != (n,):
        return None
    return np.ascontiguousarray(given.detach().float().cpu().numpy()[:, None])


def parents(predicted: np.ndarray, seed: int) -> np.ndarray:
    """Pairs (i, j) [m, 2] to mix: each sample with a random other, and with a random other of its predicted class.

    >>> parents(np.array([0, 0, 1]), 0).shape  # three of the first kind, two of the second
    (5, 2)
    """
    n, rng = len(predicted), np.random.default_rng(seed)
    if n < 2:
        return np.empty((0, 2), np.int64)
    any_other = (np.arange(n) + rng.integers(1, n, n)) % n
    found = [np.stack([np.arange(n), any_other], 1)]
    for c in np.unique(predicted):
        own = rng.permutation(np.flatnonzero(predicted == c))
        if len(own) > 1:
            found.append(np.stack([own, np.roll(own, 1)], 1))
    return np.concatenate(found)


def mixed(X: Any, pairs: np.ndarray) -> Any:
    """``0.55 x_i + 0.45 x_j`` of samples, in their own type: photographs are rounded."""
    import torch

    first, second = (X[torch.as_tensor(pairs[:, k], device=X.device)].float() for k in (0, 1))
    made = HEAVIER * first + (1 - HEAVIER) * second
    return made if X.dtype.is_floating_point else made.round().to(X.dtype)
