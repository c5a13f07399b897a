from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class Rankme(Validator):
    """Effective rank of the target's features: whether a representation has collapsed. It knows nothing of classes.

    Source: Garrido et al. 2023, equation 1 (made for self-supervised networks).
    """

    needs = {"zt"}
    cite = "garrido2023rankme"

    def value(self, seen: Seen) -> float:
        return effective_rank(seen.zt)


def effective_rank(z: np.ndarray) -> float:
    """exp of the entropy of the singular values over their sum.

    >>> effective_rank(np.eye(5)), effective_rank(np.ones((5, 3)))
    (5.0, 1.0)
    """
    values = np.linalg.svd(z.astype(np.float64), compute_uv=False)
    total = float(values.sum())
    return float(np.exp(entr(values / total).sum())) if total > 0 else float("nan")
