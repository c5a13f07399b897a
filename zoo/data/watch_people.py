from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _watch
from zoo.data.base import Dataset
from zoo.series import Series


class WatchPeople(Dataset):
    """The series of `watch` with people as domains: 14 each, two of every exercise, of the left and the right wrist."""

    domains = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10")
    kind = "series"
    cite = "burns2018shoulder"
    origin = "the package seglearn, github.com/dmbee/seglearn"
    licence = "BSD 3-Clause"
    folder = "watch"

    def load(self, domain: str, root: Path | None) -> tuple[Series, np.ndarray]:  # type: ignore[override]
        path = self.file(root, _watch.file(root / self.folder) if root else _watch.PUBLISHED)
        return _watch.chosen(path, _watch.read(path)[1]["subject"] == 1 + self.domains.index(domain))
