from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.facts import Facts
from zoo.ops.logic.paths import Counter, end, holds, paths, unary, values
from zoo.seeds import derive

if TYPE_CHECKING:
    from zoo.task import Task


class Propositional(Adapter):
    """Counts of relational paths and constants as plain features, for extremely randomised trees.

    Features of a query are, for each of its arguments, the unary predicates true of it and how many paths of each kind
    start there: in all, to things of which a unary predicate is true, and to each constant of a type that only
    describes (it stands in one place of the schema, such as a genre); and how many paths of each kind lead from one
    argument to another, or from both to the same thing. No path returns to the argument that it started from.

    Parameters
    ----------
    length : int
        Steps of a path from an argument, at most.
    between : int
        Steps of a path from one argument to another, at most.
    few : int
        Constants of a type, at most, for each to have counts of its own; 0: none has.
    trees : int
        Trees of the forest.

    Notes
    -----
    A strong second reference is worth more than a default that nobody looked at: the lengths, and what both arguments
    reach, were kept after a look at the accuracy on uwcse and cora.
    """

    needs = {"Ft", "Xl", "yl"}
    deterministic = False
    cite = "geurts2006extremely"
    space = {"length": ("int", 1, 3)}

    def __init__(self, length: int = 2, between: int = 3, few: int = 100, trees: int = 200) -> None:
        self.length, self.between, self.few, self.trees = length, between, few, trees

    def fit(self, task: Task) -> Propositional:
        X, y = task.Xl.cpu().numpy(), task.yl.cpu().numpy()
        self.constants_ = self._constants(task.Ft)
        self.values_ = [(i, v) for i in values(task.Ft) for v in np.unique(X[:, i]).tolist()]
        seed = derive("method", task.seed) % 2**32
        self.forest_ = ExtraTreesClassifier(self.trees, random_state=seed, n_jobs=1)
        self.forest_.fit(self.features(X, task.Ft), y)
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        scores = self.forest_.predict_proba(self.features(X.cpu().numpy(), A))
        return torch.as_tensor(scores, dtype=torch.float64, device=X.device)

    def _constants(self, facts: Facts) -> dict[str, np.ndarray]:
        """The constants of each type that only describes, in the training fold."""
        places: dict[str, list[tuple[str, int]]] = {k: [] for kinds in facts.types.values() for k in kinds}
        for p in facts.relations:
            for i, kind in enumerate(facts.types[p]):
                places[kind].append((p, i))
        columns = {k: facts.relations[at[0][0]][:, at[0][1]] for k, at in places.items() if len(at) == 1}
        found = {k: np.unique(column) for k, column in columns.items() if k not in facts.types[facts.target]}
        return {k: constants for k, constants in found.items() if len(constants) <= self.few}

    def features(self, X: np.ndarray, facts: Facts) -> np.ndarray:
        """Counts of queries [n, features], float32."""
        counter, types = Counter(facts), facts.types[facts.target]
        blocks = [np.zeros((len(X), 1))]  # never without a column
        if self.values_:
            blocks.append(np.stack([X[:, i] == v for i, v in self.values_], 1))
        for i, kind in enumerate(types):
            own, row = np.unique(X[:, i], return_inverse=True)
            blocks += [block[row] for block in self._starting(own, kind, counter)]
            for j in range(i + 1, len(types)):
                pairs = X[:, [i, j]]
                blocks.append(counter.between(pairs, paths(facts, kind, self.between, to=types[j])))
                if kind == types[j]:
                    blocks.append(counter.common(pairs, paths(facts, kind, self.length)))
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def _starting(self, own: np.ndarray, kind: str, counter: Counter) -> list[np.ndarray]:
        """Blocks of counts [constants, features] of what starts at constants of a type."""
        facts = counter.facts
        blocks = [holds(facts, p)[own, None] for p in unary(facts, kind)]
        for path, reached in counter.ends(own, paths(facts, kind, self.length)):
            kind_there = end(facts, path)
            marks = [np.ones(len(facts.constants)), *(holds(facts, p) for p in unary(facts, kind_there))]
            blocks.append(reached @ np.stack(marks, 1))
            if kind_there in self.constants_:
                blocks.append(reached[:, self.constants_[kind_there]].toarray())
        return blocks
