from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import torch
from scipy.special import logit
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import Unsupported
from zoo.ops.logic.clauses import Grounder
from zoo.ops.logic.mapping import SWAP, Search, carry, inverted
from zoo.ops.logic.trees import Pool, Shape, boost, learnt, outputs, told
from zoo.seeds import derive

if TYPE_CHECKING:
    from zoo.task import Task


class PredicateMapping(Adapter):
    """The source's boosted trees under the best type-consistent mapping of predicates, then revised on the target.

    Not TreeBoostler itself, after which it is made; it differs in three things. The search: one mapping for all trees,
    by the likelihood of the target's examples and by how predicates resemble each other, where TreeBoostler maps
    predicates greedily as it comes by them, node by node, by the split's variance. What has no image: the weighted mean
    of both branches stands for its test, where TreeBoostler drops one branch and grafts the other. Revision: leaves are
    estimated anew, branches that do worse than a leaf pruned, and `more` trees added, where TreeBoostler expands and
    prunes at the revision points that it proposes.

    Parameters
    ----------
    trees, more : int
        Trees of the source, and new ones that revision adds on the target.
    weight : float
        Target examples that a source leaf's value counts for.
    max_leaves, max_depth, min_leaf, ridge, discount, tests, lookahead, max_values
        As of `rdn_boost`, whose `tests` of 0.15 is as good; the source's tests have no constants, which the target does
        not share.
    negatives : float
        Most false source atoms used, for each true one.
    atoms : int
        Most true source atoms used.

    Source: Azevedo Santos et al. (2020), TreeBoostler, with the differences above.
    """

    needs = {"Fs", "Xs", "ys", "Ft", "Xl", "yl"}
    learner = "own"
    deterministic = False
    cite = "azevedo2020boosted"
    space = {"weight": ("log", 1, 100), "more": ("int", 0, 40)}

    def __init__(
        self,
        trees: int = 20,
        more: int = 20,
        weight: float = 10.0,
        max_leaves: int = 8,
        max_depth: int = 3,
        min_leaf: int = 2,
        ridge: float = 2.0,
        discount: float = 0.5,
        tests: float = 0.15,
        lookahead: int = 1,
        max_values: int = 100,
        negatives: float = 2.0,
        atoms: int = 300,
    ) -> None:
        self.trees, self.more, self.weight, self.negatives = trees, more, weight, negatives
        self.atoms = atoms
        self.max_leaves, self.max_depth, self.min_leaf, self.ridge = max_leaves, max_depth, min_leaf, ridge
        self.discount, self.tests = discount, tests
        self.lookahead, self.max_values = lookahead, max_values

    def fit(self, task: Task) -> PredicateMapping:
        Xl, yl = task.Xl.numpy(force=True), task.yl.numpy(force=True)
        if task.Xs.shape[1] != Xl.shape[1]:
            raise Unsupported(f"{task.Fs.target} and {task.Ft.target} differ in arity")
        shape = Shape(self.max_leaves, self.max_depth, self.min_leaf, self.ridge, self.discount, self.tests)
        size = {"trees": self.trees, "atoms": self.atoms, "negatives": self.negatives, "lookahead": self.lookahead}
        source = task.shared(learnt, "Fs", "Xs", "ys", **size, shape=shape)
        self.prior_ = float(logit((yl.sum() + 0.5) / (len(yl) + 1)))
        found = None
        for order in permutations(range(Xl.shape[1])):
            search = Search(task.Fs, task.Ft, source, Xl, yl, order, self.prior_)
            if search.kinds({}) is not None:
                score, mapping = search.best()
                score -= SWAP * (order != tuple(sorted(order)))
                if found is None or score > found[0]:
                    found = score, mapping, search
        if found is None:
            raise Unsupported(f"the types of {task.Fs.target} contradict those of {task.Ft.target}")
        _, mapping, search = found
        moved, psi = carry(search, mapping, self.weight)
        pool, seed = Pool(task.Ft, Xl, self.lookahead, self.max_values), derive("method", task.seed)
        new = boost(pool, yl, self.more, shape, psi, seed)[1]
        self.trees_ = [*moved, *new]
        self.explanation_ = {
            "mapping": [
                {
                    "source": p,
                    "target": mapping[p].predicate if p in mapping else None,
                    "inverted": p in mapping and inverted(mapping[p]),
                    "sign": mapping[p].sign if p in mapping else 1,
                    "score": search.score(mapping) - search.score({q: m for q, m in mapping.items() if q != p}),
                }
                for p in search.predicates
            ],
            "trees": [told(tree, task.Ft) for tree in self.trees_],
        }
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        psi = self.prior_ + outputs(self.trees_, Grounder(A), X.numpy(force=True)).sum(1)
        return torch.as_tensor(psi, dtype=torch.float64, device=X.device)[:, None].mul(X.new_tensor([-1, 1])).sigmoid()
