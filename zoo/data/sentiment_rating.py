from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _sentiment
from zoo.data.sentiment import Sentiment


class SentimentRating(Sentiment):
    """Sentences of four kinds, and the mean of 20 ratings from -4 (negative) to 4 (positive) of each."""

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        texts, rating = _sentiment.read(self, domain, root)
        return texts, rating.astype(str)
