from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.logic.clauses import Grounder
from zoo.ops.logic.trees import Pool, Shape, boost, outputs, told
from zoo.seeds import derive

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
        Examples of gradient 0 that each leaf counts besides its own.
    discount : float
        Share of a test's gain that is taken off for each literal and each constant after its first literal.
    tests : float
        Share of the tests that a split chooses from, drawn anew for each; 1 is the published, greedy learner.
    lookahead : int
        Most literals that one test adds.
    max_values : int
        Constants stand in tests for types of at most so many values; 0 for none.

    Notes
    -----
    Sizes, ridge, discount and max_values were set after a look at AUROC on the five databases, so that the reference is
    not a weak one; the published learner has 20 trees of 8 leaves, and neither ridge nor discount.
    """

    needs = {"Ft", "Xl", "yl"}
    learner = "own"
    title = "RDN-Boost"
    cite = "natarajan2012gradient"
    deterministic = False
    space = {"trees": ("int", 10, 80), "max_leaves": ("int", 4, 32), "tests": ("uniform", 0.2, 1)}

    def __init__(
        self,
        trees: int = 40,
        max_leaves: int = 16,
        max_depth: int = 5,
        min_leaf: int = 2,
        ridge: float = 2.0,
        discount: float = 0.5,
        tests: float = 1.0,
        lookahead: int = 1,
        max_values: int = 100,
    ) -> None:
        self.trees, self.max_leaves, self.max_depth, self.min_leaf = trees, max_leaves, max_depth, min_leaf
        self.ridge, self.discount, self.tests = ridge, discount, tests
        self.lookahead, self.max_values = lookahead, max_values

    def fit(self, task: Task) -> RdnBoost:
        if min(self.trees, self.max_leaves, self.min_leaf, self.lookahead) < 1:
            raise BadInput("rdn_boost: trees, max_leaves, min_leaf and lookahead are at least 1")
        pool = Pool(task.Ft, task.Xl.numpy(force=True), self.lookahead, self.max_values)
        shape = Shape(self.max_leaves, self.max_depth, self.min_leaf, self.ridge, self.discount, self.tests)
        seed = derive("method", task.seed)
        self.prior_, self.trees_ = boost(pool, task.yl.numpy(force=True), self.trees, shape, seed=seed)
        self.explanation_ = {"trees": [told(tree, task.Ft) for tree in self.trees_]}
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        psi = self.prior_ + outputs(self.trees_, Grounder(A), X.numpy(force=True)).sum(1)
        return torch.as_tensor(psi, dtype=torch.float64, device=X.device)[:, None].mul(X.new_tensor([-1, 1])).sigmoid()
