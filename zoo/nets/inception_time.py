from __future__ import annotations

from torch import Tensor, nn

from zoo.nets import Net
from zoo.nets._series import MAPS, Shortcut


class InceptionTime(Net):
    """Six inception modules with a shortcut over each three, and the mean over time, for series.

    One network of the five whose scores the paper averages.

    Source: Ismail Fawaz et al. (2020), section 3 and code.
    """

    width = 4 * MAPS
    shortest = 1

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        blocks = [Shortcut(shape[0] if i == 0 else self.width) for i in range(2)]
        self.body = nn.Sequential(*blocks, nn.AdaptiveAvgPool1d(1), nn.Flatten())
        self.head = nn.Linear(self.width, n_classes)

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.body(x)
        return found
