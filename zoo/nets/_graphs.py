"""What networks on graphs are made of: the graphs of the moment, and a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import Unsupported
from zoo.graph import Graph
from zoo.ops.convolution import Sparse, adjacency

Matrix = Callable[[Graph], Sparse]


class Graphs:
    """The graphs whose nodes a network is asked for: node i of the target is i, node i of the source ``~i`` (-1 - i).

    They are no part of the network's state: all copies of it hold this one object, and `bind` exchanges the graphs
    beneath them, for a prediction on others than those it was trained on.
    """

    def __init__(self, s: Graph | None = None, t: Graph | None = None) -> None:
        self.s, self.t = s, t
        self._made: dict[tuple[str, Any], Any] = {}

    def __deepcopy__(self, memo: Any) -> Graphs:
        return self

    def bind(self, **graphs: Graph | None) -> None:
        """Exchange graphs by name, ``s`` or ``t``."""
        for name, graph in graphs.items():
            old = getattr(self, name)
            if graph is not old and (graph is None or old is None or graph.weights is not None or graph.key != old.key):
                setattr(self, name, graph)
                self._made = {key: made for key, made in self._made.items() if key[0] not in (name, "st")}

    @property
    def width(self) -> int:
        """Number of features of a node."""
        return int((self.s or self.t).shape[1])  # type: ignore[union-attr]

    def which(self, x: Tensor) -> str:
        """The graphs that nodes are in, ``s``, ``t`` or ``st``. On a GPU asking would halt the host: always both."""
        if x.is_floating_point():
            raise Unsupported("changes the values of samples, and nodes of a graph are known by their numbers")
        if self.s is None or self.t is None:
            return "s" if self.t is None else "t"
        if x.device.type != "cpu":
            return "st"
        source = x < 0
        return "s" if bool(source.all()) else "st" if bool(source.any()) else "t"

    def rows(self, x: Tensor, which: str) -> Tensor:
        """Where nodes stand in the features of `which`."""
        if which == "t":
            return x
        return ~x if which == "s" else torch.where(x < 0, ~x, x + self.s.n)  # type: ignore[union-attr]

    def x(self, which: str) -> Tensor | Sparse:
        """Features of all nodes."""

        def make(g: Graph) -> Tensor | Sparse:
            return g.x if g.x.layout == torch.strided else Sparse.features(g.x)

        if which != "st":
            return self._keep((which, "x"), lambda: make(getattr(self, which)))  # type: ignore[no-any-return]
        parts = [self.x("s"), self.x("t")]
        whole = all(isinstance(p, Tensor) for p in parts)
        return self._keep(  # type: ignore[no-any-return]
            (which, "x"),
            lambda: torch.cat(parts) if whole else Sparse.blocks(parts, diagonal=False),  # type: ignore
        )

    def matrix(self, which: str, of: Matrix = adjacency) -> Sparse:
        """A matrix over all nodes, such as the normalised adjacency; of both graphs, one beside the other."""
        if which != "st":
            graph: Graph = getattr(self, which)
            if graph.edges.is_meta:
                return Sparse(None, None, (graph.n, graph.n))
            return self._keep((which, of), lambda: of(graph))  # type: ignore[no-any-return]
        return self._keep(  # type: ignore[no-any-return]
            (which, of), lambda: Sparse.blocks([self.matrix("s", of), self.matrix("t", of)])
        )

    def _keep(self, key: tuple[str, Any], make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


class Convolution(nn.Module):
    """A graph convolution ``Âᵏ H W + b``; H may be sparse."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, A: Sparse, H: Tensor | Sparse, k: int = 1) -> Tensor:
        Z = H @ self.linear.weight.T
        for _ in range(k):
            Z = A @ Z
        return Z + self.linear.bias
