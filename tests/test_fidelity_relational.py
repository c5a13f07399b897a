"""Label propagation against scikit-learn's LabelSpreading on the same graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_moons
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading

from zoo.adapters.relational.label_propagation import LabelPropagation
from zoo.errors import BadInput
from zoo.ops.graphs import affinities, knn_graph, neighbours
from zoo.task import Task


def moons() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y = make_moons(300, noise=0.1, random_state=0)
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    Xt, _ = make_moons(200, noise=0.1, random_state=1)
    return X.astype(np.float32), y, (Xt @ turn).astype(np.float32)


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    X = X + np.random.default_rng(0).uniform(0, 1e-2, X.shape)  # whole numbers tie, and ties are anyone's choice
    return X[:600].astype(np.float32), y[:600], X[600:1000].astype(np.float32)


def graph_by_scipy(X: np.ndarray, k: int) -> np.ndarray:
    """The same graph, built with scikit-learn's exact search and dense NumPy."""
    D, index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(X.astype(np.float64)).kneighbors()
    beyond = D**2 - D[:, :1] ** 2
    W = np.zeros((len(X), len(X)))
    np.put_along_axis(W, index, np.exp(-beyond / beyond.mean(1, keepdims=True)), 1)
    return (W + W.T) / 2


@pytest.mark.reference(
    method="label_propagation",
    source="Zhou et al. 2004; scikit-learn's LabelSpreading on the same graph",
    compared="scores of the target (abs. 1e-6)",
    differs="edges by each sample's own scale; unreached samples have the class frequencies",
)
@pytest.mark.parametrize(("data", "alpha", "k"), [(moons, 0.9, 10), (moons, 0.5, 4), (digits, 0.9, 10)])
def test_equals_label_spreading(data, alpha, k):
    Xs, ys, Xt = data()
    ours = LabelPropagation(k=k, alpha=alpha).fit(Task.from_arrays(Xs, ys, Xt))
    W = graph_by_scipy(np.concatenate([Xs, Xt]), k)
    theirs = LabelSpreading(kernel=lambda X, Y: W, alpha=alpha, max_iter=5000, tol=1e-14)
    theirs.fit(np.concatenate([Xs, Xt]), np.concatenate([ys, np.full(len(Xt), -1)]))
    reached = theirs.label_distributions_[len(Xs) :].sum(1) > 0
    assert reached.mean() > 0.9
    np.testing.assert_allclose(
        ours.scores_t().numpy()[reached], theirs.label_distributions_[len(Xs) :][reached], atol=1e-6
    )


def test_graph_is_sparse_and_symmetric():
    Xs, _, Xt = moons()
    W = knn_graph(torch.from_numpy(np.concatenate([Xs, Xt])), 7)
    assert W.layout == torch.sparse_csr
    assert len(W.values()) <= 2 * 7 * 500
    np.testing.assert_allclose(W.to_dense().numpy(), graph_by_scipy(np.concatenate([Xs, Xt]), 7), atol=1e-9)


def test_chunks_do_not_matter():
    X = torch.from_numpy(digits()[0])
    for loops in (True, False):
        D, index = neighbours(X, X, 5, loops=loops, chunk=77)
        whole, index_whole = neighbours(X, X, 5, loops=loops)
        torch.testing.assert_close(D, whole)
        assert bool((index == index_whole).all())
        assert bool((index[:, 0] == torch.arange(len(X))).all()) == loops


def test_new_points_get_the_weighted_mean_of_their_neighbours():
    Xs, ys, Xt = moons()
    method = LabelPropagation().fit(Task.from_arrays(Xs, ys, Xt))
    new = moons()[2][:20] + 0.05
    nodes = np.concatenate([Xs, Xt]).astype(np.float64)
    scores = method.predict(torch.from_numpy(new)).numpy()
    for x, row in zip(new.astype(np.float64), scores, strict=True):
        D = ((nodes - x) ** 2).sum(1)
        near = np.argsort(D)[:10]
        beyond = D[near] - D[near[0]]
        expected = np.average(method.scores_.numpy()[near], axis=0, weights=np.exp(-beyond / beyond.mean()))
        np.testing.assert_allclose(row, expected, atol=1e-6)


def test_unreached_nodes_get_the_class_frequencies():
    g = torch.Generator().manual_seed(0)
    Xs = torch.randn(40, 2, generator=g)
    ys = (torch.arange(40) % 4 == 0).long()  # frequencies 3/4 and 1/4
    Xt = torch.cat([torch.randn(30, 2, generator=g), torch.randn(30, 2, generator=g) + 1e3])
    scores = LabelPropagation(k=5).fit(Task.from_arrays(Xs, ys, Xt)).scores_t()
    torch.testing.assert_close(scores[30:], torch.tensor([[0.75, 0.25]]).double().expand(30, 2))
    assert float((scores[:30] - scores[30]).abs().max()) > 0.1


def test_equal_rows_share_their_weight():
    Xs = torch.tensor([[0.0, 0.0], [5.0, 5.0]]).repeat(20, 1)  # every distance within a group is 0
    ys = torch.tensor([0, 1]).repeat(20)
    method = LabelPropagation().fit(Task.from_arrays(Xs, ys, Xs[:6] + 1e-3))
    assert bool(torch.isfinite(method.scores_).all())
    assert method.predict(Xs).argmax(1).tolist() == ys.tolist()
    assert affinities(torch.zeros(2, 3)).tolist() == [[1.0] * 3] * 2


def test_distances_that_would_underflow_keep_their_neighbours():
    """exp(-d²) itself would be 0 for every neighbour here, and the labels would reach nothing."""
    Xs, ys, Xt = moons()
    near = LabelPropagation().fit(Task.from_arrays(Xs, ys, Xt)).scores_t()
    far = LabelPropagation().fit(Task.from_arrays(Xs * 1024, ys, Xt * 1024)).scores_t()
    torch.testing.assert_close(near, far)


def test_a_single_target_sample_and_few_nodes():
    method = LabelPropagation().fit(Task.from_arrays([[0.0], [1.0], [10.0]], [0, 0, 1], [[9.0]]))
    assert method.scores_t().shape == (1, 2)
    torch.testing.assert_close(method.predict(torch.tensor([[9.5]])).sum(1), torch.ones(1).double())


@pytest.mark.parametrize("bad", [{"k": 0}, {"alpha": 1.0}, {"alpha": 0.0}])
def test_refuses(bad):
    with pytest.raises(BadInput, match="label_propagation"):
        LabelPropagation(**bad).fit(Task.from_arrays([[0.0], [1.0]], [0, 1], [[0.5]]))
