from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data._digits import read, resize
from zoo.data.digits import Digits


class DigitsFramed(Digits):
    """The same digits framed alike: MNIST's margin of 4 pixels, which the others do not have, is cropped first."""

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        images, y = read(self, domain, root)
        return resize(images, 32, centre=20 if domain == "mnist" else None), y.astype("<U1")
