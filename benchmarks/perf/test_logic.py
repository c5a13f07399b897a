"""Grounding and boosting on the relational databases: literals a second, and 40 trees on any fold.

``ZOO_DATA=... pytest benchmarks/perf/test_logic.py -s``. A literal counts once for each query that it is evaluated on.
Training is of `rdn_boost` as it stands, all positives of a fold and two negatives for each; CPU seconds of one thread.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.adapters.relational.rdn_boost import RdnBoost
from zoo.data.relational import ASKED, Relational
from zoo.learners import Learner
from zoo.ops.logic.clauses import Grounder, paths, refinements, values_of
from zoo.task import Task
from zoo.train import Budget

LIMIT, LIMIT_LITERALS = 145.0, 14.5  # yardsticks: 10 s, and 1 s for 100,000 literals


@pytest.fixture(scope="module", params=list(ASKED))
def database(request):
    root = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "relational").is_dir():
        pytest.skip("no relational databases: set ZOO_DATA")
    return Relational().load(request.param, root)


def draw(fold, ratio=2):
    positive, negative = (np.flatnonzero(fold.y == label) for label in (1, 0))
    rows = np.concatenate([positive, negative[: ratio * len(positive)]])
    return fold.X[rows], fold.y[rows]


def test_literals(database, figure, yardstick):
    fold = database.folds[0]
    X, _ = draw(fold)
    found = [*refinements(fold.facts, values_of(fold.facts, X, 100), 2), *paths(fold.facts, 4)]
    start = time.process_time()
    Grounder(fold.facts).satisfied(X, found)
    taken = time.process_time() - start
    n = sum(map(len, found)) * len(X)
    print(f"\n{database.name}: {len(found)} tests on {len(X)} queries, {n / taken:,.0f} literals a second")
    figure(taken / n * 1e5 / yardstick, LIMIT_LITERALS, "100,000 literals")


def test_training(database, figure, yardstick):
    torch.set_num_threads(1)
    slowest = 0.0
    for fold in database.folds:
        X, y = draw(fold)
        fields = {"Ft": fold.facts, "Xl": torch.as_tensor(X), "yl": torch.as_tensor(y)}
        learner = Learner(base="logistic", net="mlp", budget=Budget(), seed=0)
        task = Task(fields, needs=fields, learner=learner, n_classes=2)
        start = time.process_time()
        method = RdnBoost().fit(task)
        slowest = max(slowest, time.process_time() - start)
    print(f"\n{database.name}: {method.trees} trees on the slowest fold in {slowest:.1f} s")
    figure(slowest / yardstick, LIMIT, "training")
