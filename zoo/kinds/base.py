"""What a kind of data has to say, and the nouns that all kinds have in common. numpy only.

A suite, the plan and the driver ask the kind; nothing outside this folder knows what a domain is made of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo import streams
from zoo.errors import BadInput
from zoo.graph import is_sparse
from zoo.label_sets import Sets
from zoo.secret import Secret

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.discover import MethodInfo
    from zoo.graph import Graph

BLIND = 1e-4  # of the scores' unit: what predictions differ by that say nothing
PRETRAINED = "weights"  # as the source of a pair: a pretrained network, and no samples


@dataclass(frozen=True)
class Domain:
    """A named set of samples, in an order that tells nothing.

    Attributes
    ----------
    X : array [n, ...]
        Samples, in a permutation that the secret seeds.
    y : array [n]
        Class indices, or real values. Where X has more rows, the last of them have no label: they are adapted to, and
        not scored.
    rows : int array [n]
        Where each sample stood in the file it came from. Never leaves the driver.
    secret : Secret
        Of samples, labels and class names: it seeds the permutation, and every draw of the protocol. Never leaves the
        driver; what is written and hashed is ``content``, a one-way hash of it.
    frozen : array [n, width], or sparse CSR, optional
        What base learners see in place of X: features of the samples from a pretrained network, or of nodes.
    graph : Graph, optional
        The graph whose nodes the samples are; X is their numbers.
    groups : int array [n], optional
        Which samples no split parts, such as the windows of one series: those of one number.
    notes : tuple of str
        What was left out or assumed at loading, a line each.
    levels : tuple of int
        Columns of X that stand for a word of a category each.
    asked : int
        How many of the last rows of X are not the domain's: they are normalised as it is, predicted, and nothing else.
    parts : int array [n], optional
        Which of the domains that a stream is made of each sample is from, by the order in which they are named.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    rows: np.ndarray
    secret: Secret
    frozen: Any = None
    graph: Graph | None = None
    groups: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    asked: int = 0
    parts: np.ndarray | None = None

    @classmethod
    def build(
        cls,
        name: str,
        X: np.ndarray,
        y: np.ndarray,
        classes: list[str],
        *,
        frozen: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        key: str = "",
    ) -> Domain:
        """Hash and permute samples as a loader gave them; files are sorted by class, so row order is a label.

        A `key` stands for the samples in the hash, where they are known by their files: decoded images and extracted
        features differ in their last bits from machine to machine. A class of -1, and a value of
        NaN, is no label.
        """
        y = np.ascontiguousarray(y, dtype=np.float64 if y.dtype.kind == "f" else np.int64)
        sparse: Any = X
        if not is_sparse(X):
            X = np.ascontiguousarray(X)
        elif not key:
            key = f"sparse {X.shape} {Secret.of(sparse.indptr, sparse.indices, sparse.data).content}"
        secret = Secret.of(key or X, classes, y, *([] if groups is None else [groups]))
        rows = secret.generator("order").permutation(X.shape[0])
        there = ~np.isnan(y) if y.dtype.kind == "f" else y >= 0
        n = int(there.sum())
        if n < len(y):
            rows = np.concatenate([rows[there[rows]], rows[~there[rows]]])
        seen, own = (None if part is None else part[rows] for part in (frozen, groups))
        return cls(name, X[rows], y[rows[:n]], rows, secret, seen, groups=own)

    @property
    def unlabelled(self) -> np.ndarray:
        """The rows without a label."""
        return np.arange(len(self.y), self.X.shape[0] - self.asked)

    @property
    def strata(self) -> np.ndarray:
        """What draws keep the shares of: the classes; real values have none."""
        return np.zeros(len(self.y), np.int64) if self.y.dtype.kind == "f" else self.y

    @property
    def content(self) -> str:
        """A hash of the data that tells nothing of them."""
        return self.secret.content

    def described(self) -> dict[str, Any]:
        """What run.json and captions say of it, beside its content and its classes."""
        groups = {} if self.groups is None else {"groups": len(np.unique(self.groups))}
        return {"n": self.X.shape[0]} | groups | ({"notes": list(self.notes)} if self.notes else {})

    def units(self, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """What is drawn as one, of all labelled samples or of some: the stratum of each such unit, the unit of each."""
        y = self.strata if rows is None else self.strata[rows]
        if self.groups is None:
            return y, np.arange(len(y))
        groups = self.groups[: len(self.y)] if rows is None else self.groups[rows]
        _, first, unit = np.unique(groups, return_index=True, return_inverse=True)
        return y[first], unit


@dataclass(frozen=True)
class Data:
    """The domains that a suite uses, with classes matched by name.

    Attributes
    ----------
    domains : each with ``name, secret, content`` and ``described()``
    open : whether a pair's methods know the classes of its source alone; see `zoo.kinds.unknown`
    sources, targets : those of them that hold fewer classes as a source, or as a target
    classes : their names; none where values are predicted
    refused : pairs that no method can run on, and why
    sets : the classes that both sides of a pair have, and one alone; of pairs whose sides have labels
    partial : pairs whose target lacks classes of the source, and which
    few : targets of which no K samples of each class can be labelled, and why
    blind : targets without a label, which are adapted to and not scored, and why no cell is granted one
    """

    domains: dict[str, Any]
    classes: list[str]
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
    sets: dict[tuple[str, str], Sets] = field(default_factory=dict)
    partial: dict[tuple[str, str], str] = field(default_factory=dict)
    few: dict[str, str] = field(default_factory=dict)
    blind: dict[str, str] = field(default_factory=dict)
    open: bool = False
    sources: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, Any] = field(default_factory=dict)

    def source(self, name: str) -> Any:
        """A domain as the source of a pair, or one of its sources."""
        return self.sources.get(name, self.domains[name])

    def target(self, name: str) -> Any:
        """A domain as the target of a pair."""
        return self.targets.get(name, self.domains[name])

    def withheld(self, grant: frozenset[str], target: str) -> str:
        """Why a cell cannot be granted the target's labels that it asks for; '' where it can, or asks for none."""
        if target in self.blind:
            return self.blind[target] if grant & {"Xl", "yl", "yt"} else ""
        return self.few.get(target, "") if "Xl" in grant else ""

    @property
    def columns(self) -> int:
        """How many scores a sample gets."""
        return max(len(self.classes), 1)


