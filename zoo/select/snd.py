from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr, softmax

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen

TEMPERATURE = 0.05  # the paper's
BLOCK = 1024  # rows of the similarity matrix at a time


class Snd(Validator):
    """Soft neighbourhood density: how many neighbours a target sample has in the space of its class scores.

    A method that puts all samples into one class has the densest neighbourhoods.

    Source: Saito et al. 2021, equations 1 to 4, temperature 0.05, on softmax outputs as they do.
    """

    needs = {"pt"}
    cite = "saito2021tune"

    def value(self, seen: Seen) -> float:
        return neighbourhood_density(seen.pt)


def neighbourhood_density(p: np.ndarray, temperature: float = TEMPERATURE) -> float:
    """Mean entropy of the softmax over the cosine similarities to all other samples.

    >>> neighbourhood_density(np.eye(2)[[0, 0, 0, 1, 1, 1]])  # each has two neighbours: log 2
    0.69315
    """
    unit = p / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), 1e-12)
    total = 0.0
    for start in range(0, len(p), BLOCK):
        similar = unit[start : start + BLOCK] @ unit.T / temperature
        rows = np.arange(len(similar))
        similar[rows, start + rows] = -np.inf  # a sample is none of its neighbours
        total += float(entr(softmax(similar, axis=1)).sum())
    return total / len(p)
