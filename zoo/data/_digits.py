"""Reading MNIST, USPS and optdigits, and bringing them to one size. torch is imported only when something is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.base import Dataset
from zoo.errors import BadInput


def read(
    dataset: Dataset, domain: str, root: Path | None, splits: tuple[bool, ...] = (True, False)
) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, height, width] as they are stored, float32 in [0, 1], and digits [n].

    Of the native splits those asked for, training's by True, pooled.
    """
    if domain == "optdigits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        return (digits.images / 16).astype(np.float32), digits.target
    split = _mnist if domain == "mnist" else _usps
    parts = [split(dataset, root, train) for train in splits]
    return np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])


def resize(images: np.ndarray, side: int, centre: int | None = None) -> np.ndarray:
    """Images [n, height, width] to [n, 1, side, side], bilinear and antialiased; the centre cropped first, if asked.

    >>> resize(np.ones((2, 28, 28), np.float32), 32, centre=20).shape
    (2, 1, 32, 32)
    """
    import torch
    from torchvision.transforms.v2 import functional

    X = torch.from_numpy(images)[:, None]
    if centre is not None:
        X = functional.center_crop(X, [centre, centre])
    X = functional.resize(X, [side, side], interpolation=functional.InterpolationMode.BILINEAR, antialias=True)
    return X.clamp(0, 1).numpy()  # weights sum to 1 up to rounding


def framed(images: np.ndarray, side: int) -> np.ndarray:
    """Images [n, height, width] in the middle of black ones [n, side, side].

    >>> framed(np.ones((1, 2, 2)), 4).sum(2)
    array([[0., 2., 2., 0.]])
    """
    rims = [((side - n) // 2, side - n - (side - n) // 2) for n in images.shape[1:]]
    return np.pad(images, [(0, 0), *rims])


def _mnist(dataset: Dataset, root: Path | None, train: bool) -> tuple[np.ndarray, np.ndarray]:
    stem = f"MNIST/raw/{'train' if train else 't10k'}"
    images, labels = (dataset.file(root, f"{stem}-{what}-ubyte") for what in ("images-idx3", "labels-idx1"))
    from torchvision.datasets import mnist

    # What torchvision's MNIST(download=False) calls; called here because it does not say which file is damaged.
    X = _parsed(images, "an idx file of images", mnist.read_image_file).numpy()
    y = _parsed(labels, "an idx file of labels", mnist.read_label_file).numpy()
    if X.shape[1:] != (28, 28):
        raise BadInput(f"{images}: images of {'×'.join(map(str, X.shape[1:]))}, not 28×28")
    if len(X) != len(y):
        raise BadInput(f"{images}: {len(X)} images, but {labels.name} has {len(y)} labels")
    return X.astype(np.float32) / 255, _digits(labels, y)


def _usps(dataset: Dataset, root: Path | None, train: bool) -> tuple[np.ndarray, np.ndarray]:
    path = dataset.file(root, "usps.bz2" if train else "usps.t.bz2")
    from torchvision.datasets import USPS

    usps = _parsed(path, "USPS in libsvm's format", lambda path: USPS(path.parent, train=train, download=False))
    if len(usps.data) != len(usps.targets):
        raise BadInput(f"{path}: {len(usps.targets)} lines that do not hold 256 pixels each")
    return usps.data.astype(np.float32) / 255, _digits(path, np.array(usps.targets))


def _parsed(path: Path, what: str, parse: Callable[[Path], Any]) -> Any:
    try:
        return parse(path)
    except Exception as error:  # a damaged file raises nearly anything: IndexError, RuntimeError, EOFError, OSError
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} cannot be read as {what}: {reason}") from None


def _digits(path: Path, y: np.ndarray) -> np.ndarray:
    if not len(y):
        raise BadInput(f"{path} is empty")
    if y.min() < 0 or y.max() > 9:
        raise BadInput(f"{path}: labels from {y.min()} to {y.max()}, not digits")
    return y
