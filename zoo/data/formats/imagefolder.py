from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import _images
from zoo.data.formats.base import Folder


class Imagefolder(Folder):
    """A folder per class with images in it."""

    keys = ("size",)
    suffixes = (*_images.SUFFIXES, ".jfif", ".jpe", ".avif")
    photographs = True

    def read(self) -> tuple[np.ndarray, np.ndarray, tuple[Any, ...]]:
        files, y = self.tree()
        X = _images.load(files, self.size or _images.SIZE)
        return X, y, X.shape[1:]

    def holds(self, path: Path) -> bool:
        from PIL import Image

        try:
            with Image.open(path):
                return True
        except Exception:  # a damaged file raises nearly anything
            return False

    def described(self, path: Path) -> str:
        from PIL import Image

        try:
            with Image.open(path) as image:
                return f"{image.mode} {image.width}×{image.height}"
        except Exception as error:  # a damaged file raises nearly anything
            raise self.bad(f"{path.relative_to(self.path)} cannot be read as an image: {error}") from None
