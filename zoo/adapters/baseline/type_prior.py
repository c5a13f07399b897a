from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.facts import Facts
from zoo.ops.logic.paths import holds, unary, values

if TYPE_CHECKING:
    from zoo.task import Task


def kinds(X: np.ndarray, facts: Facts) -> np.ndarray:
    """What kind of thing each argument of a query is [n, columns].

    The truth of each unary predicate of its type; and itself, where no relation speaks of its type, so that it is a
    value, such as the class of a protein.
    """
    types = facts.types[facts.target]
    columns = [holds(facts, p)[X[:, i]].astype(np.int64) for i, kind in enumerate(types) for p in unary(facts, kind)]
    columns += [X[:, i] for i in values(facts)]
    return np.stack(columns, 1) if columns else np.zeros((len(X), 0), np.int64)


class TypePrior(Adapter):
    """How often the examples with arguments of the same kinds are true: the trivial rule, without any relation.

    The kind of an argument is which unary predicates are true of it (a student, a professor) or, where no relation
    speaks of its type, the constant itself (the class of a protein).

    Parameters
    ----------
    strength : float
        How many examples of the overall frequency are added to each combination of kinds.
    """

    needs = {"Ft", "Xl", "yl"}
    space = {"strength": ("log", 0.1, 10)}

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def fit(self, task: Task) -> TypePrior:
        y = task.yl.cpu().numpy()
        self.prior_ = float(y.mean())
        K, group = np.unique(kinds(task.Xl.cpu().numpy(), task.Ft), axis=0, return_inverse=True)
        true, n = np.bincount(group.ravel(), y, len(K)), np.bincount(group.ravel(), minlength=len(K))
        shares = (true + self.strength * self.prior_) / (n + self.strength)
        self.shares_ = {tuple(k): float(share) for k, share in zip(K.tolist(), shares, strict=True)}
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        known = [self.shares_.get(tuple(k), self.prior_) for k in kinds(X.cpu().numpy(), A).tolist()]
        p = torch.tensor(known, dtype=torch.float64, device=X.device)
        return torch.stack([1 - p, p], 1)
