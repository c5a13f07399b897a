from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import _graphs
from zoo.data.base import Dataset
from zoo.errors import BadInput
from zoo.graph import Graph
from zoo.ops.structure import one_hot_degrees


class Airports(Dataset):
    """Flights between the airports of Brazil, Europe and the USA; the classes are quartiles of their activity.

    The nodes have no features of their own. As in the literature on these networks (Wu et al. 2023), a node's features
    are its degree, one-hot; degrees from 255 on share the last place.
    """

    domains = ("brazil", "europe", "usa")
    kind = "graphs"
    cite = "ribeiro2017struc2vec"
    origin = "the networks published with Ribeiro et al., struc2vec (KDD 2017), github.com/leoribeiro/struc2vec"
    licence = "none stated; for research"
    folder = "airports"

    def load(self, domain: str, root: Path | None) -> tuple[Graph, np.ndarray]:  # type: ignore[override]
        labels = _table(self.file(root, f"labels-{domain}-airports.txt"), 1)
        path = self.file(root, f"{domain}-airports.edgelist")
        pairs = _table(path, 0)
        number = {node: i for i, node in enumerate(labels[:, 0].tolist())}
        for line, pair in enumerate(pairs.tolist(), 1):
            if odd := [v for v in pair if v not in number]:
                raise BadInput(f"{path}:{line}: node {odd[0]} has no label")
        edges = np.array([[number[u], number[v]] for u, v in pairs.tolist()])
        bare = np.zeros((len(labels), 1), np.float32)
        graph = _graphs.from_edges(edges, bare, lambda why: BadInput(f"{path}: {why}"), lambda i: f"line {i + 1}")
        return graph.with_features(one_hot_degrees(graph, 256)), labels[:, 1].astype(str)


def _table(path: Path, header: int) -> np.ndarray:
    """Two whole numbers a line."""
    rows = []
    for line, text in enumerate(path.read_text().splitlines()[header:], 1 + header):
        try:
            u, v = map(int, text.split())
        except ValueError:
            raise BadInput(f"{path}:{line}: expected two whole numbers, got {text!r}") from None
        rows.append((u, v))
    return np.array(rows)
