from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter
from zoo.ops.mmd import mmd2, multi_gaussian
from zoo.ops.precision import scored

if TYPE_CHECKING:
    from zoo.train import Batch


class Jan(DeepAdapter):
    """JAN: the penalty is the MMD of features and class scores jointly, under the product of their kernels.

    Features have the multi-kernel of `dan`, a sum of five, scores the authors' one of fixed width. Source and target
    pass the network together, as in the authors' code. The penalty is of all pairs, not the linear-time estimate.

    Parameters
    ----------
    weight : float
        Multiple of the penalty.
    width : float
        The kernel of the scores is ``exp(-d² / width)``; the authors' code has 1.68.

    Source: Long et al. (2017), eq. 9 and 10.
    """

    forward = "joint"
    title = "JAN"
    cite = "long2017deep"
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, width: float = 1.68) -> None:
        self.weight, self.width = weight, width

    def omega(self, b: Batch) -> Tensor:
        features = multi_gaussian(torch.cat([b.zs, b.zt]))
        scores = multi_gaussian(scored(torch.cat([b.ls, b.lt])), gamma=1 / self.width, kernels=1)
        return self.weight * mmd2(features * scores, len(b.zs))
