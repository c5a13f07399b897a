"""Graph suites: which cells see nodes, and what a pair is for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import discover
from zoo.errors import BadInput
from zoo.graph import Graph, is_sparse, joined

if TYPE_CHECKING:
    from zoo.bench.protocol import Pair, Protocol
    from zoo.bench.suite import Suite
    from zoo.discover import MethodInfo
    from zoo.task import Domain

GRAPHS = frozenset({"As", "At"})


def convolves(suite: Suite) -> bool:
    """Whether the suite's network reads graphs."""
    net = discover.nets().get(suite.net)
    return net is not None and net.graphs


def sees_nodes(suite: Suite, info: MethodInfo, use: str) -> bool:
    """Whether a method is given node numbers; what knows nothing of graphs gets the nodes' features as vectors."""
    if not suite.source.graphs:
        return False
    return bool(info.needs & GRAPHS) or ((use == "net" or suite.features == "source") and convolves(suite))


def refusal(suite: Suite, info: MethodInfo) -> str:
    """Why a method that needs graphs cannot run."""
    if not suite.source.graphs:
        return f"needs {', '.join(sorted(info.needs & GRAPHS))}, which {suite.dataset} does not have"
    return "needs a network on graphs (net: gcn)" if info.learner == "net" and not convolves(suite) else ""


def granted(names: Iterable[str]) -> set[str]:
    """The graphs that come with samples, for networks: the source's with Xs, the target's with Xt and Xl."""
    names = set(names)
    return ({"As"} if "Xs" in names else set()) | ({"At"} if names & {"Xt", "Xl"} else set())


def check(suite: Suite) -> None:
    """Refuse what has no meaning for graphs.

    Raises
    ------
    BadInput
        A network on graphs without graphs, images' options with them.
    """
    if convolves(suite) and not suite.source.graphs:
        raise BadInput(f"net {suite.net}: reads graphs, and {suite.dataset} has none (data: format: graph)")
    if suite.source.graphs and suite.augment != "none":
        raise BadInput(f"augment: {suite.augment} is for photographs, and {suite.dataset} has nodes of graphs")


def normalisable(suite: Suite, name: str, graph: Graph) -> None:
    """Refuse the z-score of sparse features, which would be dense.

    Raises
    ------
    BadInput
        With the domain's name.
    """
    if "zscore" in suite.normalise and is_sparse(graph.x):
        raise BadInput(
            f"normalise: zscore would make the sparse node features of domain {name} dense "
            f"({graph.n} × {graph.x.shape[1]}): l1 and l2 keep them sparse"
        )


def pair(protocol: Protocol, sources: list[str], target: str, seed: int) -> Pair:
    """A pair for what sees nodes: their numbers, and the subgraphs that the train and adapt parts induce.

    Test and validation nodes are asked for in the whole graphs, which come with them, after `fit`.
    """
    from zoo.bench.protocol import Pair, _folds  # which imports this file

    suite, t = protocol.suite, protocol.data.domains[target]
    transductive = suite.protocol == "transductive"
    X, adapt, held = protocol._own(target, seed, True)
    if suite.normalise_by == "source" and sources:
        X = protocol._normalised(target, protocol._statistics(sources, seed, True), True)
    labelled, unlabelled = protocol._labelled(t, adapt, seed)
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
        domains = [protocol.data.domains[name] for name in sources]
        parts = [protocol._own(name, seed, True) for name in sources]
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
        rows["validation"] = np.concatenate([d.rows[held_s] for d, (_, _, held_s) in zip(domains, parts, strict=True)])
    return Pair(
        fields,
        oracle,
        fields["Xt"] if transductive else held,
        t.y[test],
        validation,
        rows,
        _folds(t) if transductive else None,
        np.isin(adapt, test) if transductive else None,
        unlabelled,
        whole,
    )


def _with(domain: Domain, X: Any) -> Graph:
    assert domain.graph is not None
    return domain.graph if X is domain.graph.x else domain.graph.with_features(X)


def row_norms(X: Any, order: int) -> np.ndarray:
    """Norms of rows, of sparse features too; 1 for rows of zeros."""
    if is_sparse(X):
        values = abs(X).power(order).astype(np.float64)
        flat = np.asarray(values.sum(1)).ravel() ** (1 / order)
    else:
        flat = np.linalg.norm(X.reshape(len(X), -1).astype(np.float64), ord=order, axis=1)
    return np.where(flat > 0, flat, 1.0)


def divided(X: Any, norms: np.ndarray) -> Any:
    """Rows over their norms."""
    if is_sparse(X):
        from scipy.sparse import diags

        return (diags(1 / norms) @ X).tocsr()
    return X / norms.reshape(-1, *[1] * (X.ndim - 1))
