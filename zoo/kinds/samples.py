"""The protocol: who is trained on what and tested on what. Drawn from the data and the seed, never from the method.

All of it is drawn from the domain's secret (`zoo.secret`): who could draw the noise of a stratified draw again would
read classes off it, for within a class the rows below one threshold are chosen, and each class has another. What a
method sees of the draws tells it no label, the secret being unknown:

- Rows stand in an order that is uniformly random, and so do those of every part, whichever rows it is made of.
- Within a class each row is as likely as any other to be held out, labelled or folded. What the parts tell is how many
  of each class they hold, never which: the share asked for, rounded.
- The parts of many seeds together tell that count once a seed, a linear equation in the labels. A method that would
  gather them must remember other seeds' test rows, from which the vault keeps strangers (one process a fit).
- Purposes and seeds have generators of their own: what is seen of one (the labelled rows) tells nothing of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.graph import is_sparse, stacked
from zoo.kinds import base
from zoo.kinds.base import Data, Domain, Draws, Kind, Round, needed, origins
from zoo.tasks import Problem, problem

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.discover import MethodInfo
    from zoo.graph import Graph

FOLDS = 5


class Samples(Kind):
    """Rows of numbers with a class, or a value, each."""

    tasks = ("classification", "regression")

    def load(self, suite: Suite, pairs: list[tuple[str, str]], root: Path | None, device: str = "cpu") -> Data:
        """Load the domains of `pairs`, check them, and match their classes by name.

        Raises
        ------
        BadInput
            NaN or infinite features, differing shapes, one class only, a target class that no source has in any of the
            pairs, too few samples for ``labels: K``, weights that do not fit — each with the domain's name.
        """
        names = needed(suite, pairs)
        raw = {name: suite.source.load(name, root) for name in names}
        shape = raw[names[0]][0].shape[1:]
        self.fits(suite, shape)
        for name, (X, labels) in raw.items():
            where = f"{suite.dataset}: domain {name}"
            if (row := self.damaged(X)) is not None:
                raise BadInput(f"{where}: the features hold NaN or infinity (first in row {row})")
            if X.shape[1:] != shape:
                raise BadInput(f"{where}: samples of shape {X.shape[1:]}, but {names[0]} has {shape}")
            if len(X) != len(labels):
                raise BadInput(f"{where}: {len(X)} samples, but {len(labels)} labels")
        given = {name: y for name, (_, y) in raw.items()}
        ys, classes = suite.problem.encoded(given, suite.dataset)
        domains = {name: self.domain(suite, name, X, ys[name], classes, device) for name, (X, _) in raw.items()}
        if remark := suite.problem.remark(given, classes):
            domains = {name: replace(d, notes=(*d.notes, remark)) for name, d in domains.items()}
        return _matched(suite, pairs, domains, classes, remark)

    def fits(self, suite: Suite, shape: tuple[int, ...]) -> None:
        """Refuse samples that the network cannot read."""
        least = 0 if suite.network is None else suite.network.smallest
        if least and (len(shape) != 3 or min(shape[1:]) < least):
            got = "×".join(map(str, shape))
            what = f"takes images of {least}×{least} pixels and more"
            raise BadInput(f"net {suite.net}: {what}, but samples of {suite.dataset} are {got}")

    def damaged(self, X: Any) -> int | None:
        """The first row that holds NaN or infinity."""
        if np.isfinite(X).all():
            return None
        return int(np.argwhere(~np.isfinite(X.reshape(len(X), -1)))[0][0])

    def domain(self, suite: Suite, name: str, X: Any, y: np.ndarray, classes: list[str], device: str) -> Domain:
        """A domain as the suite's learners see it, hashed and permuted."""
        return Domain.build(name, X, y, classes)

    def draws(self, suite: Suite, data: Data) -> Draws:
        return Protocol(suite, data)

    def refusal(self, suite: Suite, info: MethodInfo) -> str:
        if why := super().refusal(suite, info):
            return why
        if info.needs & {"Xl", "yl"} and not suite.labels:
            return "needs labelled target samples (--labels K)"
        if info.transductive_only and suite.protocol != "transductive":
            return "has no rule for new target samples (protocol: transductive only)"
        return ""

    def rounds(self, suite: Suite, domain: Any, oracle: bool) -> int:
        return FOLDS if oracle and suite.protocol == "transductive" else 1


