"""What graph data have in common, whatever file they stand in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from zoo.data import _room
from zoo.errors import BadInput
from zoo.graph import Graph

Bad = Callable[[str], BadInput]


def from_edges(edges: Any, x: Any, bad: Bad, place: Callable[[int], str]) -> Graph:
    """A graph from a list of edges, whose direction does not count.

    Raises
    ------
    BadInput
        An edge to a node that there is not; `place` says where edge i stands.
    """
    edges, n = np.asarray(edges), _nodes(x, bad)
    if edges.dtype.kind not in "iuf":
        raise bad(f"edges: holds {edges.dtype}: expected two node numbers for each edge")
    if edges.ndim != 2 or 2 not in edges.shape:
        raise bad(f"edges: has shape {'×'.join(map(str, edges.shape))}: expected two node numbers for each edge")
    edges = edges if edges.shape[1] == 2 else edges.T
    known = (edges >= 0) & (edges < n) & (edges == np.floor(edges))  # NaN is not
    wrong = np.flatnonzero(~known.all(1))
    if len(wrong):
        odd = edges[wrong[0]][~known[wrong[0]]][0]
        raise bad(f"edges: {place(int(wrong[0]))}: node {odd:g} is unknown, nodes are 0 to {n - 1}")
    whole = edges.astype(np.int64)
    return _noted(Graph.build(whole, features(x, bad)), [_loops(whole[:, 0] == whole[:, 1])])


def from_matrix(A: Any, x: Any, bad: Bad) -> Graph:
    """A graph from its adjacency matrix: an edge where either direction has one, whatever its weight.

    Raises
    ------
    BadInput
        It is not square, or of another size than the features.
    """
    from scipy.sparse import coo_matrix

    n = _nodes(x, bad)
    if A.dtype.kind not in "biuf" or A.ndim != 2:
        raise bad(f"network holds {'×'.join(map(str, A.shape))} {A.dtype}: expected numbers, a row and column a node")
    A = coo_matrix(A)
    if A.shape[0] != A.shape[1] or A.shape[0] != n:
        raise bad(f"network is {A.shape[0]}×{A.shape[1]} for {n} nodes with features")
    A.sum_duplicates()
    A.eliminate_zeros()
    both = coo_matrix(A, dtype=bool).tocsr()
    lone = (both != both.T).nnz // 2
    says = (
        [f"the network is not symmetric ({lone} edges in one direction only): an edge in either counts"] if lone else []
    )
    if (A.data != 1).any():
        says.append("weights of edges are not used")
    edges = np.stack([A.row, A.col], 1)
    return _noted(Graph.build(edges, features(x, bad)), [*says, _loops(A.row == A.col)])


def one_label(graph: Graph, group: Any, bad: Bad) -> tuple[Graph, np.ndarray]:
    """The nodes with exactly one label of a 0/1 matrix [n, classes], and its column; the others leave the graph.

    Raises
    ------
    BadInput
        Of another size than the graph; no node has one label.
    """
    group = np.asarray(_room.dense("group", group, bad))
    if group.dtype.kind not in "biuf":
        raise bad(f"group holds {group.dtype}: expected 0 and 1, a row for each node")
    group = group != 0
    if group.ndim != 2 or len(group) != graph.n:
        raise bad(f"group has {len(group)} rows for {graph.n} nodes")
    count = group.sum(1)
    keep = np.flatnonzero(count == 1)
    if not len(keep):
        raise bad("group: no node has exactly one label")
    says = []
    if several := int((count > 1).sum()):
        says.append(f"{several} of {graph.n} nodes with several labels are left out, with their edges")
    if none := int((count == 0).sum()):
        says.append(f"{none} of {graph.n} nodes without a label are left out, with their edges")
    return _noted(replace(graph.induced(keep), notes=graph.notes), says), group[keep].argmax(1)


def features(x: Any, bad: Bad) -> Any:
    """Node features as float32; CSR where most of them are 0.

    Raises
    ------
    BadInput
        NaN or infinity in them.
    """
    from scipy.sparse import csr_matrix, issparse

    values = x.data if issparse(x) else x
    if values.dtype.kind not in "biuf":
        raise bad(f"x: holds {values.dtype}: expected numbers, a row for each node")
    if not issparse(x) and x.ndim != 2:
        raise bad(f"x: has shape {'×'.join(map(str, x.shape))}: expected a row for each node")
    with np.errstate(over="ignore"):
        sparse = csr_matrix(x, dtype=np.float32)
    if not np.isfinite(sparse.data).all():
        row = int(np.searchsorted(sparse.indptr, np.flatnonzero(~np.isfinite(sparse.data))[0], side="right") - 1)
        raise bad(f"x: NaN or infinity in the features of node {row}")
    sparse.eliminate_zeros()
    sparse.sort_indices()
    return sparse if sparse.nnz <= SPARSE * np.prod(sparse.shape) else sparse.toarray()


def _nodes(x: Any, bad: Bad) -> int:
    """How many nodes have features."""
    if len(x.shape) != 2 or not all(x.shape):
        raise bad(f"x: has shape {'×'.join(map(str, x.shape)) or 'none'}: expected a row for each node")
    return int(x.shape[0])


SPARSE = 0.1  # share of values that are not 0 up to which features are kept sparse


def _loops(loops: np.ndarray) -> str:
    return f"{int(loops.sum())} edges from a node to itself are left out" if loops.any() else ""


def _noted(graph: Graph, says: list[str]) -> Graph:
    return replace(graph, notes=(*graph.notes, *filter(None, says)))
