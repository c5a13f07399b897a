from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.logic import Grounder
from zoo.ops.relational_trees import Pool, Shape, boost, outputs, told

if TYPE_CHECKING:
    from zoo.task import Task


class RdnBoost(Adapter):
    """Boosted relational regression trees from scratch on the labelled target atoms: the reference of facts.

    Parameters
    ----------
    trees : int
        How many are added up.
    max_leaves, max_depth : int
        Of each tree.
    min_leaf : int
        Fewest examples of a leaf.
    ridge : float
        Examples of gradient 0 that each leaf counts besides its own. It, min_leaf and max_values were set after a look
        at AUROC on the five databases; the published learner has none of it.
    lookahead : int
        Most literals that one test adds.
    max_values : int
        Constants stand in tests for types of at most so many values; 0 for none.
    """

    needs = {"Ft", "Xl", "yl"}
    learner = "own"
    cite = "natarajan2012gradient"
    space = {"trees": ("int", 5, 40), "max_leaves": ("int", 4, 16)}

    def __init__(
        self,
        trees: int = 20,
        max_leaves: int = 8,
        max_depth: int = 3,
        min_leaf: int = 2,
        ridge: float = 2.0,
        lookahead: int = 2,
        max_values: int = 100,
    ) -> None:
        self.trees, self.max_leaves, self.max_depth = trees, max_leaves, max_depth
        self.min_leaf, self.ridge, self.lookahead, self.max_values = min_leaf, ridge, lookahead, max_values

    def fit(self, task: Task) -> RdnBoost:
        if min(self.trees, self.max_leaves, self.min_leaf, self.lookahead) < 1:
            raise BadInput("rdn_boost: trees, max_leaves, min_leaf and lookahead are at least 1")
        pool = Pool(task.Ft, task.Xl.numpy(force=True), self.lookahead, self.max_values)
        shape = Shape(self.max_leaves, self.max_depth, self.min_leaf, self.ridge)
        self.prior_, self.trees_ = boost(pool, task.yl.numpy(force=True), self.trees, shape)
        self.explanation_ = {"trees": [told(tree, task.Ft) for tree in self.trees_]}
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        psi = self.prior_ + outputs(self.trees_, Grounder(A), X.numpy(force=True)).sum(1)
        return torch.as_tensor(psi, dtype=torch.float64, device=X.device)[:, None].mul(X.new_tensor([-1, 1])).sigmoid()
