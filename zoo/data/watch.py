from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _watch
from zoo.data.base import Dataset
from zoo.series import Series


class Watch(Dataset):
    """Seven shoulder exercises of ten people with a smartwatch on the left or the right wrist, 6 channels at 50 Hz.

    70 series a side, 10 a class, of 19 to 52 seconds: acceleration and angular rate about three axes. The watch is worn
    the other way round on the other wrist, so that axes are mirrored.
    """

    domains = ("left", "right")
    kind = "series"
    cite = "burns2018shoulder"
    origin = "the package seglearn, github.com/dmbee/seglearn"
    licence = "BSD 3-Clause"
    folder = "watch"

    def load(self, domain: str, root: Path | None) -> tuple[Series, np.ndarray]:  # type: ignore[override]
        path = self.file(root, _watch.file(root / self.folder) if root else _watch.PUBLISHED)
        return _watch.chosen(path, _watch.read(path)[1]["side"] == self.domains.index(domain))
