from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _mat
from zoo.data.base import Dataset

# In the order of the labels 1 to 10.
CLASSES = ("backpack", "bike", "calculator", "headphones", "keyboard", "laptop", "monitor", "mouse", "mug", "projector")


class OfficeCaltech(Dataset):
    """Office-Caltech10: ten kinds of objects from four sources of photographs, as 800 counts of SURF words."""

    domains = ("caltech", "amazon", "webcam", "dslr")
    cite = "gong2012geodesic"
    origin = "the SURF features published with Gong et al., Geodesic flow kernel (CVPR 2012), at boqinggong.info"
    licence = "none stated; for research"
    folder = "office_caltech"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        path = self.file(root, f"{'Caltech10' if domain == 'caltech' else domain}_SURF_L10.mat")
        return _mat.read(path, CLASSES, first=1)
