from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.joint import components, joint_rows, mmd_root, unit_rows

if TYPE_CHECKING:
    from zoo.task import Task


class Bda(Mapping):
    """Balanced distribution adaptation: a projection that aligns marginals and class-conditionals, mu between them.

    Linear kernel. Pseudo-labels come from the base classifier on the projected source, until none changes. New points
    are projected.

    Parameters
    ----------
    k : int
        Dimensions; 30 is the default of the authors' code.
    reg : float
        The papers' lambda.
    mu : float
        Weight of the conditional terms, (1 - mu) C of the marginal one for C classes, as in the authors' code: 0.5, its
        default, is jda. In the paper's equation it is 1 - mu.
    T : int
        Largest number of iterations.
    l2 : bool
        Rows to length 1 before and after the projection, as the authors' code does; otherwise features are divided by
        the root of their mean variance, so that reg does not see their units.

    Source: Wang et al. (2017), equation 7, unweighted variant, and their BDA.py: directions of length 1.
    Office-Caltech SURF, 12 pairs, transductive, 1-NN: 47.0 %.
    """

    title = "BDA"
    cite = "wang2017balanced"
    tasks = {"classification"}
    space = {"k": ("int", 10, 200), "reg": ("log", 1e-2, 10), "mu": ("uniform", 0, 1)}

    def __init__(self, k: int = 30, reg: float = 1.0, mu: float = 0.5, T: int = 10, l2: bool = True) -> None:
        self.k, self.reg, self.mu, self.T, self.l2 = k, reg, mu, T, l2

    def balance(self, n_classes: int) -> tuple[float, float]:
        """Factors of the marginal and of each conditional term; the marginal one counts C times, as in their code."""
        if not 0 <= self.mu <= 1:
            raise BadInput(f"bda: mu is between 0 and 1, got {self.mu}")
        return n_classes * (1 - self.mu), self.mu

    def fit_map(self, task: Task) -> None:
        if self.k < 1 or self.reg <= 0 or self.T < 1:
            raise BadInput(
                f"{type(self).__name__.lower()}: k and T are at least 1, reg above 0, "
                f"got {self.k}, {self.T} and {self.reg}"
            )
        balance = self.balance(task.n_classes)
        rows = task.shared(joint_rows, "Xs", "Xt", unit=float(self.l2))
        if not len(rows.scatter):
            raise FloatingPointError("all samples of both domains are equal")
        yt = None
        for step in range(self.T):
            E = mmd_root(task.ys, yt, len(task.Xt), task.n_classes, *balance)
            found = rows.basis @ components(rows, E, self.k, self.reg)
            self.map_: Tensor = found / found.norm(dim=0)
            model = task.learner.fit(self.source(task.Xs), task.ys, task.n_classes)
            new = model.predict(self.target(task.Xt)).argmax(1)
            changed = len(new) if yt is None else int((new != yt).sum())
            self.certificate_ = {"iterations": step + 1.0, "changed": float(changed)}
            if not changed:
                break
            yt = new

    def source(self, X: Tensor) -> Tensor:
        Z = (unit_rows(X) if self.l2 else X.flatten(1).double()) @ self.map_
        return (unit_rows(Z) if self.l2 else Z).to(X.dtype)

    target = source
