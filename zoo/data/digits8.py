from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.base import Dataset


class Digits8(Dataset):
    """Digits at 8×8: printed (typeface, rendered from matplotlib's fonts) and handwritten (optdigits)."""

    domains = ("typeface", "optdigits")
    kind = "images"
    cite = "alpaydin1998optdigits, hunter2007matplotlib"
    origin = "in the package: scikit-learn's load_digits, and the typefaces that matplotlib ships"
    licence = "optdigits: as scikit-learn ships it, from UCI; typefaces: Bitstream Vera and DejaVu, STIX (OFL), BaKoMa"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        if domain == "typeface":
            from zoo.data._typeface import render

            X, y = render(per_class=180, seed=0)
        else:
            from sklearn.datasets import load_digits

            digits = load_digits()
            X, y = (digits.images[:, None] / 16).astype(np.float32), digits.target
        return X, y.astype("<U1")
