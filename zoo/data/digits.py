from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data._digits import read, resize
from zoo.data.base import Dataset


class Digits(Dataset):
    """Handwritten digits from three sources, 28×28, 16×16 and 8×8 grey, each image resized to 32×32."""

    domains = ("mnist", "usps", "optdigits")
    kind = "images"
    cite = "lecun1998gradient, hull1994database, alpaydin1998optdigits"
    origin = (
        "MNIST at ossci-datasets.s3.amazonaws.com/mnist, USPS at csie.ntu.edu.tw/~cjlin/libsvmtools/datasets, "
        "optdigits in scikit-learn"
    )
    licence = "MNIST: CC BY-SA 3.0; USPS: none stated, for research; optdigits: as scikit-learn ships it, from UCI"
    folder = "digits"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        images, y = read(self, domain, root)
        return resize(images, 32), y.astype("<U1")
