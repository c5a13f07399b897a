from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.logic import Grounder
from zoo.ops.relational_trees import Pool, boost, outputs, told

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
        min_leaf: int = 1,
        lookahead: int = 2,
        max_values: int = 50,
    ) -> None:
        self.trees, self.max_leaves, self.max_depth = trees, max_leaves, max_depth
        self.min_leaf, self.lookahead, self.max_values = min_leaf, lookahead, max_values

    def fit(self, task: Task) -> RdnBoost:
        if min(self.trees, self.max_leaves, self.min_leaf, self.lookahead) < 1:
            raise BadInput("rdn_boost: trees, max_leaves, min_leaf and lookahead are at least 1")
        pool = Pool(task.Ft, task.Xl.numpy(force=True), self.lookahead, self.max_values)
        shape = {"max_leaves": self.max_leaves, "max_depth": self.max_depth, "min_leaf": self.min_leaf}
        self.prior_, self.trees_ = boost(pool, task.yl.numpy(force=True), self.trees, **shape)
        self.explanation_ = {"trees": [told(tree, task.Ft) for tree in self.trees_]}
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        psi = self.prior_ + outputs(self.trees_, Grounder(A), X.numpy(force=True)).sum(1)
        psi = torch.as_tensor(psi, dtype=torch.float64, device=X.device)
        return torch.stack([torch.sigmoid(-psi), torch.sigmoid(psi)], 1)
