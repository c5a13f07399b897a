from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from zoo.adapters.feature.wdgrl import Wdgrl
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task


class Adagcn(Wdgrl):
    """AdaGCN: a critic's Wasserstein distance between both graphs' node features, lowered by graph convolutions.

    As in the authors' code the first layer smooths over `smoothing` steps, the other one not at all (their "improved"
    convolution); the critic is WDGRL's. The network is the suite's.

    Parameters
    ----------
    weight : float
        Multiple of the estimated distance. The authors' is 1, for 1,000 epochs; in the suites' 100 or 200 steps the
        critic then keeps the source itself from being fitted (its loss says so, without the target's labels).
    n : int
        Steps of the critic for each of the network; the authors' is 10.
    penalty : float
        Holds the critic's gradient at length 1.
    hidden : int
        Width of the critic's hidden layer; the authors' is 16.
    smoothing : int
        Steps of propagation. The authors' is 10, for a source of which a tenth is labelled; the default reaches as far
        as two convolutions (10 smooths away what tells the classes of a dense graph apart: the source itself is then
        fitted at 60 % in ``zoo check``'s toy pair, against 97 %). With 0 both layers are plain convolutions.

    Source: Dai et al. (2022), sections 4.2 and 4.3, and their code.
    """

    needs = {"Xs", "ys", "Xt", "As", "At"}
    tasks = {"classification"}
    rates = {"features": 1.0, "head": 1.0, "extra": 1.0}  # WDGRL's script alone learns at a tenth
    title = "AdaGCN"
    cite = "dai2022graph"
    space = {"weight": ("log", 0.01, 10), "smoothing": ("int", 0, 10)}

    def __init__(
        self, weight: float = 0.1, n: int = 10, penalty: float = 10.0, hidden: int = 16, smoothing: int = 2
    ) -> None:
        super().__init__(weight, n, penalty, hidden)
        self.smoothing = smoothing

    def setup(self, net: Net, task: Task) -> nn.Module:
        if self.smoothing < 0:
            raise BadInput(f"adagcn: smoothing is at least 0, got {self.smoothing}")
        gcn: Any = net
        if self.smoothing:
            gcn.steps = (self.smoothing, *[0] * (len(gcn.body) - 1))
        return super().setup(net, task)
