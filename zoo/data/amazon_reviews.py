from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _mat
from zoo.data.base import Dataset

CLASSES = ("negative", "positive")  # in the order of the labels 0 and 1


class AmazonReviews(Dataset):
    """Amazon reviews of four kinds of goods, positive or negative, as frequencies of 400 words."""

    domains = ("books", "dvd", "electronics", "kitchen")
    cite = "blitzer2007biographies, gong2013connecting"
    origin = "the 400-word features published with Gong et al., Connecting the dots with landmarks (ICML 2013)"
    licence = "none stated; for research"
    folder = "amazon_reviews"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        path = self.file(root, f"{'elec' if domain == 'electronics' else domain}_400.mat")
        return _mat.read(path, CLASSES, first=0)
