from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _images
from zoo.data.base import Dataset


class Office31(Dataset):
    """Office-31: 31 classes of office objects, photographed for amazon.com, by a SLR camera and by a webcam."""

    domains = ("amazon", "dslr", "webcam")
    images = True
    photographs = True
    cite = "saenko2010adapting"
    origin = "the authors' page, faculty.cc.gatech.edu/~judy/domainadapt, as domain_adaptation_images.tar.gz"
    licence = "none stated, for research"
    folder = "office31"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        files, labels = _images.tree(self.under(root, f"{domain}/images"))
        return _images.load(files), labels
