from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.feature.ot_emd import OtEmd
from zoo.errors import BadInput
from zoo.ops.transport import Plan, group_lasso

if TYPE_CHECKING:
    from zoo.task import Task


class OtClass(OtEmd):
    """Class-regularised optimal transport: a group lasso keeps source classes from sharing a target sample.

    Minimises ``<P, C> + reg Σ P log P + eta Σ_j Σ_c |P[class c, j]|_2`` by generalised conditional gradient. Held-out
    source samples move by as much as their nearest training sample; target samples stay where they are.

    Parameters
    ----------
    reg : float
        Weight of the entropy, in the unit of `ot_sinkhorn`.
    eta : float
        Weight of the group lasso, in that unit; 0 is `ot_sinkhorn`. POT's default.
    tol : float
        The steps end at this duality gap; also the tolerance of the marginals.
    max_iter : int
        Or after so many steps.

    Below source_only by 7.7 points on amazon_reviews (logistic regression): the plan sees the source's labels only.

    Source: Courty et al. (2017), OT-GL.
    """

    title = "OT (class-regularised)"
    cite = "courty2017optimal"
    tasks = {"classification"}
    space = {"reg": ("log", 1e-2, 1), "eta": ("log", 1e-2, 10)}

    def __init__(self, reg: float = 0.02, eta: float = 0.1, tol: float = 1e-4, max_iter: int = 20) -> None:
        self.reg, self.eta, self.tol, self.max_iter = reg, eta, tol, max_iter

    def plan(self, task: Task, C: Tensor, unit: float) -> Plan:
        if self.reg <= 0 or self.tol <= 0 or self.eta < 0 or self.max_iter < 1:
            got = f"{self.reg}, {self.tol}, {self.eta} and {self.max_iter}"
            raise BadInput(f"ot_class: reg and tol are above 0, eta is at least 0, max_iter at least 1, got {got}")
        Y = one_hot(task.ys, task.n_classes).double()
        plan, self.objective_, self.gap_ = group_lasso(C / unit, Y, self.reg, self.eta, self.tol, self.max_iter)
        return plan

    def fit_map(self, task: Task) -> None:
        super().fit_map(task)
        self.certificate_ |= {"objective": self.objective_, "gap": self.gap_}