@dataclass(frozen=True)
class Round:
    """One fit of a cell, and the sets that it scores then.

    Attributes
    ----------
    fields : what the fit may be granted
    sets : rows to be scored, by name; ``validation`` is of the source
    context : what `predict` gets beside the rows of a set, by the set's name
    whole : of nodes, the graphs in which the sets are numbered
    fitted : the set that is the Xt of the fit, if one is
    folds : whether it only scores source samples out of fold, by which a method for closed sets rejects
    batches : of a stream, the places of the test rows that arrive together, one batch after another
    """

    fields: dict[str, Any]
    sets: dict[str, np.ndarray]
    context: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, Graph] = field(default_factory=dict)
    fitted: str | None = None
    folds: bool = False
    batches: tuple[np.ndarray, ...] = ()


class Pair:
    """Everything there is to a pair at a seed; the labels in it stay with the driver.

    Attributes
    ----------
    y_test : labels of the test rows of all rounds
    rows : where the rows of each set stood in their files
    """

    y_test: np.ndarray
    rows: dict[str, np.ndarray]

    def n_rounds(self, oracle: bool, rejects: bool = False) -> int:
        """How often a cell is fitted; `rejects`: whether the harness says for it what is unknown."""
        raise NotImplementedError

    def round(self, i: int, oracle: bool) -> Round:
        """The i-th fit of a cell."""
        raise NotImplementedError

    def gathered(self, scores: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """The scores of all rounds as those of the test rows and the other sets."""
        raise NotImplementedError

    def metrics(self, scores: np.ndarray) -> dict[str, float | None]:
        """Metrics of the scores of the test rows."""
        raise NotImplementedError

    def rejected(self, scores: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
        """Scores of known classes with a column for `unknown`, and the limit above which that is the highest."""
        raise NotImplementedError

    def constant(self, scores: np.ndarray, unit: float = 1.0) -> bool:
        """Whether test rows of several labels all get one prediction, such as the prior: it says nothing of a row."""
        varied = len(np.unique(self.y_test)) > 1
        one = len(np.unique(scores.argmax(1))) == 1
        return bool(varied and one and (np.ptp(scores, axis=0) <= BLIND * unit).all())


class Draws:
    """Splits, labelled draws and normalisation of one suite over loaded data."""

    def __init__(self, suite: Suite, data: Data) -> None:
        self.suite, self.data = suite, data

    def pair(self, source: str | None, target: str, seed: int, base: bool = False) -> Pair:
        """The `Pair` at a seed, for networks or for `base` learners, which may see other features."""
        raise NotImplementedError


class Kind:
    """What a suite, the plan and the driver ask of the kind of their data.

    Attributes
    ----------
    protocols : those that it has, its standard one first
    reference : the method that others are compared with, unless the suite says another
    net : the network, unless the suite says another
    use : the learner of methods that take either, where no other method says which: base or net
    learners : whether methods train the suite's learners; else each brings its own
    gives : the fields of a Task that it can grant
    nouns : those of them that are no arrays; each holds a `zoo.noun.Noun`, and a method that needs one is of this kind
    keys : those keys of a suite that are about this kind alone
    units : what is drawn as one, in words: samples, or the groups of them that no split parts
    tasks : files of ``zoo/tasks/``: what can be predicted of it
    label_sets : which of them its pairs may have
    metric : what tables show unless told otherwise; empty: the task's
    """

    protocols: ClassVar[tuple[str, ...]] = ("holdout", "transductive")
    reference: ClassVar[str] = "source_only"
    net: ClassVar[str] = "mlp"
    use: ClassVar[str] = "base"
    learners: ClassVar[bool] = True
    gives: ClassVar[frozenset[str]] = frozenset({"Xs", "ys", "ds", "Xt", "Xl", "yl", "yt", "model"})
    nouns: ClassVar[tuple[str, ...]] = ()
    keys: ClassVar[frozenset[str]] = frozenset()
    units: ClassVar[str] = "samples"
    tasks: ClassVar[tuple[str, ...]] = ("classification",)
    label_sets: ClassVar[tuple[str, ...]] = ("closed",)
    metric: ClassVar[str] = ""

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    # Of a suite -------------------------------------------------------------------------------------------------------

    def features(self, suite: Suite) -> str:
        """What base learners see, unless the suite says it."""
        return "raw"

    def resolved(self, suite: Suite) -> dict[str, Any]:
        """Values of this kind's own keys that follow from others."""
        return {}

    def check(self, suite: Suite) -> None:
        """Refuse what has no meaning for data of this kind.

        Raises
        ------
        BadInput
            With the suite's key.
        """
        if suite.protocol not in self.protocols:
            need = f"{suite.dataset} holds {self.name}, which need protocol: {' or '.join(self.protocols)}"
            raise BadInput(f"protocol: {suite.protocol}: {need}")
        if suite.task not in self.tasks:
            raise BadInput(f"task: {suite.task}: {suite.dataset} holds {self.name}: {' or '.join(self.tasks)}")
        differ = suite.label_sets != "closed" or suite.sides is not None
        key = f"label_sets: {suite.label_sets}" if suite.label_sets != "closed" else "classes: of source and target"
        if differ and not suite.problem.classes:
            raise BadInput(f"{key}: task: {suite.task} predicts values, which are no classes")
        if suite.label_sets not in self.label_sets or (suite.sides is not None and "open" not in self.label_sets):
            raise BadInput(f"{key}: {suite.dataset} holds {self.name}: label_sets: {' or '.join(self.label_sets)}")
        if suite.open and suite.labels:
            what = f"{suite.labels} labels of each target class would be some of unknown ones"
            raise BadInput(f"labels: {suite.labels}: {key}: {what}; say labels: 0")
        if suite.examples and "examples" not in self.keys:
            raise BadInput(
                f"examples: {suite.examples}: only facts are counted in examples; say labels: K, samples a class"
            )
        for key in ("window", "step", "rate"):
            if key not in self.keys and (value := getattr(suite, key)):
                meant = " (of training: steps)" if key == "step" else ""
                raise BadInput(f"{key}: {value} is for series, and {suite.dataset} holds {self.name}{meant}")
        if suite.convolves and "At" not in self.gives:
            raise BadInput(f"net {suite.net}: reads graphs, and {suite.dataset} has none (data: format: graph)")

    def load(self, suite: Suite, pairs: list[tuple[str, str]], root: Path | None, device: str = "cpu") -> Data:
        """Load the domains of `pairs`, check them, and match their classes.

        Parameters
        ----------
        device : where features of pretrained networks are extracted, if the suite asks for them

        Raises
        ------
        BadInput
            Whatever is wrong with the data, with the domain's name.
        """
        raise NotImplementedError

    def draws(self, suite: Suite, data: Data) -> Draws:
        """The protocol over loaded data."""
        raise NotImplementedError

    # Of the plan ------------------------------------------------------------------------------------------------------

    def refusal(self, suite: Suite, info: MethodInfo) -> str:
        """Why a method cannot run; empty if it can."""
        if suite.task not in info.tasks:
            return f"has no rule for {suite.task}"
        if not info.label_sets & {suite.label_sets, "closed"}:
            return f"is for label sets that are {' or '.join(sorted(info.label_sets))}, not {suite.label_sets}"
        if missing := info.needs - self.gives:
            return f"needs {', '.join(sorted(missing))}, which {suite.dataset} does not have"
        return streams.refusal(suite, info)

    def rounds(self, suite: Suite, domain: Any, info: MethodInfo) -> int:
        """How often a cell of this target is fitted."""
        return 1

    # Of the driver ----------------------------------------------------------------------------------------------------

    def handed(self, suite: Suite, info: MethodInfo, use: str) -> str:
        """How samples are nodes: not at all (''), to the method itself ('own'), or to its network ('net')."""
        return ""

    def vectors(self, suite: Suite, info: MethodInfo, use: str) -> bool:
        """Whether a cell sees what base learners see of a domain."""
        return use == "base"

    def beside(self, handed: str, names: Iterable[str]) -> set[str]:
        """Fields that are sent for the network, with those that the method is granted."""
        return set()


def needed(suite: Suite, pairs: list[tuple[str, str]]) -> list[str]:
    """The domains of the pairs, in the data set's order."""
    return [d for d in suite.source.domains if any(d in (*origins(s), *streams.parts(t)) for s, t in pairs)]


def origins(source: str | None) -> list[str]:
    """The domains that a pair's source stands for; a pretrained network (``weights:target``) is none.

    >>> origins("a+b"), origins("weights"), origins(None)
    (['a', 'b'], [], [])
    """
    return [] if source in (None, PRETRAINED) else str(source).split("+")
