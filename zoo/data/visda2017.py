from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from zoo.data import _images
from zoo.data.base import Dataset


class Visda2017(Dataset):
    """VisDA-2017: 12 classes, rendered from 3D models (152,397 images) and photographed (55,388)."""

    domains = ("synthetic", "real")
    images = True
    photographs = True
    cite = "peng2017visda"
    origin = "the challenge's page, ai.bu.edu/visda-2017"
    licence = "none stated, for research"
    folder = "visda2017"

    FOLDERS: ClassVar[dict[str, str]] = {"synthetic": "train", "real": "validation"}

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        files, labels = _images.tree(self.under(root, self.FOLDERS[domain]))
        return _images.load(files), labels
