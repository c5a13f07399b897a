from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _images
from zoo.data.base import Dataset


class Domainnet(Dataset):
    """DomainNet: 345 classes in six styles, with the lists of the cleaned version where they are there.

    Both of a domain's lists, ``DOMAIN_train.txt`` and ``DOMAIN_test.txt``, are pooled; without them every image of the
    folder ``DOMAIN`` counts.
    """

    domains = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
    images = True
    photographs = True
    cite = "peng2019moment"
    origin = "the authors' page, ai.bu.edu/M3SDA"
    licence = "for research only, fair use"
    folder = "domainnet"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        folder = self.under(root, domain)
        lists = [path for part in ("train", "test") if (path := folder.parent / f"{domain}_{part}.txt").is_file()]
        if not lists:
            files, labels = _images.tree(folder)
            return _images.load(files), labels
        parts = [_images.listed(folder.parent, path) for path in lists]
        return _images.load([f for files, _ in parts for f in files]), np.concatenate([y for _, y in parts])
