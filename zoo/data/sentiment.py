from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _sentiment
from zoo.data.base import Dataset

CLEAR = 0.5  # a rating beyond this is positive or negative; the others are left out


class Sentiment(Dataset):
    """Sentences of four kinds, positive or negative by the mean of 20 ratings; what is rated near 0 is left out."""

    domains = ("tweets", "movies", "products", "editorials")
    kind = "text"
    cite = "hutto2014vader"
    origin = "github.com/cjhutto/vaderSentiment, the ground truth of its paper"
    licence = "MIT"
    folder = "sentiment"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        texts, rating = _sentiment.read(self, domain, root)
        clear = abs(rating) > CLEAR
        return texts[clear], np.where(rating[clear] > 0, "positive", "negative")
