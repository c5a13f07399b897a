from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import expit, logit
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.ops.logic.clauses import Grounder
from zoo.ops.logic.templates import Instance, amounts, instances, links, rule
from zoo.ops.logic.trees import Pool, Shape, boost, outputs, told
from zoo.ops.logistic import logistic
from zoo.seeds import derive

if TYPE_CHECKING:
    from zoo.task import Task

BASE = 3.0  # a value's base rate is an intercept, and may be as many times further from 0 as any other weight


class SecondOrder(Adapter):
    """Second-order templates (shared neighbour, transitivity, inverse) weighed in the source, a prior for the target.

    Each type-consistent instance of a template in the source's schema gets a weight, by logistic regression on the
    source's examples. What the instances of a template that links the query's arguments weigh together there is
    expected of its instances in the target's schema, in equal parts: the mean of the Gaussian prior of their weights.
    The rival hypothesis is that the source says nothing, mean 0; the two count by how likely they make the target's
    examples.

    Parameters
    ----------
    trust : float
        Probability beforehand that templates weigh in the target what they weigh in the source; 0 is no transfer.
    spread : float
        Standard deviation of a weight around what is expected.
    revision : int
        Trees that are boosted from there on the target's examples, as `rdn_boost`'s.
    tests : float
        Share of the tests that a split of theirs chooses from, drawn anew for each.

    Notes
    -----
    TODTLER weighs every instance alike and DTM takes the best cliques. Equal parts and the rival hypothesis were kept
    after a look at the target accuracy of four pairs: without them a schema of many predicates counts a template often.

    Source: Davis & Domingos (2009) and Van Haaren et al. (2015).
    """

    needs = {"Fs", "Xs", "ys", "Ft", "Xl", "yl"}
    deterministic = False
    cite = "vanhaaren2015todtler"
    space = {"trust": ("uniform", 0, 1), "spread": ("log", 0.1, 3)}

    def __init__(self, trust: float = 0.5, spread: float = 1.0, revision: int = 20, tests: float = 0.15) -> None:
        self.trust, self.spread, self.revision, self.tests = trust, spread, revision, tests

    def fit(self, task: Task) -> SecondOrder:
        Xs, ys, X, y = (a.cpu().numpy() for a in (task.Xs, task.ys, task.Xl, task.yl))
        there = instances(task.Fs, Xs, ys)
        self.templates_ = together(there, amounts(Xs, task.Fs, there), ys, self.spread)
        self.instances_ = instances(task.Ft, X, y)
        parts = Counter(a.template for a in self.instances_)
        expected = np.array([self.templates_.get(a.template, 0.0) / parts[a.template] for a in self.instances_])
        S = amounts(X, task.Ft, self.instances_)
        spread = self.spread * np.where([a.template[0] == "value" for a in self.instances_], BASE, 1.0)
        fits = [logistic(S, y, mean, spread) for mean in (np.zeros_like(expected), expected)]
        self.weights_, self.bias_ = np.stack([w for w, _, _ in fits], 1), np.array([b for _, b, _ in fits])
        odds = np.array([1 - self.trust, self.trust]) * np.exp([e - max(fits[0][2], fits[1][2]) for _, _, e in fits])
        self.belief_ = odds / odds.sum()
        psi = logit(expit(S @ self.weights_ + self.bias_) @ self.belief_)
        pool = Pool(task.Ft, X, lookahead=1, max_values=100)
        self.added_ = boost(pool, y, self.revision, Shape(tests=self.tests), psi, derive("method", task.seed))[1]
        mean = self.weights_ @ self.belief_
        order = np.argsort(-np.abs(mean), kind="stable")
        rules = [{"rule": rule(self.instances_[k], task.Ft), "weight": float(mean[k])} for k in order]
        self.explanation_ = {"rules": rules, "trees": [told(tree, task.Ft) for tree in self.added_]}
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        z = amounts(X.cpu().numpy(), A, self.instances_) @ self.weights_ + self.bias_
        psi = logit(expit(z) @ self.belief_) + outputs(self.added_, Grounder(A), X.cpu().numpy()).sum(1)
        p = torch.as_tensor(expit(psi), dtype=torch.float64, device=X.device)
        return torch.stack([1 - p, p], 1)


def together(asked: list[Instance], S: np.ndarray, y: np.ndarray, spread: float) -> dict[Any, float]:
    """What the instances of each linking template weigh together: their number times their mean by variance."""
    w, found = logistic(S, y, np.zeros(len(asked)), np.full(len(asked), spread))[0], {}
    for template in {a.template for a in asked if links(a)}:
        k = np.flatnonzero([a.template == template for a in asked])
        varying = S[:, k].var(0)
        if varying.any():
            found[template] = float(varying @ w[k] / varying.sum() * np.count_nonzero(varying))
    return found
