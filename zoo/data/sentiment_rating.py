from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _sentiment
from zoo.data.base import Dataset


class SentimentRating(Dataset):
    """Sentences of four kinds, and the mean of 20 ratings from -4 (negative) to 4 (positive) of each."""

    domains = ("tweets", "movies", "products", "editorials")
    kind = "text"
    cite = "hutto2014vader"
    origin = "github.com/cjhutto/vaderSentiment, the ground truth of its paper"
    licence = "MIT"
    folder = "sentiment"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        texts, rating = _sentiment.read(self, domain, root)
        return texts, rating.astype(str)
