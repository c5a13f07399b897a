from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class Bnm(Validator):
    """Nuclear norm of the target's class scores: sure predictions that span many classes, rare ones counted too.

    Source: Cui et al. 2020, equation 8; Musgrave et al. 2022 ("BNM"). Over its largest value, so that pairs compare.
    """

    needs = {"pt"}
    cite = "cui2020towards"

    def value(self, seen: Seen) -> float:
        return nuclear_norm(seen.pt)


def nuclear_norm(p: np.ndarray) -> float:
    """The sum of singular values of [n, k] scores over √(n min(n, k)), which none exceeds.

    >>> nuclear_norm(np.eye(3)), nuclear_norm(np.full((4, 2), 0.5))
    (1.0, 0.5)
    """
    return float(np.linalg.norm(p, "nuc") / np.sqrt(p.shape[0] * min(p.shape)))
