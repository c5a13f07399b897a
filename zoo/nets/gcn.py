from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import dropout, relu

from zoo.nets import Net
from zoo.nets._graphs import Convolution, Graphs, Matrix
from zoo.ops.convolution import adjacency

DROPOUT = 0.5


class Gcn(Net):
    """Two graph convolutions of 64 units with ReLU and dropout of a half, for the nodes of graphs.

    A batch is node numbers (see `zoo.nets._graphs.Graphs`); features are propagated over the whole of their graphs,
    and the batch's rows taken.

    Source: Kipf and Welling (2017).
    """

    width = 64
    graphs = True
    batch = 1_000_000_000

    def __init__(self, shape: tuple[int, ...], n_classes: int, graphs: Graphs) -> None:
        super().__init__()
        self.nodes = graphs
        # A method may change these: along which matrices features are propagated, how often in each layer, and how the
        # results are made one.
        self.matrices: tuple[Matrix, ...] = (adjacency,)
        self.steps = (1, 1)
        self.mix: nn.Module | None = None
        self.body = nn.ModuleList([Convolution(graphs.width, self.width), Convolution(self.width, self.width)])
        self.neck: nn.Module = nn.Identity()
        self.head = nn.Linear(self.width, n_classes)

    def layers(self, x: Tensor, matrix: int = 0) -> list[Tensor]:
        """Features of nodes [n, width] after each layer."""
        which = self.nodes.which(x)
        H, A, rows = self.nodes.x(which), self.nodes.matrix(which, self.matrices[matrix]), self.nodes.rows(x, which)
        found, last = [], len(self.body) - 1
        for i, (layer, k) in enumerate(zip(self.body, self.steps, strict=True)):
            H = relu(layer(A, H, k))
            H = dropout(
                H if i < last else H[rows], DROPOUT, self.training
            )  # of the last layer others are not asked for
            found.append(H if i == last else H[rows])
        return found

    def features(self, x: Tensor) -> Tensor:
        if self.mix is None:
            return self.neck(self.layers(x)[-1])  # type: ignore[no-any-return]
        found: Tensor = self.neck(self.mix([self.layers(x, i)[-1] for i in range(len(self.matrices))]))
        return found
