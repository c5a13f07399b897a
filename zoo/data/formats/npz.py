from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zoo.data import _room
from zoo.data.formats.base import FEATURES, LABELS, Arrays

PARTS = ("data", "shape", "format", "indices", "indptr", "row", "col", "offsets", "_is_array")
SPARSE = ("data", "shape", "format")  # of what scipy.sparse.save_npz writes, with indices and indptr


class Npz(Arrays):
    """Arrays that NumPy saved, in one .npz or several .npy, and sparse matrices that scipy saved; never pickles.

    The arrays of .npy files are called as the files are, without what all their names begin with.
    """

    suffixes = (".npz", ".npy")

    @classmethod
    def grouped(cls, paths: Sequence[Path]) -> list[list[Path]]:
        if any(p.suffix.lower() == ".npy" for p in paths):
            return [list(paths)]  # X and y of one domain
        return super().grouped(paths)

    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        found: dict[str, tuple[tuple[int, ...], str]] = {}
        for path in self.files:
            if path.suffix.lower() == ".npy":
                with path.open("rb") as file:
                    found[self._called(path)] = self._header(self._called(path), file, path.stat().st_size)
                continue
            inside = {}
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    with archive.open(name) as member:
                        short = name.removesuffix(".npy")
                        inside[short] = self._header(short, member, archive.getinfo(name).file_size)
            if self._is_sparse(inside):
                shape = np.ravel(self._load(path, ["shape"])[0]).tolist()
                if len(shape) != 2 or not all(isinstance(n, int) and n >= 0 for n in shape):
                    raise self.bad(f"shape: expected two whole numbers, got {shape[:3]}")
                rest = {n: header for n, header in inside.items() if n not in PARTS}
                inside = {"X": ((shape[0], shape[1]), "sparse"), **rest}
            found |= inside
        return found

    def _names(self, headers: Any) -> tuple[str, str]:
        names = list(headers)
        if self.labelled and names == ["X"] and self.headers()["X"][1] == "sparse":
            raise self.bad(
                f"y: is a sparse matrix, which scipy saved without labels: give them too, NAME: [{self.path.name}, "
                f"{self.path.stem}_y.npy]"
            )
        return super()._names(names)

    def arrays(self, names: list[str]) -> list[Any]:
        headers = self.headers()
        for name in names:
            if headers[name][1] == "object":
                raise self.bad(f"{name} holds pickled objects, which are not loaded: save numbers or text")
        found = {}
        for path in self.files:
            if path.suffix.lower() == ".npy":
                if (name := self._called(path)) in names:
                    found[name] = np.load(path, allow_pickle=False)
            elif headers.get("X", ((), ""))[1] == "sparse":
                found["X"] = self._sparse(path)
                dense = [n for n in names if n != "X" and n in headers]
                found |= dict(zip(dense, self._load(path, dense), strict=True)) if len(self.files) == 1 else {}
            else:
                found |= dict(zip(names, self._load(path, names), strict=True))
        return [found[name] for name in names]

    def _sparse(self, path: Path) -> Any:
        from scipy.sparse import csr_matrix, load_npz

        matrix = load_npz(path)
        return _room.sparse("X", csr_matrix(_room.sparse("X", matrix, self.bad)), self.bad)

    def _load(self, path: Path, names: list[str]) -> list[np.ndarray]:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in names]

    def _is_sparse(self, inside: dict[str, Any]) -> bool:
        return set(SPARSE) <= inside.keys() and bool({"indptr", "row", "offsets"} & inside.keys())

    def _called(self, path: Path) -> str:
        word = re.split(r"[_\-. ]", path.stem)[-1]
        if word.lower() in FEATURES | LABELS:
            return word
        stems = [p.stem for p in self.files]
        shared = os.path.commonprefix(stems) if len(stems) > 1 else ""  # noqa: RUF071 names, and no paths
        common = re.sub(r"[A-Za-z0-9]*$", "", shared)
        return path.stem.removeprefix(common)

    def _header(self, name: str, file: BinaryIO | Any, size: int) -> tuple[tuple[int, ...], str]:
        old = np.lib.format.read_magic(file) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if not dtype.hasobject:
            _room.check(name, shape, dtype.itemsize, self.bad, size - file.tell())
        return shape, str(dtype)
