from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data._images import Photographs, listed, tree


class Domainnet(Photographs):
    """DomainNet: 345 classes in six styles, with the lists of the cleaned version where they are there.

    Both of a domain's lists, ``DOMAIN_train.txt`` and ``DOMAIN_test.txt``, are pooled; without them every image of the
    folder ``DOMAIN`` counts.
    """

    domains = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
    cite = "peng2019moment"
    origin = "the authors' page, ai.bu.edu/M3SDA"
    licence = "for research only, fair use"
    folder = "domainnet"

    def files(self, folder: Path) -> tuple[list[Path], np.ndarray]:
        lists = [path for part in ("train", "test") if (path := folder.parent / f"{folder.name}_{part}.txt").is_file()]
        if not lists:
            return tree(folder)
        parts = [listed(folder.parent, path) for path in lists]
        return [f for files, _ in parts for f in files], np.concatenate([labels for _, labels in parts])
