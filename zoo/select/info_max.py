from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

from zoo.select.base import Validator
from zoo.select.entropy import mean_entropy

if TYPE_CHECKING:
    from zoo.select.base import Seen


class InfoMax(Validator):
    """Mutual information of target samples and predictions: sure of each, and of many classes over all.

    It asks for classes of equal size, and so fails where the target's are not.

    Source: Shi and Sha 2012, equation 7; Musgrave et al. 2022 ("IM").
    """

    needs = {"pt"}
    cite = "shi2012information"

    def value(self, seen: Seen) -> float:
        return mutual_information(seen.pt)


def mutual_information(p: np.ndarray) -> float:
    """Entropy of the mean row less the mean entropy of rows.

    >>> mutual_information(np.eye(4))  # log 4
    1.38629
    """
    return float(entr(p.mean(0)).sum()) - mean_entropy(p)
