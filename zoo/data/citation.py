from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.base import Dataset
from zoo.data.formats.graph import Graph as File
from zoo.errors import BadInput
from zoo.graph import Graph


class Citation(Dataset):
    """Citations between papers of two collections, in five fields of computer science, with 6,775 words as features.

    An edge is a citation in either direction. Papers of several fields are left out.
    """

    domains = ("acmv9", "dblpv7")
    kind = "graphs"
    cite = "tang2008arnetminer, shen2021network"
    origin = "the ArnetMiner citation networks as prepared by Shen et al., github.com/shenxiaocam/ACDNE"
    licence = "none stated; for research"
    folder = "citation"

    def load(self, domain: str, root: Path | None) -> tuple[Graph, np.ndarray]:  # type: ignore[override]
        path = self.file(root, f"{domain}.mat")
        try:
            graph, y, _ = File(path).read()
        except BadInput:
            raise
        except Exception as error:  # a damaged file raises nearly anything: zlib's errors, ValueError, OSError
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise BadInput(f"{path} cannot be read as a MATLAB file: {reason}") from None
        return graph, y.astype(str)
