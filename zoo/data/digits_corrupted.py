from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.base import Dataset

SOURCE, EACH = 6000, 250  # images at most: of the source, and of each corruption
MNIST = "MNIST/raw/train-images-idx3-ubyte"


class DigitsCorrupted(Dataset):
    """Digits at 28×28, clean and under 14 corruptions in three strengths: MNIST's where it is, else printed ones."""

    domains = ("clean", "weak", "medium", "strong")
    kind = "images"
    cite = "lecun1998gradient, hunter2007matplotlib"
    origin = (
        "MNIST of the data set digits where --data-root has it (zoo data fetch digits); else in the package, of "
        "the typefaces that matplotlib ships; corrupted here, with nothing to download"
    )
    licence = "MNIST: CC BY-SA 3.0; typefaces: Bitstream Vera and DejaVu, STIX (OFL), BaKoMa"

    def __init__(self) -> None:
        self.printed, self.each = False, EACH
        self.drawn: dict[bool, tuple[np.ndarray, np.ndarray]] = {}  # which takes seconds; three domains share theirs

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        import torch

        from zoo.data._corruptions import CORRUPTIONS, STRENGTHS, corrupted

        X, y = self._clean(domain == "clean", root)
        if domain != "clean":  # other images than the source's, and other ones under each corruption
            strength = STRENGTHS.index(domain)
            generator = torch.Generator().manual_seed(strength)
            parts = zip(CORRUPTIONS, np.split(X, len(CORRUPTIONS)), strict=True)
            X = np.concatenate([corrupted(torch.from_numpy(x), c, strength, generator).numpy() for c, x in parts])
        return X, y.astype("<U1")

    def parts(self, domain: str) -> np.ndarray | None:
        from zoo.data._corruptions import CORRUPTIONS

        return None if domain == "clean" else np.repeat(np.arange(len(CORRUPTIONS)), self.each)

    def notes(self, domain: str) -> tuple[str, ...]:
        from zoo.data._corruptions import CORRUPTIONS

        of = "printed digits, for want of MNIST under --data-root" if self.printed else "MNIST"
        what = "" if domain == "clean" else f", {self.each} under each of {', '.join(CORRUPTIONS)}"
        return (f"{of}{what}",)

    def _clean(self, source: bool, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        """Images [n, 1, 28, 28]: the first of MNIST's training or test images, or as many drawn; in no order."""
        from zoo.data._corruptions import CORRUPTIONS
        from zoo.data._digits import read
        from zoo.data.digits import Digits

        n, k = (SOURCE, 1) if source else (EACH * len(CORRUPTIONS), len(CORRUPTIONS))
        self.printed = root is None or not (root / Digits.folder / MNIST).is_file()
        if not self.printed:
            X, y = read(Digits(), "mnist", root, (source,))
            n = min(n, len(X)) // k * k
            self.each = self.each if source else n // k
            return X[:n, None], y[:n]
        if source not in self.drawn:
            from zoo.data._typeface import framed

            X, y = framed(per_class=n // 10, seed=0 if source else 1)
            order = np.random.default_rng(0).permutation(n)
            self.drawn[source] = X[order], y[order]
        return self.drawn[source]
