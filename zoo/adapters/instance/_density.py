"""What the ratios of two estimated densities have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.densities import Principal, principal
from zoo.ops.ratios import ess, temper

if TYPE_CHECKING:
    from zoo.task import Task


class Density(Reweighting):
    """A ratio of densities on `k` principal components, flattened where its effective sample size is too small."""

    cite = "shimodaira2000improving"

    def __init__(self, k: int = 20, ess: float = 0.3, how: str = "weight") -> None:
        self.k, self.ess, self.how = k, ess, how

    def log_ratio(self, P: Principal) -> Tensor:
        """Its logarithm at the source rows."""
        raise NotImplementedError

    def weights(self, task: Task) -> Tensor:
        if self.k < 1 or not 0 <= self.ess <= 1:
            name = type(self).__module__.rpartition(".")[2]
            raise BadInput(f"{name}: k is at least 1 and ess in [0, 1], got {self.k} and {self.ess}")
        w, power = temper(self.log_ratio(task.shared(principal, "Xs", "Xt", k=self.k)), self.ess)
        self.certificate_ = {"ess": ess(w), "power": power, "max": float(w.max())}
        return w
