"""What methods on graphs are made of: against dense matrices, loops and closed forms."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo import nets
from zoo.graph import Graph
from zoo.nets._graphs import Graphs
from zoo.ops.convolution import Sparse, adjacency, degrees, mutual_information, ppmi, walk_counts


def random_graph(n=14, m=30, d=5, seed=0, sparse=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32) * (rng.random((n, d)) < 0.6)
    if sparse:
        from scipy.sparse import csr_matrix

        x = csr_matrix(x)
    return Graph.build(rng.integers(n, size=(m, 2)), x)


def dense(graph):
    A = np.zeros((graph.n, graph.n))
    for u, v in np.asarray(graph.edges).tolist():
        A[u, v] = A[v, u] = 1
    return A


def full(S):
    return (S @ torch.eye(S.shape[1])).double().numpy()


def normalised(W):
    """``D^-½ W D^-½`` by two loops."""
    out, d = np.zeros_like(W), W.sum(1)
    for i in range(len(W)):
        for j in range(len(W)):
            out[i, j] = W[i, j] / math.sqrt(d[i] * d[j]) if W[i, j] else 0
    return out


# Message passing ------------------------------------------------------------------------------------------------------


def test_normalised_adjacency_against_a_loop():
    graph = random_graph()
    wanted = normalised(dense(graph) + np.eye(graph.n))
    assert full(adjacency(graph.to("cpu"))) == pytest.approx(wanted, abs=1e-6)


def test_weighted_adjacency_against_a_loop():
    """The plain graph's matrix, entries times their edges' weights."""
    graph = random_graph().to("cpu")
    w = torch.rand(len(graph.edges), generator=torch.Generator().manual_seed(0)) + 0.1
    wanted = normalised(dense(graph) + np.eye(graph.n))
    for (u, v), x in zip(graph.edges.tolist(), w.tolist(), strict=True):
        wanted[u, v] *= x
        wanted[v, u] *= x
    assert full(adjacency(replace(graph, weights=w))) == pytest.approx(wanted, abs=1e-6)


def test_degrees_are_numbers_of_neighbours():
    graph = random_graph()
    assert degrees(graph.to("cpu")).tolist() == dense(graph).sum(1).tolist()


@pytest.mark.parametrize("sparse", [False, True])
def test_gcn_against_dense_numpy(sparse):
    """Two layers and the head, of nodes of two graphs in one batch, and the gradients of all parameters."""
    s, t = random_graph(seed=1, sparse=sparse), random_graph(n=9, m=12, seed=2, sparse=sparse)
    net = nets.build("gcn", (), 3, graphs=Graphs(s.to("cpu"), t.to("cpu"))).double().eval()
    net.nodes.s, net.nodes.t = (
        replace(g, x=g.x.double() if not sparse else g.x.to(torch.float64)) for g in (net.nodes.s, net.nodes.t)
    )
    batch = torch.tensor([3, ~0, ~13, 8, 3])  # target nodes, and source nodes from -1 down

    def by_hand(W1, b1, W2, b2, W, b):
        found = {}
        for name, g in (("s", s), ("t", t)):
            A = torch.from_numpy(normalised(dense(g) + np.eye(g.n)))
            x = torch.from_numpy(np.asarray(g.x.todense() if sparse else g.x, np.float64))
            found[name] = torch.relu(A @ torch.relu(A @ x @ W1.T + b1) @ W2.T + b2) @ W.T + b
        return torch.stack([found["t"][i] if i >= 0 else found["s"][-1 - i] for i in batch.tolist()])

    parameters = list(net.parameters())
    out, wanted = net(batch), by_hand(*parameters)
    assert torch.allclose(out, wanted, atol=1e-6)
    weight = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(0))
    for a, b in zip(
        torch.autograd.grad((out * weight).sum(), parameters),
        torch.autograd.grad((wanted * weight).sum(), parameters),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-5)
    for p, g in zip(parameters, torch.autograd.grad(net(batch).sum(), parameters), strict=True):
        assert g.stride() == p.stride()  # else a fused optimiser moves the wrong entries


def test_nodes_of_one_graph_are_scored_as_among_both():
    s, t = random_graph(seed=1).to("cpu"), random_graph(seed=2).to("cpu")
    net = nets.build("gcn", (), 3, graphs=Graphs(s, t)).eval()
    x = torch.arange(5)
    both = net(torch.cat([x, ~x]))
    assert torch.allclose(both, torch.cat([net(x), net(~x)]), atol=1e-6)
    assert net.nodes.which(x) == "t"
    assert net.nodes.which(~x) == "s"


def test_permutation_equivariance():
    """Numbering the nodes anew changes no node's scores (Kipf and Welling 2017)."""
    graph = random_graph()
    order = np.random.default_rng(5).permutation(graph.n)
    net = nets.build("gcn", (), 3, graphs=Graphs(t=graph.to("cpu"))).eval()
    before = net.predict(torch.arange(graph.n))
    net.nodes.bind(t=graph.induced(order).to("cpu"))
    assert torch.allclose(net.predict(torch.arange(graph.n)), before[torch.from_numpy(order)], atol=1e-6)


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("", "")])
def test_binding_reaches_copies_and_changes_scores(first, second):
    one, other = (replace(random_graph(seed=k).to("cpu"), key=key) for k, key in ((1, first), (2, second)))
    net = nets.build("gcn", (), 3, graphs=Graphs(t=one)).eval()
    twin, x = copy.deepcopy(net), torch.arange(5)
    before = twin(x)
    net.nodes.bind(t=other)
    assert torch.equal(twin(x), net(x))
    assert not torch.allclose(twin(x), before)


