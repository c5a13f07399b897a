"""Networks, one file each: a public subclass of Net with f1 as `features` and f2 as `head`."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn


class Net(nn.Module):
    """A network split into the feature extractor f1 and the classifier f2.

    Subclasses take ``(shape, n_classes)``, the shape of one sample, and set ``width``, ``head`` and `features`.
    """

    width: int
    head: nn.Module

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """f1: samples [n, ...] to features [n, width]."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))

    @torch.no_grad()
    def predict(self, X: torch.Tensor, batch: int = 512) -> torch.Tensor:
        """Class scores [n, n_classes] in evaluation mode; rows sum to 1."""
        return self._chunked(lambda x: torch.softmax(self(x).float(), 1), X, batch)

    @torch.no_grad()
    def embed(self, X: torch.Tensor, batch: int = 512) -> torch.Tensor:
        """Features [n, width] in evaluation mode."""
        return self._chunked(self.features, X, batch)

    def _chunked(self, f: Any, X: torch.Tensor, batch: int) -> torch.Tensor:
        self.eval()
        return torch.cat([f(x) for x in X.split(batch)])


def build(name: str, shape: tuple[int, ...], n_classes: int) -> Net:
    """Make the network of file ``zoo/nets/NAME.py`` for samples of `shape`."""
    module = importlib.import_module(f"zoo.nets.{name}")
    (cls,) = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    return cls(shape, n_classes)
