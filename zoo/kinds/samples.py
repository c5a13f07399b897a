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
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo import streams
from zoo.errors import BadInput
from zoo.graph import is_sparse, stacked
from zoo.kinds import _arrivals, _rows, base, unknown
from zoo.kinds._classes import judged, matched, shared, sided
from zoo.kinds._rows import FOLDS, adapt_rows, folded, take, training_rows
from zoo.kinds.base import Data, Domain, Draws, Kind, Round, needed, origins
from zoo.tasks import Problem, problem

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.discover import MethodInfo
    from zoo.graph import Graph

DENSE = 1 << 30  # bytes that sparse samples may take when they are made dense


class Samples(Kind):
    """Rows of numbers with a class, or a value, each."""

    protocols: ClassVar[tuple[str, ...]] = ("holdout", "transductive", streams.NAME)
    tasks = ("classification", "regression")
    label_sets: ClassVar[tuple[str, ...]] = ("closed", "partial", "open", "universal")

    def load(self, suite: Suite, pairs: list[tuple[str, str]], root: Path | None, device: str = "cpu") -> Data:
        """Load the domains of `pairs`, check them, and match their classes by name.

        Raises
        ------
        BadInput
            NaN or infinite features, differing shapes, one class only, a target class that no source has in any of the
            pairs, too few samples for ``labels: K``, weights that do not fit — each with the domain's name.
        """
        names = needed(suite, pairs)
        raw = {name: self.read(suite, name, root) for name in names}
        shape = raw[names[0]][0].shape[1:]
        self.fits(suite, shape)
        for name, (X, labels) in raw.items():
            where = f"{suite.dataset}: domain {name}"
            if (suite.data is None or not suite.data.imputes) and (row := self.damaged(X)) is not None:
                raise BadInput(f"{where}: the features hold NaN or infinity (first in row {row})")
            if X.shape[1:] != shape:
                raise BadInput(f"{where}: samples of shape {X.shape[1:]}, but {names[0]} has {shape}")
            if X.shape[0] != len(labels):
                raise BadInput(f"{where}: {X.shape[0]} samples, but {len(labels)} labels")
        raw = suite.source.together(raw, suite.normalise, suite.problem.classes)
        kept: dict[str, np.ndarray] = {}
        if suite.classes == "shared":
            raw, kept = shared(suite, raw)
        given = {name: labels for name, (_, labels) in raw.items()}
        ys, classes = suite.problem.encoded(
            given, {name: suite.source.place(name) or f"{suite.dataset}: domain {name}" for name in given}
        )
        remark = suite.problem.remark(given, classes)
        domains = {}
        for name in [*raw]:
            X, _ = raw.pop(name)  # so that what is copied below does not stay twice
            built = self.domain(suite, name, X, ys[name], classes, device)
            notes, levels = (*built.notes, *suite.source.notes(name), *filter(None, [remark])), suite.source.levels()
            rows = kept[name][built.rows] if kept else built.rows
            parts = None if (came := suite.source.parts(name)) is None else came[rows]
            domains[name] = replace(built, notes=notes, levels=levels, rows=rows, parts=parts)
        domains = _arrivals.targets(suite, pairs, domains)
        data = Data(domains, classes) if suite.sides is None else sided(suite, domains, classes)
        return matched(suite, pairs, replace(data, open=suite.open), remark)

    def read(self, suite: Suite, name: str, root: Path | None) -> tuple[Any, Any]:
        """The samples of a domain, and their labels."""
        return suite.source.load(name, root)

    def fits(self, suite: Suite, shape: tuple[int, ...]) -> None:
        """Refuse samples that the network cannot read."""
        if suite.network is not None and (what := _rows.unreadable(suite.network, shape)):
            got = "×".join(map(str, shape))
            raise BadInput(f"net {suite.net}: {what}, but samples of {suite.dataset} are {got}")

    def damaged(self, X: Any) -> int | None:
        """The first row that holds NaN or infinity; what one's own data lack is imputed, and its loader has looked."""
        if is_sparse(X):
            return None
        if np.isfinite(X).all():
            return None
        return int(np.argwhere(~np.isfinite(X.reshape(len(X), -1)))[0][0])

    def domain(self, suite: Suite, name: str, X: Any, y: np.ndarray, classes: list[str], device: str) -> Domain:
        """A domain as the suite's learners see it, hashed and permuted."""
        if is_sparse(X) and "zscore" in suite.normalise:
            if (size := X.shape[0] * X.shape[1] * 8) > DENSE:
                raise BadInput(
                    f"normalise: zscore would make the sparse samples of domain {name} dense, {size / 1e9:.1f} GB: l1 "
                    "and l2 keep them sparse"
                )
            X = X.toarray()
        return Domain.build(name, X, y, classes)

    def draws(self, suite: Suite, data: Data) -> Draws:
        return Protocol(suite, data)

    def refusal(self, suite: Suite, info: MethodInfo) -> str:
        if why := super().refusal(suite, info):
            return why
        if info.needs & {"Xl", "yl"} and not suite.labels:
            return "needs labelled target samples (--labels K)"
        if self._folds(suite, info) and ("model" in info.needs or suite.features == "source"):
            return "rejects by its entropy on source samples out of fold, all of which its source model has seen"
        if info.transductive_only and suite.protocol != "transductive":
            return "has no rule for new target samples (protocol: transductive only)"
        return ""

    def rounds(self, suite: Suite, domain: Any, info: MethodInfo) -> int:
        oracle = "yt" in info.needs and suite.protocol == "transductive"
        return FOLDS if oracle else 1 + FOLDS * self._folds(suite, info)

    def _folds(self, suite: Suite, info: MethodInfo) -> bool:
        """Whether a method is fitted without a fold of the source in turn, to say what is unknown to it."""
        return suite.open and suite.protocol == "transductive" and unknown.helped(info)


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
    scored: np.ndarray | None = None  # of the test rows, where some have no label
    asked: np.ndarray | None = None  # rows that are only predicted
    solved: Problem = field(default_factory=lambda: problem("classification"))
    scale: tuple[float, float] = (0.0, 1.0)
    classes: np.ndarray | None = None  # over which metrics of each class are averaged, where not over all
    open: bool = False  # the last column of scores is unknown
    source_folds: np.ndarray | None = None  # of the rows of Xs, where there is no source validation to reject by
    batches: tuple[np.ndarray, ...] = ()  # of a stream, the places of test rows that arrive together

    def n_rounds(self, oracle: bool, rejects: bool = False) -> int:
        """How often a cell is fitted: oracles are judged out of fold where the test is what they train on."""
        if oracle and self.oracle_folds is not None:
            return FOLDS
        return 1 + FOLDS * (rejects and self.source_folds is not None)

    def round(self, i: int, oracle: bool) -> Round:
        """The i-th fit of a cell."""
        now = self._round(i, oracle)
        return now if self.asked is None or now.folds else replace(now, sets={**now.sets, "asked": self.asked})

    def _round(self, i: int, oracle: bool) -> Round:
        fields, folds = self.oracle if oracle else self.fields, self.oracle_folds
        if self.batches:
            return Round(fields, {"test": self.test}, batches=self.batches)
        if folds is None:
            adapt = self.fields["Xt"] if self.adapt is None else self.adapt
            sets = {"test": self.test, "adapt": adapt, "validation": self.validation}
            return Round(fields, sets, whole=self.whole)
        target = {k: graph for k, graph in self.whole.items() if k == "At"}
        if not oracle and i:
            assert self.source_folds is not None
            return unknown.out_of_fold(fields, self.source_folds == i - 1)
        if not oracle:
            return Round(fields, {"test": self.test}, whole=target, fitted="test")
        kept = {k: fields[k][folds != i] for k in ("Xt", "yt")}
        return Round(fields | kept, {"test": fields["Xt"][folds == i]}, whole=target)

    def gathered(self, scores: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The scores of all rounds as those of the test rows and the other sets."""
        scores = [{name: self.solved.given(s, self.scale) for name, s in part.items()} for part in scores]
        if (folds := self.source_folds) is not None and len(scores) == 1 + FOLDS and "folds" in scores[-1]:
            held = np.empty((len(folds), scores[0]["test"].shape[1]))
            for i, part in enumerate(scores[1:]):
                held[folds == i] = part["folds"]
            return self.gathered(scores[:1]) | {"folds": held}
        if len(scores) == 1:
            test = scores[0]["test"]  # some of which may have no label: what is said of them is kept as adapted to
            return scores[0] if self.scored is None else scores[0] | {"test": test[self.scored], "adapt": test}
        assert self.oracle_folds is not None
        whole = np.empty((len(self.oracle_folds), scores[0]["test"].shape[1]))
        for i, part in enumerate(scores):
            whole[self.oracle_folds == i] = part["test"]
        said = {"test": whole[self.oracle_tested]}
        return said if self.asked is None else said | {"asked": np.mean([part["asked"] for part in scores], 0)}

    def metrics(self, scores: np.ndarray) -> dict[str, float | None]:
        """Metrics of the scores of the test rows."""
        if self.open:
            return unknown.metrics(scores, self.y_test)
        found = self.solved.metrics(scores, self.y_test, self.classes)
        return found | _arrivals.metrics(scores, self.y_test) if self.batches else found

    def rejected(self, scores: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
        return unknown.rejected(scores)

    def constant(self, scores: np.ndarray, unit: float = 1.0) -> bool:
        return super().constant(scores, unit * self.scale[1])


class Protocol(Draws):
    """Splits, labelled draws and normalisation of one suite over loaded data."""

    def __init__(self, suite: Suite, data: Data) -> None:
        super().__init__(suite, data)
        self._pairs = lru_cache(maxsize=6)(self._pair)  # cells of one pair and seed come one after another
        self._rows = lru_cache(maxsize=32)(self._rows_scaled)
        self._own = lru_cache(maxsize=8)(self._normalised_by_own)

    adapt_rows = staticmethod(adapt_rows)

    def pair(self, source: str | None, target: str, seed: int, base: bool = False) -> Pair:
        """A pair at a seed, for networks or for base learners; these see frozen features where there are any."""
        return self._pairs(source, target, seed, base and self.data.target(target).frozen is not None)

    def _pair(self, source: str | None, target: str, seed: int, frozen: bool) -> Pair:
        suite, t = self.suite, self.data.target(target)
        sources, asked = origins(source), f":{target}" if target in self.data.targets else target
        number = partial(unknown.numbers, self.data, source)
        streamed = suite.protocol == streams.NAME
        unseen = self._unseen((*sources,) if streamed else (*sources, asked), seed)
        X, adapt, held = self._own(asked, seed, frozen, unseen)
        if streamed:  # in the order in which they arrive, and none to adapt to before
            adapt, held = held[:0], _arrivals.arrival(suite.order, t, seed)
        if suite.normalise_by == "source" and sources:
            X = self._normalised(asked, seed, self._statistics(sources, seed, frozen, unseen), frozen, unseen)
        labelled, unlabelled = _rows.labelled(suite, t, adapt, seed)
        transductive = suite.protocol == "transductive"
        test = unlabelled if transductive else held
        all_of_it, scored = unlabelled, None
        if len(t.unlabelled):  # among the others, so that no place tells which
            all_of_it = np.concatenate([unlabelled, t.unlabelled])
            all_of_it = all_of_it[t.secret.generator("mixed", seed).permutation(len(all_of_it))]
            scored = np.argsort(all_of_it)[: len(unlabelled)] if transductive else None
        Xt = take(X, all_of_it) if scored is None and all_of_it is unlabelled else X[all_of_it]
        fields = {"Xt": Xt}
        if len(labelled):
            fields |= {"Xl": X[labelled], "yl": number(t.y[labelled])}
        oracle = {
            "Xt": Xt if all_of_it is unlabelled and len(all_of_it) == len(adapt) else take(X, adapt),
            "yt": number(t.y[adapt]),
        }
        rows = {"test": t.rows[test], "adapt": t.rows[all_of_it]} | ({"asked": np.arange(t.asked)} if t.asked else {})
        if streamed:
            del rows["adapt"], fields["Xt"]
        validation = X[:0]
        if sources:
            parts = [(self._domain(name), *self._own(name, seed, frozen, unseen)) for name in sources]
            of_source = {
                "Xs": stacked([take(Xs, train) for _, Xs, train, _ in parts]),
                "ys": number(np.concatenate([d.y[train] for d, _, train, _ in parts])),
                "ds": np.repeat(np.arange(len(parts)), [len(train) for _, _, train, _ in parts]),
            }
            fields |= of_source
            oracle |= of_source
            validation = stacked([Xs[held] for _, Xs, _, held in parts])
            rows["validation"] = np.concatenate([d.rows[held] for d, _, _, held in parts])
        # Without a source, by the labels that cells are granted: never by those of the adapt part where few are.
        own = t.y[labelled if len(labelled) else adapt]
        scale = suite.problem.scale(fields["ys"] if sources else own)
        for part in (fields, oracle):
            part |= {k: suite.problem.handed(part[k], scale) for k in ("ys", "yl", "yt") if k in part}
        return Pair(
            fields,
            oracle,
            Xt if transductive else X[held],
            number(t.y[test]),
            validation,
            rows,
            folded(t) if transductive else None,
            np.isin(adapt, test) if transductive else None,
            scored=scored,
            asked=X[X.shape[0] - t.asked :] if t.asked else None,
            solved=suite.problem,
            scale=scale,
            classes=judged(suite, t),
            open=self.data.open,
            source_folds=np.concatenate([folded(d)[train] for d, _, train, _ in parts])
            if transductive and sources and self.data.open
            else None,
            batches=tuple(_arrivals.batches(len(held), suite.stream_batch)) if streamed else (),
        )

    def _domain(self, name: str) -> Domain:
        """A domain as a source; with a colon before its name, as a target."""
        found: Domain = self.data.target(name[1:]) if name[0] == ":" else self.data.source(name)
        return found

    def _unseen(self, names: tuple[str, ...], seed: int) -> tuple[int, ...]:
        """Columns of words that no training part of these domains holds: in what is held out they count as none."""
        domains = [self._domain(name) for name in names]
        if not (levels := list(domains[0].levels)):
            return ()
        held = [d.X[training_rows(self.suite, d, seed)][:, levels].any(0) for d in domains]
        return tuple(np.array(levels)[~np.any(held, axis=0)].tolist())

    def _raw(self, name: str, seed: int, frozen: bool, unseen: tuple[int, ...]) -> Any:
        """Samples as they were loaded, missing values imputed and words that were not to be seen taken out."""
        domain = self._domain(name)
        X = domain.frozen if frozen and domain.frozen is not None else domain.X
        data = self.suite.data
        if data is not None and data.imputes:
            X = _rows.imputed(X, training_rows(self.suite, domain, seed), data.impute)
        if unseen:
            X = X.copy()
            X[:, list(unseen)] = 0
        return X

    def _scaled(self, name: str, seed: int, frozen: bool, unseen: tuple[int, ...] = ()) -> Any:
        """Row norms concern no other sample, so they are computed once per domain, where nothing else does."""
        data = self.suite.data
        return self._rows(name, seed if unseen or (data is not None and data.imputes) else 0, frozen, unseen)

    def _rows_scaled(self, name: str, seed: int, frozen: bool, unseen: tuple[int, ...]) -> Any:
        X = self._raw(name, seed, frozen, unseen)
        if X.dtype == np.uint8:  # photographs: their network scales them
            return X
        orders = {"l1": 1, "l2": 2}
        for how in (h for h in self.suite.normalise if h in orders):
            X = _rows.divided(X, _rows.row_norms(X, orders[how]))
        return X

    def _normalised_by_own(
        self, name: str, seed: int, frozen: bool, unseen: tuple[int, ...] = ()
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A domain's samples by its own statistics, its rows to train on or adapt to, and those held out."""
        d = self._domain(name)
        train = self.adapt_rows(self.suite, d, seed)
        return (
            self._normalised(name, seed, self._statistics([name], seed, frozen, unseen), frozen, unseen),
            train,
            np.setdiff1d(np.arange(len(d.y)), train),
        )

    def _statistics(
        self, names: list[str], seed: int, frozen: bool, unseen: tuple[int, ...] = ()
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and standard deviation of what the domains train on or adapt to, all of it together."""
        if "zscore" not in self.suite.normalise:
            return None
        used = [
            take(self._scaled(n, seed, frozen, unseen), training_rows(self.suite, self._domain(n), seed)) for n in names
        ]
        X = stacked(used)
        if X.dtype == np.uint8:
            return None
        mean, std = self.moments(X.astype(np.float64, copy=False))
        return mean, np.where(std > 0, std, 1.0)  # a constant column becomes 0, not NaN

    def moments(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each feature."""
        return X.mean(0), X.std(0)

    def _normalised(
        self,
        name: str,
        seed: int,
        statistics: tuple[np.ndarray, np.ndarray] | None,
        frozen: bool,
        unseen: tuple[int, ...] = (),
    ) -> np.ndarray:
        X = self._scaled(name, seed, frozen, unseen)
        if statistics is not None:
            X = (X - statistics[0]) / statistics[1]
        return X if X.dtype == np.uint8 else X.astype(np.float32, copy=False)