def _matched(
    suite: Suite, pairs: list[tuple[str, str]], domains: dict[str, Domain], classes: list[str], remark: str = ""
) -> Data:
    """Which pairs have the classes that their methods need."""
    open_set, partial = {}, {}
    for source, target in pairs:
        wanted = set(domains[target].strata.tolist())
        have = {c for s in origins(source) for c in domains[s].strata.tolist()} if origins(source) else wanted
        if classes and len(have) < 2:
            raise BadInput(f"{suite.dataset}: source {source} has one class only ({classes[have.pop()]})")
        if missing := wanted - have:
            open_set[source, target] = f"closed-set, but no source sample has {_named(missing, classes)}"
        if extra := have - wanted:
            partial[source, target] = f"no target sample has {_named(extra, classes)}"
        if isinstance(suite.labels, int) and suite.labels:
            _enough(suite, domains[target], classes)
    if len(open_set) == len(pairs):
        (source, target), why = next(iter(open_set.items()))
        hint = f"; {remark}" if remark else ""
        raise BadInput(f"{suite.dataset}: pair {source}:{target}: {why.partition(', but ')[2]}{hint}")
    return Data(domains, classes, open_set, partial)


def _enough(suite: Suite, domain: Domain, classes: list[str]) -> None:
    adapt = Protocol.adapt_rows(suite, domain, 0)
    counts = np.bincount(domain.strata[adapt], minlength=len(classes))
    for c in np.unique(domain.strata):
        if counts[c] < int(suite.labels) + 1:
            each, one = ("of every class ", f" of class {classes[c]}") if classes else ("", "")
            raise BadInput(
                f"labels: {suite.labels} needs {int(suite.labels) + 1} samples {each}in the adapt part, but "
                f"{suite.dataset}: domain {domain.name} has {counts[c]}{one}"
            )


def _named(some: set[int], classes: list[str]) -> str:
    names = [classes[c] for c in sorted(some)]
    what = "class" if len(names) == 1 else f"any of {len(names)} classes:"
    return f"{what} {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"


