from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen

ORDER, THRESHOLD = 4, 5.0  # the paper's p and η


class Mano(Validator):
    """Matrix norm of normalised logits: how far they keep from the class boundaries, damped where they are unsure.

    Source: Xie et al. 2024, equations 4 to 6. Logits are known here up to a number a row (log scores), and are centred:
    the softmax does not see that number, the Taylor polynomial does.
    """

    needs = {"pt"}
    cite = "xie2024mano"

    def value(self, seen: Seen) -> float:
        return matrix_norm(seen.pt)


def matrix_norm(p: np.ndarray) -> float:
    """(mean of σ(q)^4)^(1/4): σ the softmax where the mean cross-entropy of uniform labels exceeds 5, else Taylor's.

    >>> matrix_norm(np.array([[0.5, 0.5]])), matrix_norm(np.array([[1 - 1e-9, 1e-9]]))
    (0.5, 0.8409)
    """
    q = np.log(np.maximum(p, np.finfo(np.float32).tiny))
    q -= q.mean(1, keepdims=True)
    top = q.max(1, keepdims=True)
    criterion = float((np.log(np.exp(q - top).sum(1)) + top[:, 0]).mean())  # log Σ exp q − mean q
    if criterion > THRESHOLD:
        normal = np.exp(q - top)
        normal /= normal.sum(1, keepdims=True)
    else:
        normal = 1 + q + q**2 / 2
        normal -= normal.min(1, keepdims=True)
        total = normal.sum(1, keepdims=True)
        normal = np.where(total > 0, normal / np.where(total > 0, total, 1), 1 / p.shape[1])
    return float((normal**ORDER).mean() ** (1 / ORDER))
