from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from zoo.data import _images
from zoo.data.base import Dataset


class OfficeHome(Dataset):
    """Office-Home: 65 classes of everyday objects as art, clip art, product pictures and photographs."""

    domains = ("art", "clipart", "product", "real_world")
    images = True
    photographs = True
    cite = "venkateswara2017deep"
    origin = "the authors' page, hemanthdv.org/officeHomeDataset.html"
    licence = "for research only, fair use"
    folder = "office_home"

    FOLDERS: ClassVar[dict[str, str]] = {
        "art": "Art",
        "clipart": "Clipart",
        "product": "Product",
        "real_world": "Real World",
    }

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        files, labels = _images.tree(self.under(root, self.FOLDERS[domain]))
        return _images.load(files), labels
