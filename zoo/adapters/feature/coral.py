from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.coral import coral
from zoo.ops.subspaces import spectrum

if TYPE_CHECKING:
    from zoo.task import Task


class Coral(Mapping):
    """CORAL: maps the source so that its covariance is the target's, ``Xs (Cs + reg)^-½ (Ct + reg)^½``.

    Parameters
    ----------
    reg : float
        Added to both diagonals; 1 is the authors'. With 0 the covariances become equal, in the directions where the
        source varies.
    centre : bool
        Map the source around its mean, and put it around the target's: the paper's features have mean 0 and variance 1
        in each domain, where this changes nothing. Without it the map turns the source's mean as well, to no place in
        particular. Where class priors differ between the domains, means differ for that reason too, and centring
        costs.

    Source: Sun et al. (2016), algorithm 1.
    """

    title = "CORAL"
    cite = "sun2016return"
    space = {"reg": ("log", 1e-3, 10)}

    def __init__(self, reg: float = 1.0, centre: bool = True) -> None:
        self.reg, self.centre = reg, centre

    def fit_map(self, task: Task) -> None:
        if self.reg < 0:
            raise BadInput(f"coral: reg is at least 0, got {self.reg}")
        self.from_, self.to_ = task.shared(spectrum, "Xs"), task.shared(spectrum, "Xt")

    def source(self, X: Tensor) -> Tensor:
        return coral(X.flatten(1), self.from_, self.to_, self.reg, centre=self.centre).to(X.dtype)
