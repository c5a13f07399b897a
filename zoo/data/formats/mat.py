from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from zoo.data.formats.base import Arrays
from zoo.errors import BadInput

HDF = b"\x89HDF\r\n\x1a\n"


class Mat(Arrays):
    """MATLAB files, up to v7 through scipy and v7.3, which is HDF5 with axes reversed, through h5py."""

    suffixes = (".mat",)

    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        if self._is_hdf():
            with extra("h5py", self).File(self.path) as file:
                return {name: _header(file[name]) for name in file if not name.startswith("#")}
        from scipy.io import whosmat

        return {name: (shape, kind) for name, shape, kind in whosmat(self.path)}

    def arrays(self, names: list[str]) -> list[np.ndarray]:
        if self._is_hdf():
            with extra("h5py", self).File(self.path) as file:
                return [self._array(file, file[name]) for name in names]
        from scipy.io import loadmat
        from scipy.sparse import issparse

        content = loadmat(self.path, variable_names=names)
        if missing := [name for name in names if name not in content]:
            raise self.bad(f"{missing[0]} is of a MATLAB class that scipy cannot read; save numbers or a cellstr")
        return [np.asarray(a.toarray() if issparse(a) else a) for a in (content[name] for name in names)]

    def _is_hdf(self) -> bool:
        with self.path.open("rb") as file:
            head = file.read(512 + len(HDF))
        return HDF in (head[: len(HDF)], head[512:])  # MATLAB puts 512 bytes of its own before

    def _array(self, file: Any, item: Any) -> np.ndarray:
        """One variable of a v7.3 file, as scipy gives those of older ones."""
        kind = _header(item)[1]
        if kind == "sparse":
            from scipy.sparse import csc_matrix

            n, columns = int(item.attrs["MATLAB_sparse"]), item["jc"][:]
            data, rows = (item["data"][:], item["ir"][:]) if "data" in item else (np.empty(0), np.empty(0, int))
            return csc_matrix((data, rows, columns), shape=(n, len(columns) - 1)).toarray()
        if not hasattr(item, "shape") or kind in ("struct", "opaque", "string", "categorical", "table"):
            raise self.bad(f"{item.name.lstrip('/')} is a MATLAB {kind}; save numbers or a cellstr")
        if item.attrs.get("MATLAB_empty"):
            return np.empty(item[:].astype(int))
        if kind == "cell":
            cells = [self._array(file, file[reference]) for reference in item[:].T.ravel()]
            return np.array([c[0] if c.size == 1 else "" for c in cells], dtype=object)
        values = item[:].T
        return np.array(["".join(map(chr, row)) for row in values]) if kind == "char" else values


def _header(item: Any) -> tuple[tuple[int, ...], str]:
    kind = item.attrs.get("MATLAB_class", b"struct")
    if "MATLAB_sparse" in item.attrs:
        return (int(item.attrs["MATLAB_sparse"]), len(item["jc"]) - 1), "sparse"
    if not hasattr(item, "shape"):
        return (1, 1), "struct"
    return item.shape[::-1], kind.decode() if isinstance(kind, bytes) else str(kind)


def extra(module: str, form: Arrays) -> ModuleType:
    """A module of the extra ``data``."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise BadInput(f"{form.path}: a MATLAB v7.3 file needs {module}: pip install 'zoo[data]'") from None
