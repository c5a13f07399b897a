from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _images
from zoo.data.base import Dataset


class Pacs(Dataset):
    """PACS: 7 classes as photographs, art paintings, cartoons and sketches."""

    domains = ("photo", "art_painting", "cartoon", "sketch")
    images = True
    photographs = True
    cite = "li2017deeper"
    origin = "the authors' page, dali-dl.github.io/project_iccv2017.html"
    licence = "none stated, for research"
    folder = "pacs"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        files, labels = _images.tree(self.under(root, domain))
        return _images.load(files), labels
