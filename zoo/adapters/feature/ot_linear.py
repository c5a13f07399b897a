from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.transport import monge

if TYPE_CHECKING:
    from zoo.task import Task


class OtLinear(Mapping):
    """Linear Monge map: the affine map of least cost that gives the source the target's mean and covariance.

    Held-out source samples are mapped too; target samples stay where they are.

    Parameters
    ----------
    reg : float
        Added to the diagonals of both covariances, in units of their mean variance. With 0 the moments become equal,
        in the directions where the source varies. The default is CORAL's on z-scored features, where the covariances
        are those of few samples in many dimensions; POT's 1e-6 is for many samples.

    Source: Flamary et al. (2019).
    """

    title = "OT (linear)"
    cite = "flamary2019concentration"
    space = {"reg": ("log", 1e-3, 10)}

    def __init__(self, reg: float = 1.0) -> None:
        self.reg = reg

    def fit_map(self, task: Task) -> None:
        if self.reg < 0:
            raise BadInput(f"ot_linear: reg is at least 0, got {self.reg}")
        self.map_, self.from_, self.to_ = monge(task.Xs, task.Xt, self.reg)

    def source(self, X: Tensor) -> Tensor:
        return ((X.double() - self.from_) @ self.map_ + self.to_).to(X.dtype)
