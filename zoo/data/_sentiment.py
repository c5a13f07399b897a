"""The sentences of Hutto and Gilbert (2014) with their mean ratings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.base import Dataset


def read(data: Dataset, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Texts and ratings in [-4, 4]."""
    import pandas as pd

    frame = pd.read_csv(data.file(root, f"{domain}.tsv"), sep="\t", quoting=3, encoding="utf-8", dtype={"text": str})
    return frame["text"].to_numpy(dtype=object), frame["rating"].to_numpy(dtype=np.float64)
