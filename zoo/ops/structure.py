"""Features of nodes from the structure of their graph alone. numpy only."""

from __future__ import annotations

import numpy as np

from zoo.graph import Graph


def one_hot_degrees(graph: Graph, width: int) -> np.ndarray:
    """Each node's number of neighbours, one-hot, float32 [n, width]; those from ``width - 1`` on share a place.

    >>> one_hot_degrees(Graph.build([(0, 1), (0, 2)], np.zeros((4, 1))), 3).tolist()
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    degree = np.bincount(graph.edges.ravel(), minlength=graph.n)
    return np.eye(width, dtype=np.float32)[np.minimum(degree, width - 1)]
