from __future__ import annotations

from torch import Tensor, nn

from zoo.nets import Net
from zoo.nets._series import Residual


class Resnet1d(Net):
    """Three residual blocks of three convolutions (64, 128 and 128 maps) and the mean over time, for series.

    Source: Wang, Yan and Oates (2017), section II.C.
    """

    width = 128
    shortest = 1

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        blocks = [Residual(shape[0], 64), Residual(64, 128), Residual(128, self.width)]
        self.body = nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.head = nn.Linear(self.width, n_classes)

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.body(x)
        return found
