"""Frozen features: what a pretrained network makes of images, extracted once per (weights, transform, files)."""

from __future__ import annotations

import hashlib
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from zoo import discover, source
from zoo.bench.suite import Suite
from zoo.data import _cache

if TYPE_CHECKING:
    from zoo.nets import Net


def check(suite: Suite, shape: tuple[int, ...]) -> None:
    """Refuse weights that do not fit the network, and images of a size that it cannot read.

    Raises
    ------
    BadInput
        With the file's name and the key that does not fit.
    """
    from zoo.nets import _torchvision

    _torchvision.check(suite.net, suite.weights, shape)


@lru_cache(maxsize=1)
def _network(name: str, weights: str, device: str) -> Net:
    """The pretrained network, made once for all domains."""
    from zoo import nets

    return nets.build(name, (3, 1, 1), 2, weights=weights).to(device).eval()


def frozen(suite: Suite, X: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Features [n, width] float32 of images [n, 3, side, side], from the cache where they are there."""
    code = discover.code_hash(source.ROOT / "nets" / "_torchvision.py")
    made_of = (_cache.key_of(X), suite.net, suite.pretrained, code)
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()

    import torch

    net = _network(suite.net, suite.weights, device)

    def fill(whole: np.ndarray) -> None:
        print(f"extracting features of {len(X)} images with {suite.net}", file=sys.stderr)
        with torch.no_grad():
            for first in range(0, len(X), net.batch):
                batch = torch.from_numpy(np.array(X[first : first + net.batch])).to(device)
                whole[first : first + net.batch] = net.features(batch).float().cpu().numpy()

    return np.array(_cache.array("features", key, (len(X), net.width), np.float32, fill))