@dataclass(frozen=True)
class Pair(base.Pair):
    """Everything there is to a pair at a seed; the labels in it stay with the driver.

    ``fields`` are what cells may be granted; ``oracle`` the same for oracle cells, whose Xt is the whole adapt part.
    Labels in them are in the unit of ``scale``, those of the test are as they are.
    Of nodes, ``whole`` are the graphs in which ``test``, ``adapt`` and ``validation`` are numbered.
    """

    fields: dict[str, np.ndarray]
    oracle: dict[str, np.ndarray]
    test: np.ndarray
    y_test: np.ndarray
    validation: np.ndarray
    rows: dict[str, np.ndarray]
    oracle_folds: np.ndarray | None
    oracle_tested: np.ndarray | None
    adapt: np.ndarray | None = None
    whole: dict[str, Graph] = field(default_factory=dict)
    solved: Problem = field(default_factory=lambda: problem("classification"))
    scale: tuple[float, float] = (0.0, 1.0)

    def n_rounds(self, oracle: bool) -> int:
        """How often a cell is fitted: oracles are judged out of fold where the test is what they train on."""
        return FOLDS if oracle and self.oracle_folds is not None else 1

    def round(self, i: int, oracle: bool) -> Round:
        """The i-th fit of a cell."""
        fields, folds = self.oracle if oracle else self.fields, self.oracle_folds
        if folds is None:
            adapt = self.fields["Xt"] if self.adapt is None else self.adapt
            sets = {"test": self.test, "adapt": adapt, "validation": self.validation}
            return Round(fields, sets, whole=self.whole)
        target = {k: graph for k, graph in self.whole.items() if k == "At"}
        if not oracle:
            return Round(fields, {"test": self.test}, whole=target, fitted="test")
        kept = {k: fields[k][folds != i] for k in ("Xt", "yt")}
        return Round(fields | kept, {"test": fields["Xt"][folds == i]}, whole=target)

    def gathered(self, scores: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The scores of all rounds as those of the test rows and the other sets."""
        scores = [{name: self.solved.given(s, self.scale) for name, s in part.items()} for part in scores]
        if len(scores) == 1:
            return scores[0]
        assert self.oracle_folds is not None
        whole = np.empty((len(self.oracle_folds), scores[0]["test"].shape[1]))
        for i, part in enumerate(scores):
            whole[self.oracle_folds == i] = part["test"]
        return {"test": whole[self.oracle_tested]}

    def metrics(self, scores: np.ndarray) -> dict[str, float | None]:
        """Metrics of the scores of the test rows."""
        return self.solved.metrics(scores, self.y_test)


class Protocol(Draws):
    """Splits, labelled draws and normalisation of one suite over loaded data."""

    def __init__(self, suite: Suite, data: Data) -> None:
        super().__init__(suite, data)
        self._pairs = lru_cache(maxsize=6)(self._pair)  # cells of one pair and seed come one after another
        self._scaled = lru_cache(maxsize=None)(self._rows_scaled)
        self._own = lru_cache(maxsize=8)(self._normalised_by_own)

    @staticmethod
    def adapt_rows(suite: Suite, domain: Domain, seed: int) -> np.ndarray:
        """Rows to train on or adapt to: 80 %, stratified; all of them in transductive."""
        if suite.protocol == "transductive":
            return np.arange(len(domain.y))
        return np.flatnonzero(~_stratified(domain.strata, 0.2, domain.secret.generator("split", seed)))

    def pair(self, source: str | None, target: str, seed: int, base: bool = False) -> Pair:
        """A pair at a seed, for networks or for base learners; these see frozen features where there are any."""
        return self._pairs(source, target, seed, base and self.data.domains[target].frozen is not None)

    def _pair(self, source: str | None, target: str, seed: int, frozen: bool) -> Pair:
        suite, t = self.suite, self.data.domains[target]
        sources = origins(source)
        X, adapt, held = self._own(target, seed, frozen)
        if suite.normalise_by == "source" and sources:
            X = self._normalised(target, self._statistics(sources, seed, frozen), frozen)
        labelled, unlabelled = self._labelled(t, adapt, seed)
        test = unlabelled if suite.protocol == "transductive" else held
        Xt = _take(X, unlabelled)
        fields = {"Xt": Xt}
        if len(labelled):
            fields |= {"Xl": X[labelled], "yl": t.y[labelled]}
        oracle = {"Xt": Xt if len(unlabelled) == len(adapt) else _take(X, adapt), "yt": t.y[adapt]}
        rows = {"test": t.rows[test], "adapt": t.rows[unlabelled]}
        validation = np.empty((0, *X.shape[1:]), X.dtype)
        if sources:
            parts = [(self.data.domains[name], *self._own(name, seed, frozen)) for name in sources]
            shared = {
                "Xs": stacked([_take(Xs, train) for _, Xs, train, _ in parts]),
                "ys": np.concatenate([d.y[train] for d, _, train, _ in parts]),
                "ds": np.repeat(np.arange(len(parts)), [len(train) for _, _, train, _ in parts]),
            }
            fields |= shared
            oracle |= shared
            validation = stacked([Xs[held] for _, Xs, _, held in parts])
            rows["validation"] = np.concatenate([d.rows[held] for d, _, _, held in parts])
        transductive = suite.protocol == "transductive"
        # Without a source, by the labels that cells are granted: never by those of the adapt part where few are.
        own = t.y[labelled if len(labelled) else adapt]
        scale = suite.problem.scale(fields["ys"] if sources else own)
        for part in (fields, oracle):
            part |= {k: suite.problem.handed(part[k], scale) for k in ("ys", "yl", "yt") if k in part}
        return Pair(
            fields,
            oracle,
            Xt if transductive else X[held],
            t.y[test],
            validation,
            rows,
            folded(t) if transductive else None,
            np.isin(adapt, test) if transductive else None,
            solved=suite.problem,
            scale=scale,
        )

    def _labelled(self, t: Domain, adapt: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the K labelled samples per class, and those of Xt, from which they are taken."""
        if self.suite.labels == "all":
            return adapt, adapt
        rank = _rank_in_class(t.strata[adapt], t.secret.generator("labels", seed))
        chosen = rank < int(self.suite.labels)
        return adapt[chosen], adapt[~chosen]

    def _rows_scaled(self, name: str, frozen: bool) -> np.ndarray:
        """Row norms concern no other sample, so they are computed once per domain."""
        domain = self.data.domains[name]
        X = domain.frozen if frozen and domain.frozen is not None else domain.X
        if X.dtype == np.uint8:  # photographs: their network scales them
            return X
        orders = {"l1": 1, "l2": 2}
        for how in (h for h in self.suite.normalise if h in orders):
            X = _divided(X, _row_norms(X, orders[how]))
        return X

    def _normalised_by_own(self, name: str, seed: int, frozen: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A domain's samples by its own statistics, its rows to train on or adapt to, and those held out."""
        d = self.data.domains[name]
        train = self.adapt_rows(self.suite, d, seed)
        return (
            self._normalised(name, self._statistics([name], seed, frozen), frozen),
            train,
            np.setdiff1d(np.arange(len(d.y)), train),
        )

    def _statistics(self, names: list[str], seed: int, frozen: bool) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and standard deviation of what the domains train on or adapt to, all of it together."""
        if "zscore" not in self.suite.normalise:
            return None
        used = [_take(self._scaled(n, frozen), self.adapt_rows(self.suite, self.data.domains[n], seed)) for n in names]
        X = stacked(used)
        if X.dtype == np.uint8:
            return None
        X = X.astype(np.float64, copy=False)
        std = X.std(0)
        return X.mean(0), np.where(std > 0, std, 1.0)  # a constant column becomes 0, not NaN

    def _normalised(self, name: str, statistics: tuple[np.ndarray, np.ndarray] | None, frozen: bool) -> np.ndarray:
        X = self._scaled(name, frozen)
        if statistics is not None:
            X = (X - statistics[0]) / statistics[1]
        return X if X.dtype == np.uint8 else X.astype(np.float32, copy=False)


def _row_norms(X: Any, order: int) -> np.ndarray:
    """Norms of rows, of sparse features too; 1 for rows of zeros."""
    if is_sparse(X):
        values = abs(X).power(order).astype(np.float64)
        flat = np.asarray(values.sum(1)).ravel() ** (1 / order)
    else:
        flat = np.linalg.norm(X.reshape(len(X), -1).astype(np.float64), ord=order, axis=1)
    return np.where(flat > 0, flat, 1.0)


def _divided(X: Any, norms: np.ndarray) -> Any:
    """Rows over their norms."""
    if is_sparse(X):
        from scipy.sparse import diags

        return (diags(1 / norms) @ X).tocsr()
    return X / norms.reshape(-1, *[1] * (X.ndim - 1))


def _take(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows in ascending order; all of them without a copy."""
    return X if len(rows) == X.shape[0] else X[rows]


def _rank_in_class(y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A random rank of each row within its class, from 0."""
    noise = generator.random(len(y))
    order = np.lexsort((noise, y))
    first = np.searchsorted(y[order], y[order])
    rank = np.empty(len(y), np.int64)
    rank[order] = np.arange(len(y)) - first
    return rank


def _stratified(y: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """A mask that holds out `share` of every class; at least one sample of each that has two."""
    counts = np.bincount(y)
    held = np.where(counts > 1, np.maximum(1, np.round(share * counts)), 0)
    return _rank_in_class(y, generator) < held[y]


def folded(domain: Domain) -> np.ndarray:
    """A fold for every row, classes spread evenly; each class starts at another fold, to even out the sizes.

    Where they start is drawn: a class of fewer samples than folds would else tell in which folds it is.
    """
    generator = domain.secret.generator("folds")
    start = (generator.integers(FOLDS) + generator.permutation(domain.strata.max() + 1))[domain.strata]
    return (_rank_in_class(domain.strata, generator) + start) % FOLDS
