from __future__ import annotations

from torch import Tensor, nn

from zoo.nets import Net


class Cnn1d(Net):
    """Three blocks of convolution, batch norm, ReLU and max-pooling, then the mean over time, for series.

    64, 128 and 128 maps of kernels of 5, 8 and 8 steps, dropout of a half after the first block: the CNN of AdaTime
    with its settings for human activity. Pooling pads by one step, as there.

    Source: Ragab et al. (2023), section 4.2 and code.
    """

    width = 128
    shortest = 8
    domains = (64, 64)

    def __init__(self, shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()

        def block(i: int, o: int, kernel: int) -> list[nn.Module]:
            convolution = nn.Conv1d(i, o, kernel, padding=kernel // 2, bias=False)
            return [convolution, nn.BatchNorm1d(o), nn.ReLU(), nn.MaxPool1d(2, 2, padding=1)]

        self.body = nn.Sequential(
            *block(shape[0], 64, 5), nn.Dropout(0.5), *block(64, 128, 8), *block(128, self.width, 8),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(self.width, n_classes)

    def features(self, x: Tensor) -> Tensor:
        found: Tensor = self.body(x)
        return found
