from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from zoo.data import _mat5, _room
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

        found = {name: (tuple(map(int, shape)), kind) for name, shape, kind in whosmat(self.path)}
        most = _room.DEFLATE * self.path.stat().st_size
        for name, (shape, kind) in found.items():
            if kind != "sparse":
                _room.check(name, shape, 1, self.bad, most)
        return found

    def arrays(self, names: list[str]) -> list[np.ndarray]:
        if self._is_hdf():
            with extra("h5py", self).File(self.path) as file:
                return [self._array(file, file[name]) for name in names]
        from scipy.io import loadmat

        self.headers()
        _mat5.check(self.path, names, self.bad)
        content = loadmat(self.path, variable_names=names)
        if missing := [name for name in names if name not in content]:
            raise self.bad(f"{missing[0]} is of a MATLAB class that scipy cannot read; save numbers or a cellstr")
        return [np.asarray(_room.dense(name, content[name], self.bad)) for name in names]

    def _is_hdf(self) -> bool:
        with self.path.open("rb") as file:
            head = file.read(512 + len(HDF))
        return HDF in (head[: len(HDF)], head[512:])  # MATLAB puts 512 bytes of its own before

    def _array(self, file: Any, item: Any) -> np.ndarray:
        """One variable of a v7.3 file, as scipy gives those of older ones."""
        kind, name = _header(item)[1], item.name.lstrip("/")
        if kind == "sparse":
            from scipy.sparse import csc_matrix

            n, columns = int(item.attrs["MATLAB_sparse"]), self._whole(item["jc"])
            parts = (
                [self._whole(item[k]) for k in ("data", "ir")] if "data" in item else [np.empty(0), np.empty(0, int)]
            )
            data, rows = parts
            return _room.dense(name, csc_matrix((data, rows, columns), shape=(n, len(columns) - 1)), self.bad)
        if not hasattr(item, "shape") or kind in ("struct", "opaque", "string", "categorical", "table"):
            raise self.bad(f"{name} is a MATLAB {kind}; save numbers or a cellstr")
        if item.attrs.get("MATLAB_empty"):
            shape = tuple(self._whole(item).astype(int).tolist())
            _room.check(name, shape, 8, self.bad, 0)
            return np.empty(shape)
        if kind == "cell":
            cells = [self._array(file, file[reference]) for reference in self._whole(item).T.ravel()]
            return np.array([c[0] if c.size == 1 else "" for c in cells], dtype=object)
        values = self._whole(item).T
        return np.array(["".join(map(chr, row)) for row in values]) if kind == "char" else values

    def _whole(self, item: Any) -> Any:
        """The values of a data set of HDF5, whose shape says nothing of how much is stored."""
        there = _room.DEFLATE * item.id.get_storage_size()
        _room.check(item.name.lstrip("/"), item.shape, item.dtype.itemsize, self.bad, there)
        return item[:]


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
