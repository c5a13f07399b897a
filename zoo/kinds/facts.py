"""Facts: databases of folds. One fold of the target's database is trained on and each of the others tested, in turn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.facts import Database, Fold
from zoo.facts import Facts as Evidence
from zoo.kinds import base
from zoo.kinds.base import Data, Draws, Kind, Round, needed, origins
from zoo.kinds.scores import metrics

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.discover import MethodInfo


class Facts(Kind):
    """Databases of facts over constants; samples are query atoms, which are true or false."""

    protocols = ("folds",)
    reference = "rdn_boost"
    learners = False
    metric = "auroc"
    gives = frozenset({"Xs", "ys", "Xl", "yl", "Fs", "Ft"})
    nouns = ("Fs", "Ft")
    keys = frozenset({"examples", "negative_ratio"})

    def check(self, suite: Suite) -> None:
        super().check(suite)
        if suite.labels:
            raise BadInput(
                f"labels: {suite.labels}: of facts say examples: N, the positives of the fold that is trained on"
            )

    def load(self, suite: Suite, pairs: list[tuple[str, str]], root: Path | None, device: str = "cpu") -> Data:
        """Load the databases of the pairs.

        Raises
        ------
        BadInput
            Whatever is wrong in a file; a database of one fold; several sources; fewer positives than ``examples: N``.
        """
        names = needed(suite, pairs)
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

    def draws(self, suite: Suite, data: Data) -> Folds:
        return Folds(suite, data)

    def refusal(self, suite: Suite, info: MethodInfo) -> str:
        if not info.needs & set(self.nouns):
            return "learns from samples with features, and this suite has facts"
        lacking = info.needs - self.gives
        return f"needs {', '.join(sorted(lacking))}, which facts do not give" if lacking else ""

    def rounds(self, suite: Suite, domain: Any, info: MethodInfo) -> int:
        return len(domain.folds)


@dataclass(frozen=True)
class FoldsPair(base.Pair):
    """A pair at a seed.

    ``y_test`` and ``groups`` run over the test rows of all rounds: a group is one test fold of one round.
    """

    fields: dict[str, object]
    folds: tuple[Round, ...]
    y_test: np.ndarray
    groups: np.ndarray
    rows: dict[str, np.ndarray]

    def n_rounds(self, oracle: bool, rejects: bool = False) -> int:
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

    def constant(self, scores: np.ndarray, unit: float = 1.0) -> bool:
        """In each test fold; exactly so, since it is the order of scores that counts."""
        return all(bool((np.ptp(scores[self.groups == g], axis=0) == 0).all()) for g in np.unique(self.groups))


class Folds(Draws):
    """Training folds and labelled draws of one suite over databases."""

    def __init__(self, suite: Suite, data: Data) -> None:
        super().__init__(suite, data)
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


def merged(parts: list[Evidence]) -> Evidence:
    """Several folds of a database as one: its constants are shared, and so are the types."""
    first = parts[0]
    relations = {
        name: np.unique(np.concatenate([p.relations[name] for p in parts]), axis=0) for name in first.relations
    }
    return Evidence(first.target, relations, first.types, first.constants)


def of_facts(scores: np.ndarray, y: np.ndarray, groups: np.ndarray) -> dict[str, float | None]:
    """`metrics` of each group of query atoms, averaged, with those of statistical-relational learning.

    ``auprc`` is the average precision of the true atoms; ``cll`` the mean conditional log-likelihood of the labels, of
    probabilities kept within 1e-6 of 0 and 1. A metric that has no meaning in one of the groups is None.

    >>> scores = np.array([[0.2, 0.8], [0.6, 0.4], [0.9, 0.1]])
    >>> round(of_facts(scores, np.array([1, 1, 0]), np.zeros(3, int))["cll"], 3)
    -0.415
    """
    from sklearn.metrics import average_precision_score

    found = []
    for g in np.unique(groups):
        s, labels = scores[groups == g], y[groups == g]
        own = metrics(s, labels) | {"auprc": float(average_precision_score(labels, s[:, 1]))}
        own["cll"] = float(np.log(np.clip(s[np.arange(len(s)), labels], 1e-6, 1 - 1e-6)).mean())
        found.append(own)
    return {
        name: None if any(f[name] is None for f in found) else float(np.mean([f[name] for f in found]))
        for name in found[0]
    }
