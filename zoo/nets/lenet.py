from __future__ import annotations

from torch import Tensor, channels_last, nn

from zoo.nets import Net


class Lenet(Net):
    """LeNet as the digits literature has it: two 5×5 convolutions of 20 and 50 maps, pooled, and 500 hidden units."""

    width = 500
    smallest = 16
    domains = (100,)  # Ganin et al. (2016), figure 4a

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        channels, height, width = shape
        sides = [((side - 4) // 2 - 4) // 2 for side in (height, width)]
        self.body = nn.Sequential(
            nn.Conv2d(channels, 20, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Conv2d(20, 50, 5), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(),
            nn.Linear(50 * sides[0] * sides[1], self.width), nn.ReLU(), nn.Dropout(0.5),
        )  # fmt: skip
        self.head = nn.Linear(self.width, n_classes)
        self.to(memory_format=channels_last)

    def features(self, x: Tensor) -> Tensor:
        return self.body(x.contiguous(memory_format=channels_last))
