from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.select.base import Validator

if TYPE_CHECKING:
    from zoo.select.base import Seen


class CorrC(Validator):
    """Class correlation: the cosine of the matrix of class-class correlations of target scores and the identity.

    Source: Tu et al. 2023 ("SoftmaxCorr"), section 3, with classes of equal size as the reference. Higher is better, as
    there; the code of MixVal, which has it among its rivals, takes the lower one.
    """

    needs = {"pt"}
    cite = "tu2023assessing"

    def value(self, seen: Seen) -> float:
        return class_correlation(seen.pt)


def class_correlation(p: np.ndarray) -> float:
    """trace(C) / (‖C‖ √k) with C = pᵀp / n, between 1/√k and 1.

    >>> class_correlation(np.eye(4)), class_correlation(np.full((3, 4), 0.25))
    (1.0, 0.5)
    """
    C = p.T @ p / len(p)
    return float(np.trace(C) / (np.linalg.norm(C) * np.sqrt(p.shape[1])))
