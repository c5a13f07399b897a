"""Nodes of graphs: samples that are numbers, in a graph that the method or its network reads.

What knows nothing of graphs gets the nodes' features as vectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.graph import Graph, is_sparse, joined
from zoo.kinds import _rows
from zoo.kinds._classes import judged
from zoo.kinds.base import Data, Domain, Kind, origins
from zoo.kinds.samples import Pair, Protocol, Samples

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.discover import MethodInfo


class Graphs(Samples):
    """Nodes of undirected graphs with features."""

    protocols = ("transductive", "holdout")  # all nodes of the target: the field's standard
    net = "gcn"
    label_sets = ("closed", "partial")
    nouns = ("As", "At")
    gives = Kind.gives | set(nouns)

    def check(self, suite: Suite) -> None:
        super().check(suite)
        if suite.augment != "none":
            raise BadInput(f"augment: {suite.augment} is for photographs, and {suite.dataset} has nodes of graphs")

    def damaged(self, X: Any) -> int | None:
        return None  # its loader has looked, and its features may be sparse

    def domain(self, suite: Suite, name: str, X: Any, y: np.ndarray, classes: list[str], device: str) -> Domain:
        """The nodes of a graph, numbered anew as samples are permuted.

        Raises
        ------
        BadInput
            The z-score of sparse features, which would be dense.
        """
        if "zscore" in suite.normalise and is_sparse(X.x):
            raise BadInput(
                f"normalise: zscore would make the sparse node features of domain {name} dense "
                f"({X.n} × {X.x.shape[1]}): l1 and l2 keep them sparse"
            )
        plain = Domain.build(name, np.arange(X.n), y, classes, key=f"graph {X.digest}")
        graph = X.induced(plain.rows)
        return replace(plain, X=np.arange(X.n), frozen=graph.x, graph=graph, notes=X.notes)

    def draws(self, suite: Suite, data: Data) -> Nodes:
        return Nodes(suite, data)

    def refusal(self, suite: Suite, info: MethodInfo) -> str:
        if info.needs & set(self.nouns) and info.learner == "net" and not suite.convolves:
            return "needs a network on graphs (net: gcn)"
        return super().refusal(suite, info)

    def handed(self, suite: Suite, info: MethodInfo, use: str) -> str:
        if info.needs & set(self.nouns):
            return "own" if use == "base" else "net"
        return "net" if (use == "net" or suite.features == "source") and suite.convolves else ""

    def vectors(self, suite: Suite, info: MethodInfo, use: str) -> bool:
        return not self.handed(suite, info, use)

    def beside(self, handed: str, names: Iterable[str]) -> set[str]:
        """For a network, the source's graph with Xs, and the target's with Xt and Xl."""
        names = set(names) if handed == "net" else set()
        return ({"As"} if "Xs" in names else set()) | ({"At"} if names & {"Xt", "Xl"} else set())


class Nodes(Protocol):
    """The protocol over nodes: `base` learners that read no graph see their features, all others their numbers."""

    def _pair(self, source: str | None, target: str, seed: int, frozen: bool) -> Pair:
        """A pair for what sees nodes: their numbers, and the subgraphs that the train and adapt parts induce.

        Test and validation nodes are asked for in the whole graphs, which come with them, after `fit`.
        """
        if frozen:
            return super()._pair(source, target, seed, frozen)
        suite, t, sources = self.suite, self.data.domains[target], origins(source)
        transductive = suite.protocol == "transductive"
        X, adapt, held = self._own(target, seed, True)
        if suite.normalise_by == "source" and sources:
            X = self._normalised(target, seed, self._statistics(sources, seed, True), True)
        labelled, unlabelled = _rows.labelled(suite, t, adapt, seed)
        whole = {"At": _with(t, X)}
        At = whole["At"] if transductive else whole["At"].induced(adapt)
        fields: dict[str, Any] = {"Xt": np.searchsorted(adapt, unlabelled), "At": At}
        if len(labelled):
            fields |= {"Xl": np.searchsorted(adapt, labelled), "yl": t.y[labelled]}
        oracle: dict[str, Any] = {"Xt": np.arange(len(adapt)), "yt": t.y[adapt], "At": At}
        test = unlabelled if transductive else held
        rows = {"test": t.rows[test], "adapt": t.rows[unlabelled]}
        validation = np.empty(0, np.int64)
        if sources:
            domains = [self.data.domains[name] for name in sources]
            parts = [self._own(name, seed, True) for name in sources]
            graphs = [_with(d, Xs) for d, (Xs, _, _) in zip(domains, parts, strict=True)]
            whole["As"] = joined(graphs)
            shared: dict[str, Any] = {
                "As": joined(
                    [g if transductive else g.induced(train) for g, (_, train, _) in zip(graphs, parts, strict=True)]
                ),
                "ys": np.concatenate([d.y[train] for d, (_, train, _) in zip(domains, parts, strict=True)]),
                "ds": np.repeat(np.arange(len(parts)), [len(train) for _, train, _ in parts]),
            }
            shared["Xs"] = np.arange(len(shared["ys"]))
            fields |= shared
            oracle |= shared
            first = np.cumsum([0, *(g.n for g in graphs)])
            validation = np.concatenate([held_s + k for (_, _, held_s), k in zip(parts, first, strict=False)])
            rows["validation"] = np.concatenate(
                [d.rows[held_s] for d, (_, _, held_s) in zip(domains, parts, strict=True)]
            )
        return Pair(
            fields,
            oracle,
            fields["Xt"] if transductive else held,
            t.y[test],
            validation,
            rows,
            _rows.folded(t) if transductive else None,
            np.isin(adapt, test) if transductive else None,
            unlabelled,
            whole,
            classes=judged(suite, t),
        )


def _with(domain: Domain, X: Any) -> Graph:
    assert domain.graph is not None
    return domain.graph if X is domain.graph.x else domain.graph.with_features(X)
