from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.base import Dataset
from zoo.errors import BadInput

# In the order of the labels 1 to 10.
CLASSES = ("backpack", "bike", "calculator", "headphones", "keyboard", "laptop", "monitor", "mouse", "mug", "projector")


class OfficeCaltech(Dataset):
    """Office-Caltech10: ten kinds of objects from four sources of photographs, as 800 counts of SURF words."""

    domains = ("caltech", "amazon", "webcam", "dslr")
    cite = "gong2012geodesic"
    origin = "the SURF features published with Gong et al., Geodesic flow kernel (CVPR 2012), at boqinggong.info"
    licence = "none stated; for research"
    folder = "office_caltech"

    def load(self, domain: str, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        from scipy.io import loadmat
        from scipy.sparse import issparse

        path = self.file(root, f"{'Caltech10' if domain == 'caltech' else domain}_SURF_L10.mat")
        try:
            content = loadmat(path)
        except Exception as error:  # a damaged file raises nearly anything: zlib's errors, ValueError, OSError
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise BadInput(f"{path} cannot be read as a MATLAB file: {reason}") from None
        if missing := [key for key in ("fts", "labels") if key not in content]:
            has = ", ".join(key for key in content if not key.startswith("__")) or "nothing"
            raise BadInput(f"{path} has no {' and no '.join(missing)}; it has {has}")
        X, y = content["fts"], np.ravel(content["labels"])
        X = X.toarray() if issparse(X) else X
        if X.ndim != 2 or len(X) != len(y):
            raise BadInput(f"{path}: fts is {'×'.join(map(str, X.shape))} for {len(y)} labels, not a row for each")
        if not np.isin(y, np.arange(1, 11)).all():
            raise BadInput(f"{path}: labels are not whole numbers from 1 to 10")
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which the protocol refuses
            X = X.astype(np.float32)
        return X, np.array(CLASSES)[y.astype(int) - 1]
