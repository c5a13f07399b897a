"""The protocol `folds`: train on one fold of the target's database, test on each of the others, in turn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from zoo.bench.metrics import of_facts
from zoo.bench.protocol import Data, Round
from zoo.bench.suite import Suite, origins
from zoo.errors import BadInput
from zoo.facts import Database, Facts, Fold


@dataclass(frozen=True)
class FoldsPair:
    """A pair at a seed; the interface of `zoo.bench.protocol.Pair`.

    ``y_test`` and ``groups`` run over the test rows of all rounds: a group is one test fold of one round.
    """

    fields: dict[str, object]
    folds: tuple[Round, ...]
    y_test: np.ndarray
    groups: np.ndarray
    rows: dict[str, np.ndarray]

    def n_rounds(self, oracle: bool) -> int:
        """One for each fold that is trained on."""
        return len(self.folds)

    def round(self, i: int, oracle: bool) -> Round:
        """Training on the i-th fold."""
        return self.folds[i]

    def gathered(self, scores: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The scores of all rounds, one test fold after another."""
        return {"test": np.concatenate([part for by_name in scores for part in by_name.values()])}

    def metrics(self, scores: np.ndarray) -> dict[str, float | None]:
        """Metrics of each test fold of each round, averaged."""
        return of_facts(scores, self.y_test, self.groups)


class Folds:
    """Training folds and labelled draws of one suite over databases."""

    def __init__(self, suite: Suite, data: Data) -> None:
        self.suite, self.data = suite, data
        self._pairs = lru_cache(maxsize=6)(self._pair)
        self._sources = lru_cache(maxsize=16)(self._source)

    def pair(self, source: str | None, target: str, seed: int, base: bool = False) -> FoldsPair:
        """A pair at a seed."""
        return self._pairs(source, target, seed)

    def _pair(self, source: str | None, target: str, seed: int) -> FoldsPair:
        shared = self._sources(source, seed) if source else {}
        folds = self.data.domains[target].folds
        rounds, y, groups = [], [], []
        for i, fold in enumerate(folds):
            rows = self._draw(target, fold, seed, self.suite.examples)
            others = [other for j, other in enumerate(folds) if j != i]
            fields = {**shared, "Ft": fold.facts, "Xl": fold.X[rows], "yl": fold.y[rows]}
            names = [f"test {other.name}" for other in others]
            context = {name: other.facts for name, other in zip(names, others, strict=True)}
            rounds.append(Round(fields, {n: other.X for n, other in zip(names, others, strict=True)}, context))
            y += [other.y for other in others]
            groups += [np.full(len(other.y), i * len(folds) + j) for j, other in enumerate(others)]
        labels = np.concatenate(y)
        where = {"test": np.arange(len(labels))}
        return FoldsPair(rounds[0].fields, tuple(rounds), labels, np.concatenate(groups), where)

    def _source(self, source: str, seed: int) -> dict[str, object]:
        """All folds of the source together, with all its positives and the suite's ratio of negatives."""
        folds = self.data.domains[source].folds
        rows = [self._draw(source, fold, seed, 0) for fold in folds]
        return {
            "Fs": merged([fold.facts for fold in folds]),
            "Xs": np.concatenate([fold.X[r] for fold, r in zip(folds, rows, strict=True)]),
            "ys": np.concatenate([fold.y[r] for fold, r in zip(folds, rows, strict=True)]),
        }

    def _draw(self, name: str, fold: Fold, seed: int, examples: int) -> np.ndarray:
        """Rows, in order, of some positives of a fold (0: all) and ``negative_ratio`` negatives for each."""
        rng = self.data.domains[name].secret.generator("examples", fold.name, seed)
        positive, negative = (rng.permutation(np.flatnonzero(fold.y == label)) for label in (1, 0))
        positive = positive[: examples or None]
        return np.sort(np.concatenate([positive, negative[: self.suite.negative_ratio * len(positive)]]))


def load(suite: Suite, pairs: list[tuple[str, str]], names: list[str], root: Path | None) -> Data:
    """Load the databases of the pairs.

    Raises
    ------
    BadInput
        Whatever is wrong in a file; a database of one fold; several sources; fewer positives than ``examples: N``.
    """
    databases: dict[str, Database] = {name: suite.source.load(name, root) for name in names}  # type: ignore[misc]
    for name, database in databases.items():
        where = f"{suite.dataset}: domain {name}"
        if len(database.folds) < 2:
            raise BadInput(f"{where}: one fold only: one is trained on, the others are tested on; give two or more")
        for fold in database.folds:
            if (n := int(fold.y.sum())) < suite.examples and any(name == target for _, target in pairs):
                raise BadInput(f"examples: {suite.examples}: {where}: fold {fold.name} has {n} positives")
    for source, target in pairs:
        if len(origins(source)) > 1:
            raise BadInput(f"pair '{source}:{target}': a relational source is one database")
    return Data(databases, ["false", "true"])


def merged(parts: list[Facts]) -> Facts:
    """Several folds of a database as one: its constants are shared, and so are the types."""
    first = parts[0]
    relations = {
        name: np.unique(np.concatenate([p.relations[name] for p in parts]), axis=0) for name in first.relations
    }
    return Facts(first.target, relations, first.types, first.constants)
