from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.adapters.base import DeepAdapter
from zoo.ops.mmd import mmd2, multi_gaussian
from zoo.ops.precision import scored

if TYPE_CHECKING:
    from zoo.train import Batch


class Dan(DeepAdapter):
    """DAN: the penalty is the multi-kernel MMD between source and target, of the features and of the class scores.

    The kernel is the sum of five, as in the authors' code. The estimate is of all pairs and unbiased, where that code
    has the linear-time one. Source and target pass the network together, as there.

    Parameters
    ----------
    weight : float
        Multiple of the penalty.
    scores : bool
        Align the class scores as well, the last of the layers that Long et al. (2015) adapt.
    """

    forward = "joint"
    title = "DAN"
    cite = "long2015learning"
    tasks = {"classification", "regression"}
    space = {"weight": ("log", 0.1, 10)}

    def __init__(self, weight: float = 1.0, scores: bool = True) -> None:
        self.weight, self.scores = weight, scores

    def omega(self, b: Batch) -> Tensor:
        loss = mmd2(multi_gaussian(torch.cat([b.zs, b.zt])), len(b.zs))
        if self.scores and b.ls.shape[1] > 1:  # in regression there are none
            loss = loss + mmd2(multi_gaussian(scored(torch.cat([b.ls, b.lt]))), len(b.ls))
        return self.weight * loss
