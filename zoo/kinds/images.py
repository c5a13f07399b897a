"""Images: samples for networks, of which base learners see features.

Photographs (bytes, colour) may have the features of a pretrained network, extracted once per (weights, transform,
files).
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import source
from zoo.data import _cache
from zoo.kinds.base import Domain
from zoo.kinds.samples import Samples

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.nets import Net


class Images(Samples):
    """Arrays [n, channels, height, width] in [0, 1], or photographs as bytes."""

    net = "cnn"
    use = "net"

    def features(self, suite: Suite) -> str:
        return "frozen" if suite.weights else "source"

    def fits(self, suite: Suite, shape: tuple[int, ...]) -> None:
        """Refuse images that the network cannot read, and weights that do not fit it."""
        if suite.network is None:  # torchvision's
            importlib.import_module("zoo.nets._torchvision").check(suite.net, suite.weights, shape)
        super().fits(suite, shape)

    def damaged(self, X: Any) -> int | None:
        return None if X.dtype == np.uint8 else super().damaged(X)

    def domain(self, suite: Suite, name: str, X: Any, y: np.ndarray, classes: list[str], device: str) -> Domain:
        """A domain, of photographs with, or as, the features of a pretrained network."""
        if X.dtype != np.uint8:
            return super().domain(suite, name, X, y, classes, device)
        key = _cache.key_of(X)
        if suite.features == "frozen":
            Z = frozen(suite, X, device)
            if suite.trainable == "head":
                return Domain.build(name, Z, y, classes, key=f"{key} {suite.net} {suite.pretrained}")
            return Domain.build(name, X, y, classes, key=key, frozen=Z)
        if suite.network is not None:  # the zoo's own networks take images in [0, 1]
            X = X.astype(np.float32) / 255
        return Domain.build(name, X, y, classes, key=key)


# A network is imported by name: what it is stands in the cells that train or see it, not in those of all images.
@lru_cache(maxsize=1)
def _network(name: str, weights: str, device: str) -> Net:
    """The pretrained network, made once for all domains."""
    nets = importlib.import_module("zoo.nets")
    net: Net = nets.build(name, (3, 1, 1), 2, weights=weights)
    return net.to(device).eval()


def frozen(suite: Suite, X: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Features [n, width] float32 of images [n, 3, side, side], from the cache where they are there."""
    code = source.code_hash(source.ROOT / "nets" / "_torchvision.py")
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
