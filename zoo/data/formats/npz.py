from __future__ import annotations

import zipfile

import numpy as np

from zoo.data import _room
from zoo.data.formats.base import Arrays


class Npz(Arrays):
    """Arrays that NumPy saved; pickled objects in them are never loaded."""

    suffixes = (".npz",)

    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        found = {}
        with zipfile.ZipFile(self.path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    old = np.lib.format.read_magic(member) == (1, 0)
                    read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(member)
                    if not dtype.hasobject:
                        there = archive.getinfo(name).file_size - member.tell()
                        _room.check(name.removesuffix(".npy"), shape, dtype.itemsize, self.bad, there)
                found[name.removesuffix(".npy")] = shape, str(dtype)
        return found

    def arrays(self, names: list[str]) -> list[np.ndarray]:
        headers = self.headers()
        for name in names:
            if headers[name][1] == "object":
                raise self.bad(f"{name} holds pickled objects, which are not loaded: save numbers or text")
        with np.load(self.path, allow_pickle=False) as archive:
            return [archive[name] for name in names]
