from __future__ import annotations

import importlib
import math
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from zoo.data import _mat5, _room
from zoo.data.formats.base import Arrays
from zoo.errors import BadInput

CELLS = 1000  # matrices in a cell array that are listed
HDF = b"\x89HDF\r\n\x1a\n"


class Mat(Arrays):
    """MATLAB files, up to v7 through scipy and v7.3, which is HDF5 with axes reversed, through h5py."""

    suffixes = (".mat",)

    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        if self._is_hdf():
            with extra("h5py", self).File(self.path) as file:
                found = {name: _header(file[name]) for name in file if not name.startswith("#")}
            return self._with_cells(found)
        found = {name: (tuple(map(int, shape)), kind) for name, shape, kind in _mat5.headers(self.path)}
        most = _room.DEFLATE * self.path.stat().st_size
        for name, (shape, kind) in found.items():
            if kind != "sparse":
                _room.check(name, shape, 1, self.bad, most)
        return self._with_cells(found)

    def _with_cells(self, found: dict[str, tuple[tuple[int, ...], str]]) -> dict[str, tuple[tuple[int, ...], str]]:
        """Headers, with the matrices in cells under names such as ``feature{2}``, as MATLAB writes them."""
        every: dict[str, tuple[tuple[int, ...], str]] = {}
        for name, header in found.items():
            cells = self._cells(name) if header[1] == "cell" and math.prod(header[0]) <= CELLS else []
            every |= {f"{name}{{{i}}}": (c.shape, str(c.dtype)) for i, c in enumerate(cells, 1)} or {name: header}
        return every

    def _cells(self, name: str) -> list[Any]:
        """The matrices in a cell array; none where it holds text or single values, as labels do."""
        if self._is_hdf():
            with extra("h5py", self).File(self.path) as file:
                item = file[name]
                if not hasattr(item, "shape") or getattr(item.dtype, "kind", "") != "O":
                    return []
                cells = [self._array(file, file[reference]) for reference in self._whole(item).T.ravel()]
        else:
            cells = np.ravel(self._variables([name])[0]).tolist()
        numeric = [c for c in cells if getattr(c, "dtype", np.dtype("O")).kind in "biuf" and math.prod(c.shape) > 1]
        return cells if len(numeric) == len(cells) else []

    def choose(self, key: str, names: Sequence[str], usual: frozenset[str], other: str = "") -> str:
        given = getattr(self, key)
        if (cells := [n for n in names if n.startswith(f"{given}{{")]) and given:
            example = ", ".join(f"{d}: '{c}'" for d, c in zip("ab", cells, strict=False))
            raise self.bad(
                f"{key}: {given} is a cell array of {len(cells)} matrices: name one for each domain, "
                f"{key}: {{{example}}}"
            )
        return super().choose(key, names, usual, other)

    def arrays(self, names: list[str]) -> list[Any]:
        of_cells = {n: n.rpartition("{") for n in names if re.fullmatch(r".+\{\d+\}", n)}
        cells = {n: self._cells(head)[int(rest[:-1]) - 1] for n, (head, _, rest) in of_cells.items()}
        others = [n for n in names if n not in cells]
        found = dict(zip(others, self._variables(others) if others else [], strict=True)) | cells
        return [found[n] for n in names]

    def _variables(self, names: list[str]) -> list[Any]:
        if self._is_hdf():
            with extra("h5py", self).File(self.path) as file:
                return [self._array(file, file[name]) for name in names]
        content = _mat5.load(self.path, names, self.bad)
        if missing := [name for name in names if name not in content]:
            raise self.bad(f"{missing[0]} is of a MATLAB class that scipy cannot read; save numbers or a cellstr")
        return [_room.sparse(name, content[name], self.bad) for name in names]

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
            return _room.sparse(name, csc_matrix((data, rows, columns), shape=(n, len(columns) - 1)), self.bad)
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