def test_sparse_blocks_and_transpose():
    g = torch.Generator().manual_seed(0)
    A, B = ((torch.rand(3, k, generator=g) < 0.5).float() for k in (4, 2))
    made = [Sparse.of(*M.nonzero().T, M[M > 0], tuple(M.shape)) for M in (A, B)]
    assert np.array_equal(full(Sparse.blocks(made)), torch.block_diag(A, B).numpy())
    assert np.array_equal(full(made[0].t()), A.T.numpy())


# Random walks ---------------------------------------------------------------------------------------------------------


def test_mutual_information_against_brute_force():
    C = np.random.default_rng(0).integers(0, 5, (7, 7))
    np.fill_diagonal(C, 0)
    rows, columns = (torch.from_numpy(a) for a in C.nonzero())
    found = mutual_information(rows, columns, torch.from_numpy(C[C > 0]), 7)
    for i, j, value in zip(rows.tolist(), columns.tolist(), found.tolist(), strict=True):
        p = C[i, j] / C.sum()
        expected = math.log(p / ((C[i].sum() / C.sum()) * (C[:, j].sum() / C.sum())))
        assert value == pytest.approx(max(0.0, expected), abs=1e-12)


def test_walks_visit_as_often_as_the_transition_matrix_says():
    """A walk of a length drawn from 1 to L is at its k-th node with probability (L - k + 1) / L."""
    graph, L, walks = random_graph(n=8, m=12), 3, 20000
    A = dense(graph)
    degree = A.sum(1, keepdims=True)
    P = np.divide(A, degree, where=degree > 0, out=np.zeros_like(A))
    wanted = sum((L - k + 1) / L * np.linalg.matrix_power(P, k) for k in range(1, L + 1))
    np.fill_diagonal(wanted, 0)
    rows, columns, counts = walk_counts(graph.to("cpu"), L, walks, seed=0)
    found = np.zeros_like(wanted)
    found[rows, columns] = counts / walks
    assert found == pytest.approx(wanted, abs=0.02)


def test_ppmi_matrix_is_normalised_and_finite_with_lonely_nodes():
    graph = Graph.build([(0, 1), (1, 2), (2, 3)], np.ones((6, 1), np.float32))  # nodes 4 and 5 have no edge
    S = full(ppmi(graph.to("cpu"), length=3, walks=50, seed=0))
    assert np.isfinite(S).all()
    assert S[4].tolist() == [0, 0, 0, 0, 1, 0]
    P = S.copy()  # of D^-½ (P + I) D^-½ the diagonal is 1 / D, from which P and its row sums follow
    D = 1 / P.diagonal()
    back = np.sqrt(D)[:, None] * P * np.sqrt(D)
    assert back.sum(1) == pytest.approx(D, rel=1e-4)
