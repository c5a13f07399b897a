from __future__ import annotations

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zoo import discover
from zoo.data import _graphs, _mat5, _room
from zoo.data.formats.base import LABELS, Format
from zoo.data.formats.csv import Csv
from zoo.data.formats.mat import Mat
from zoo.data.formats.npz import Npz
from zoo.graph import Graph as Nodes

PARTS = ("data", "indices", "indptr", "shape")  # of a scipy matrix among arrays


class Graph(Format):
    """A graph whose nodes are the samples: a .mat file, an .npz file, or a folder with edges.csv and nodes.csv.

    - ``.mat``: ``network`` [n, n], ``attrb`` [n, d], ``group`` [n, classes] of 0 and 1, sparse or not. Nodes with
      exactly one label are kept.
    - ``.npz``: ``x`` [n, d], ``y`` [n], and ``edges`` [m, 2] of node numbers from 0, or ``adjacency`` [n, n]. Sparse
      ones are kept in parts: ``adjacency_data``, ``adjacency_indices``, ``adjacency_indptr``, ``adjacency_shape``.
    - a folder: ``edges.csv`` with two columns of node ids, and ``nodes.csv`` whose first column is the id, one is the
      label, and the others are features.

    Edges have no direction: of an adjacency matrix that is not symmetric an edge in either direction counts. Loops and
    weights are left out. What was left out is said in the run's notes.
    """

    keys = ("x", "y")
    kind = "graphs"
    lies_in = ""

    def read(self) -> tuple[Any, Any, tuple[Any, ...]]:
        if self.path.is_dir():
            return self._folder()
        graph, y = self._mat() if self.path.suffix.lower() == ".mat" else self._npz()
        return graph, y, (graph.shape[1],)

    def rows(self) -> list[dict[str, Any]]:
        if self.path.is_dir():
            return [r for part in (self._edges, self._nodes) for r in part.rows()]
        return self._file.rows()

    def guessed(self) -> tuple[dict[str, Any], np.ndarray]:
        return {}, np.asarray(self.read()[1])

    @classmethod
    def fits(cls, path: Path) -> bool:
        """Whether a file or folder looks like a graph."""
        if path.is_dir():
            return (path / "edges.csv").is_file()
        if path.suffix.lower() == ".mat":
            return "network" in Mat(path).headers()
        names = {name.partition("_")[0] for name in Npz(path).headers()} if path.suffix.lower() == ".npz" else set()
        return bool(names & {"edges", "adjacency"})

    @cached_property
    def _file(self) -> Mat | Npz:
        if self.path.suffix.lower() not in (".mat", ".npz"):
            raise self.bad("a graph is a .mat or .npz file, or a folder with edges.csv and nodes.csv")
        return Mat(self.path) if self.path.suffix.lower() == ".mat" else Npz(self.path)

    def _mat(self) -> tuple[Nodes, np.ndarray]:
        """``network``, ``attrb`` and ``group``; `x` and `y` name the latter two."""
        names = ["network", self.x or "attrb", self.y or "group"]
        there = list(self._file.headers())
        if missing := [name for name in names if name not in there]:
            raise self.bad(f"has no {' and no '.join(missing)}; it has {', '.join(there) or 'nothing'}")
        A, x, group = self._sparse_arrays(names)
        graph = _graphs.from_matrix(A, x, self.bad)
        return _graphs.one_label(graph, group, self.bad)

    def _sparse_arrays(self, names: list[str]) -> list[Any]:
        if self._file._is_hdf():  # type: ignore[union-attr]
            return list(self._file.arrays(names))
        content = _mat5.load(self.path, names, self.bad)
        return [_room.sparse(name, content[name], self.bad) for name in names]

    def _npz(self) -> tuple[Nodes, np.ndarray]:
        there = list(self._file.headers())
        X, y = self._array(self.x or "x", there), self._array(self.y or "y", there)
        if "edges" in there:
            graph = _graphs.from_edges(self._array("edges", there), X, self.bad, lambda i: f"row {i}")
        else:
            graph = _graphs.from_matrix(self._array("adjacency", there, "edges or adjacency"), X, self.bad)
        if y.ndim == 2 and 1 < y.shape[1] == y.size // graph.n:
            return _graphs.one_label(graph, y, self.bad)
        return graph, y

    def _array(self, name: str, there: list[str], called: str = "") -> Any:
        """An array, or a sparse matrix from its parts."""
        if name in there:
            return self._file.arrays([name])[0]
        parts = [f"{name}_{part}" for part in PARTS]
        if not set(parts) <= set(there):
            raise self.bad(f"has no {called or name}; it has {', '.join(there) or 'nothing'}")
        from scipy.sparse import csr_matrix

        data, indices, indptr, shape = self._file.arrays(parts)
        size = np.ravel(shape).tolist()
        if len(size) != 2 or not all(isinstance(n, int) and n >= 0 for n in size):
            raise self.bad(f"{name}_shape: expected two whole numbers, got {size[:3]}")
        if data.dtype.kind not in "biuf" or {indices.dtype.kind, indptr.dtype.kind} - set("iu"):
            raise self.bad(f"{name}: its values have to be numbers, and its indices whole numbers")
        try:
            matrix = csr_matrix((data, indices, indptr), shape=tuple(size))
        except (ValueError, TypeError, OverflowError) as error:
            raise self.bad(f"{name}: is no sparse matrix: {error}") from None
        return _room.sparse(name, matrix, self.bad)

    @cached_property
    def _edges(self) -> Csv:
        return self._table("edges.csv")

    @cached_property
    def _nodes(self) -> Csv:
        return self._table("nodes.csv")

    def _table(self, name: str) -> Csv:
        if not (self.path / name).is_file():
            raise self.bad(f"has no {name}")
        return Csv(self.path / name)

    def _folder(self) -> tuple[Nodes, Any, tuple[Any, ...]]:
        nodes, edges = self._nodes, self._edges
        columns, ends = nodes.columns(), edges.columns()
        if len(ends) < 2:
            raise edges.bad(f"two columns of node ids are required, got {', '.join(ends)}")
        key, rest = columns[0], columns[1:]
        nodes.x, nodes.y = self.x, self.y
        y = nodes.choose("y", rest, LABELS)
        chosen = [c for c in nodes._names()[0] if c != key] if self.x else [c for c in rest if c != y]
        if not chosen:
            raise nodes.bad("x: no column of features beside id and label; give each node a constant 1 where none is")
        frame = nodes.frame()
        x, wrong = nodes.parsed(frame, chosen)
        if wrong:
            raise nodes.bad(f"x: {'; '.join(wrong)}")
        ids = frame[key].str.strip()
        if twice := [name for name, count in Counter(ids).items() if count > 1]:
            at = [i + nodes.first_row for i, name in enumerate(ids) if name == twice[0]]
            raise nodes.bad(f"{key}: node {twice[0]!r} stands twice, in lines {at[0]} and {at[1]}")
        number = {name: i for i, name in enumerate(ids)}
        pairs = edges.frame()[ends[:2]]
        numbers = np.empty((len(pairs), 2), np.int64)
        for j, column in enumerate(ends[:2]):
            found = pairs[column].str.strip().map(number)
            if found.isna().any():
                i = int(np.flatnonzero(found.isna())[0])
                known = discover.unknown("node", str(pairs[column].iloc[i]).strip(), number)
                raise edges.bad(f"line {i + edges.first_row}: column {column!r}: {known}")
            numbers[:, j] = found
        labels = frame[y].to_numpy(dtype=object)
        if empty := [i for i, v in enumerate(labels) if not str(v).strip() or v != v]:
            raise nodes.bad(f"y: line {empty[0] + nodes.first_row}: node {ids.iloc[empty[0]]!r} has no label")
        graph = _graphs.from_edges(numbers, x, nodes.bad, lambda i: f"line {i + edges.first_row}")
        return graph, labels, tuple(chosen)
