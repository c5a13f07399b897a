from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import dropout, relu

from zoo.nets import Net
from zoo.nets._graphs import Convolution, Graphs
from zoo.ops.convolution import adjacency

DROPOUT = 0.5


class Gcn(Net):
    """Two graph convolutions of 128 units with ReLU and dropout of a half, for the nodes of graphs.

    A batch is node numbers (see `zoo.nets._graphs.Graphs`); features are propagated over the whole of their graphs,
    and the batch's rows taken.

    Source: Kipf and Welling (2017).
    """

    width = 128
    graphs = True
    batch = 1_000_000_000

    def __init__(self, shape: tuple[int, ...], n_classes: int, graphs: Graphs) -> None:
        super().__init__()
        self.nodes = graphs
        self.matrices = (adjacency,)  # a method may add others
        self.body = nn.ModuleList([Convolution(graphs.width, self.width), Convolution(self.width, self.width)])
        self.head = nn.Linear(self.width, n_classes)

    def layers(self, x: Tensor, matrix: int = 0) -> list[Tensor]:
        """Features of nodes [n, width] after each layer."""
        which = self.nodes.which(x)
        H, A, rows = self.nodes.x(which), self.nodes.matrix(which, self.matrices[matrix]), self.nodes.rows(x, which)
        found = []
        for layer in self.body:
            H = dropout(relu(layer(A, H)), DROPOUT, self.training)
            found.append(H)
        return [H[rows] for H in found]

    def features(self, x: Tensor) -> Tensor:
        return self.layers(x)[-1]
