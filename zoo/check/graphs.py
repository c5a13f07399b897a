"""The contract tests of methods on nodes: toy graphs of three classes, told by features, neighbours and degrees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.check import samples
from zoo.graph import Graph
from zoo.nets._graphs import Graphs
from zoo.seeds import derive

if TYPE_CHECKING:
    from collections.abc import Callable

ACTIVITY = (0.5, 1.0, 2.0)  # of the classes: their degrees are as these
DEGREE = 8.0  # of a node of the middle class, about
ALIKE, UNLIKE = 2.0, 0.5  # edges within and between classes, against those of a graph that knows no classes


@dataclass(frozen=True, eq=False)
class GraphPair:
    """Two graphs; `Xs`, `Xt`, `Xl` and the test set `X` are numbers of their nodes, the last three of `At`."""

    Xs: Tensor
    ys: Tensor
    Xt: Tensor
    yt: Tensor
    Xl: Tensor
    yl: Tensor
    X: Tensor
    y: Tensor
    As: Graph
    At: Graph

    def reordered(self, order: Tensor) -> GraphPair:
        """The same target with its unlabelled nodes numbered anew: node i is the one that was ``order[i]``."""
        whole = torch.cat([order, torch.arange(len(order), self.At.n)])
        edges = torch.argsort(whole)[self.At.edges].sort(1).values
        At = Graph(edges, self.At.x[whole], key=f"{self.At.key} reordered")
        return replace(self, At=At, yt=self.yt[order])

    def mapped(self, source: Callable[[Tensor], Tensor], target: Callable[[Tensor], Tensor]) -> GraphPair:
        """With other features of the nodes."""
        return replace(self, As=self.As.with_features(source(self.As.x)), At=self.At.with_features(target(self.At.x)))

    @property
    def asked(self) -> tuple[Any, ...]:
        """What `predict` gets for the test set."""
        return (self.X,)

    def of_source(self, use: str) -> tuple[str, str, tuple[Any, ...]]:
        """How the source's nodes are asked for: in words, the rule, and what it gets."""
        if use == "base":
            return "predict(X, A) of the source", "predict", (self.Xs, self.As)
        return "predict_source(X)", "predict_source", (~self.Xs,)

    def vectors(self, X: Tensor, part: str) -> Tensor:
        """Features of nodes of the source ``s``, or of the target."""
        found: Tensor = (self.As if part == "s" else self.At).x[X]
        return found

    def fields(self, device: Any, use: str) -> tuple[dict[str, Any], Graphs | None]:
        """What a task may grant, and the graphs of a network's nodes."""
        As, At = self.As.to(device), self.At.to(device)
        found: dict[str, Any] = {k: getattr(self, k).to(device) for k in ("Xs", "ys", "Xt", "Xl", "yl", "yt")}
        found |= {"ds": torch.arange(len(self.Xs), device=device) % 2, "As": As, "At": At}
        if use != "net":
            return found, None
        return found | {"Xs": ~found["Xs"]}, Graphs(As, At)


def toy_graphs(
    shift: float = 1.0, n_s: int = 150, n_t: int = 120, seed: int = 0, width: int = 6, n_labelled: int = 9
) -> GraphPair:
    """Stochastic block models; the target's features are moved and stretched, by less than the classes are apart."""
    g = torch.Generator().manual_seed(derive("toy graphs", seed))
    n_test = 150

    def draw(n: int, shift: float, name: str) -> tuple[Graph, Tensor]:
        y = (torch.arange(n) % len(ACTIVITY))[torch.randperm(n, generator=g)]
        x = (1 + 0.2 * shift) * (3 * torch.eye(len(ACTIVITY), width)[y] + torch.randn(n, width, generator=g))
        activity = torch.tensor(ACTIVITY)[y]
        fit = torch.where(y[:, None] == y, ALIKE, UNLIKE)
        joined = torch.rand(n, n, generator=g) < DEGREE / n * activity[:, None] * activity * fit
        return Graph(joined.triu(1).nonzero(), x + 0.5 * shift, key=f"{name} {seed} {n} {shift} {width}"), y

    As, ys = draw(n_s, 0.0, "source")
    At, y = draw(n_t + n_labelled + n_test, shift, "target")
    parts = torch.arange(At.n).split([n_t, n_labelled, n_test])
    Xt, Xl, X = parts
    return GraphPair(torch.arange(n_s), ys, Xt, y[Xt], Xl, y[Xl], X, y[X], As, At)


class Nodes(samples.Plain):
    """The tests of samples, on nodes; a network is sent the graphs that these are in."""

    all_see_it = False

    def toy(self, **how: Any) -> GraphPair:
        return toy_graphs(**how)

    def beside(self, use: str) -> set[str]:
        return {"As", "At"} if use == "net" else set()
