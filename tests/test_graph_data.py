"""Graphs as data: three formats, what is refused and how, protocols."""

from __future__ import annotations

import json
import re
from functools import partial

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csr_matrix

from zoo.bench import plan, suite
from zoo.data.formats.graph import Graph as File
from zoo.errors import BadInput
from zoo.graph import Graph, joined

CLASSES, D = 3, 8


def block_model(n=60, seed=0, shift=0.0):
    """Edges, features of 0 and 1, and labels 0 to 2, in an order that mixes the classes."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % CLASSES)
    A = np.triu(rng.random((n, n)) < np.where(y[:, None] == y, 0.25, 0.03), 1)
    x = (rng.random((n, D)) < 0.15 + 0.6 * (np.arange(D) % CLASSES == y[:, None])).astype(float)
    x[:, 0] = rng.random(n) < 0.2 + shift
    return np.argwhere(A), x, y


def write_csv(folder, edges, x, y, ids=lambda i: f"v{i}"):
    folder.mkdir(parents=True)
    (folder / "edges.csv").write_text("a,b\n" + "".join(f"{ids(u)},{ids(v)}\n" for u, v in edges))
    names = ",".join(f"f{j}" for j in range(x.shape[1]))
    rows = "".join(f"{ids(i)},{y[i]},{','.join(f'{v:g}' for v in x[i])}\n" for i in range(len(y)))
    (folder / "nodes.csv").write_text(f"id,label,{names}\n{rows}")
    return folder


def write_npz(path, edges, x, y):
    np.savez(path, edges=edges, x=x, y=y)
    return path


def write_mat(path, edges, x, y, n_classes=CLASSES):
    A = np.zeros((len(y), len(y)))
    A[tuple(edges.T)] = A[tuple(edges[:, ::-1].T)] = 1
    savemat(path, {"network": csr_matrix(A), "attrb": csr_matrix(x), "group": np.eye(n_classes)[y]})
    return path


WRITE = {"csv": write_csv, "npz": write_npz, "mat": write_mat}


def write_suite(folder, form="npz", name="mine", **keys):
    """Write two domains in a format and a suite over them; returns the suite's path."""
    keys = {"steps": 20, "batch_size": 32, "seeds": 2, "learning_rate": 0.01, "methods": ["source_only"]} | keys
    paths = {}
    for i, domain in enumerate(("one", "two")):
        suffix = "" if form == "csv" else f".{form}"
        paths[domain] = folder / f"{name}_{form}_{domain}{suffix}"
        if not paths[domain].exists():
            WRITE[form](paths[domain], *block_model(seed=i, shift=0.5 * i))
    data = {"format": "graph", "domains": {k: str(v) for k, v in paths.items()}}
    path = folder / f"{name}_{form}.yaml"
    path.write_text("\n".join(f"{k}: {json.dumps(v)}" for k, v in {"data": data, **keys}.items()))
    return path


@pytest.fixture
def graph_suite(tmp_path):
    return partial(write_suite, tmp_path)


def cells(path, methods):
    s = suite.load(str(path), {"methods": methods})
    pairs = plan.parse_pairs(s)
    from zoo import discover

    data = s.kind.load(s, pairs, None)
    return plan.build(s, plan.parse_rows(s, discover.methods(), []), pairs, data), data


# Files ----------------------------------------------------------------------------------------------------------------


def test_three_formats_give_the_same_cells(graph_suite):
    """Neither the format, nor the names of nodes, nor the order of edges matters."""
    ids = {form: {c.id for c in cells(graph_suite(form), ["source_only", "degree", "dan"])[0].cells} for form in WRITE}
    assert ids["csv"] == ids["npz"] == ids["mat"]
    assert len(ids["csv"]) == 2 * 2 + 2 * 2 + 2 + 2  # networks: 2 pairs × 2 seeds; base learners: 2 pairs


def test_edges_are_undirected_and_counted_once():
    graph = Graph.build([(3, 1), (1, 3), (0, 2), (2, 2)], np.zeros((4, 1)))
    assert graph.edges.tolist() == [[0, 2], [1, 3]]
    same = Graph.build([(2, 0), (1, 3)], csr_matrix(np.zeros((4, 1))))
    assert graph.digest == same.digest
    assert graph.digest != Graph.build([(2, 0), (1, 2)], np.zeros((4, 1))).digest
    assert graph.digest != Graph.build([(2, 0), (1, 3)], np.ones((4, 1))).digest


def test_induced_and_joined_against_a_loop():
    edges, x, _ = block_model()
    graph, rows = Graph.build(edges, x), np.random.default_rng(1).permutation(60)[:25]
    there = {tuple(sorted(e)) for e in edges.tolist()}
    wanted = sorted((i, j) for i in range(25) for j in range(i + 1, 25) if tuple(sorted((rows[i], rows[j]))) in there)
    sub = graph.induced(rows)
    assert [tuple(e) for e in sub.edges.tolist()] == wanted
    assert np.array_equal(sub.x, x[rows])
    both = joined([sub, graph])
    assert both.n == 85
    assert np.array_equal(both.edges[len(sub.edges) :], graph.edges + 25)


def test_an_asymmetric_network_is_said_to_be_one(tmp_path):
    edges, x, y = block_model()
    A = np.zeros((60, 60))
    A[tuple(edges.T)] = 1  # one direction only
    A[0, 0] = 1
    savemat(tmp_path / "a.mat", {"network": csr_matrix(A), "attrb": x, "group": np.eye(3)[y]})
    graph, _, _ = File(tmp_path / "a.mat").read()
    assert np.array_equal(graph.edges, Graph.build(edges, x).edges)
    assert graph.notes == (
        f"the network is not symmetric ({len(edges)} edges in one direction only): an edge in either counts",
        "1 edges from a node to itself are left out",
    )


def test_nodes_with_several_labels_leave_the_graph(tmp_path):
    edges, x, y = block_model()
    write_mat(tmp_path / "a.mat", edges, x, y)
    group = np.eye(3)[y]
    group[3], group[5] = [1, 1, 0], [0, 0, 0]
    A = np.zeros((60, 60))
    A[tuple(edges.T)] = A[tuple(edges[:, ::-1].T)] = 1
    savemat(tmp_path / "a.mat", {"network": A, "attrb": x, "group": group})
    graph, labels, _ = File(tmp_path / "a.mat").read()
    keep = np.delete(np.arange(60), [3, 5])
    assert graph.digest == Graph.build(edges, x.astype(np.float32)).induced(keep).digest
    assert np.array_equal(labels, y[keep])
    assert len(graph.notes) == 2


def test_other_layouts_of_npz(tmp_path):
    """Edges as two rows, an adjacency matrix, and sparse matrices in parts."""
    edges, x, y = block_model()
    A = np.zeros((60, 60))
    A[tuple(edges.T)] = A[tuple(edges[:, ::-1].T)] = 1
    S = csr_matrix(A)
    parts = {f"adjacency_{k}": getattr(S, k) for k in ("data", "indices", "indptr")} | {"adjacency_shape": S.shape}
    digests = set()
    for i, arrays in enumerate(({"edges": edges}, {"edges": edges.T}, {"adjacency": A}, parts)):
        np.savez(tmp_path / f"{i}.npz", x=x, y=y, **arrays)
        digests.add(File(tmp_path / f"{i}.npz").read()[0].digest)
    assert len(digests) == 1


# Bad input ------------------------------------------------------------------------------------------------------------


def lines(path):
    return path.read_text().splitlines()


def spoil_csv(folder, name, line, text):
    rows = lines(folder / name)
    rows[line - 1] = text
    (folder / name).write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("name", "line", "text", "says"),
    [
        ("edges.csv", 4, "v1,v99", "edges.csv: line 4: column 'b': unknown node 'v99': did you mean"),
        ("nodes.csv", 5, "v3,,0,0,0,0,0,0,0,0", "nodes.csv: y: line 5: node 'v3' has no label"),
        ("nodes.csv", 5, "v2,0,0,0,0,0,0,0,0,0", "nodes.csv: id: node 'v2' stands twice, in lines 4 and 5"),
        ("nodes.csv", 5, "v3,0,0,0,x,0,0,0,0,0", "nodes.csv: x: column 'f2', line 5: expected a number, got 'x'"),
        ("nodes.csv", 5, "v3,0,0,0,,0,0,0,0,0", "NaN or infinity in the features of node 3"),
    ],
)
def test_bad_folders(tmp_path, name, line, text, says):
    folder = write_csv(tmp_path / "g", *block_model())
    spoil_csv(folder, name, line, text)
    with pytest.raises(BadInput, match=re.escape(says)):
        File(folder).read()


def test_bad_arrays(tmp_path):
    edges, x, y = block_model()
    path = tmp_path / "a.npz"
    for arrays, says in (
        ({"edges": [*edges.tolist(), [2, 60]], "x": x, "y": y}, f"edges: row {len(edges)}: node 60 is unknown"),
        ({"edges": edges - 1, "x": x, "y": y}, "is unknown, nodes are 0 to 59"),
        ({"edges": edges[:, [0, 1, 1]], "x": x, "y": y}, "expected two node numbers for each edge"),
        ({"x": x, "y": y}, "has no edges or adjacency; it has x, y"),
        ({"edges": edges, "y": y}, "has no x; it has edges, y"),
        ({"adjacency": np.eye(5), "x": x, "y": y}, "network is 5×5 for 60 nodes with features"),
        ({"edges": edges, "x": np.where(x > 0, np.inf, x), "y": y}, "x: NaN or infinity in the features of node"),
        ({"edges": edges, "x": x[:, 0], "y": y}, "expected a row for each node"),
    ):
        np.savez(path, **{k: np.asarray(v) for k, v in arrays.items()})
        with pytest.raises(BadInput, match=re.escape(says)):
            File(path).read()


def test_bad_mat(tmp_path):
    _, x, y = block_model()
    path = tmp_path / "a.mat"
    for content, says in (
        ({"attrb": x, "group": np.eye(3)[y]}, "has no network; it has"),
        ({"network": np.eye(60), "attrb": x[:50], "group": np.eye(3)[y]}, "network is 60×60 for 50 nodes"),
        ({"network": np.eye(60), "attrb": x, "group": np.eye(3)[y[:50]]}, "group has 50 rows for 60 nodes"),
        ({"network": np.eye(60), "attrb": x, "group": np.ones((60, 3))}, "group: no node has exactly one label"),
    ):
        savemat(path, content)
        with pytest.raises(BadInput, match=re.escape(says)):
            File(path).read()


def test_the_command_says_it_in_one_line(graph_suite, zoo, tmp_path):
    path = graph_suite("csv")
    spoil_csv(tmp_path / "mine_csv_one", "edges.csv", 2, "v1,nowhere")
    done = zoo("run", path)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "data: domains: one: " in done.err
    assert "edges.csv: line 2: column 'b': unknown node 'nowhere'" in done.err


def test_what_has_no_meaning_is_refused(graph_suite, tmp_path, zoo):
    np.savez(tmp_path / "plain.npz", x=np.random.rand(20, 3), y=np.arange(20) % 2)
    (tmp_path / "plain.yaml").write_text(
        "data: {format: npz, domains: {a: plain.npz, b: plain.npz}}\nnet: gcn\nmethods: [source_only]\n"
    )
    assert "net gcn: reads graphs, and own has none" in zoo("run", tmp_path / "plain.yaml").err
    assert "augment: crop_flip is for photographs" in zoo("run", graph_suite(name="aug", augment="crop_flip")).err
    with pytest.raises(BadInput, match="labels: all needs protocol: holdout"):
        suite.load(str(graph_suite(name="all", labels="all")), {})  # transductive by default


def test_inspect_recognises_graphs(graph_suite, tmp_path, zoo):
    for form in WRITE:
        graph_suite(form)
        names = [tmp_path / f"mine_{form}_{d}{'' if form == 'csv' else f'.{form}'}" for d in ("one", "two")]
        done = zoo("data", "inspect", *names)
        assert done.code == 0, done.err
        assert "format: graph" in done.out
        (tmp_path / "found.yaml").write_text(done.out)
        assert suite.load(str(tmp_path / "found.yaml"), {}).net == "gcn"


# Protocols ------------------------------------------------------------------------------------------------------------


def test_defaults_of_graph_suites(graph_suite):
    s = suite.load(str(graph_suite()), {})
    assert (s.protocol, s.net, s.features) == ("transductive", "gcn", "raw")
    assert suite.load(str(graph_suite(name="held", protocol="holdout")), {}).protocol == "holdout"


def test_transductive_fit_sees_the_whole_target_graph(graph_suite):
    s = suite.load(str(graph_suite()), {})
    _, data = cells(graph_suite(), ["source_only"])
    pair = s.kind.draws(s, data).pair("one", "two", 0)
    assert pair.fields["At"] is data.domains["two"].graph
    assert pair.fields["Xt"].tolist() == list(range(60))
    assert np.array_equal(pair.y_test, data.domains["two"].y)


def test_holdout_fit_sees_the_subgraph_of_the_adapt_part(graph_suite):
    path = graph_suite(name="held", protocol="holdout", labels=2)
    s = suite.load(str(path), {})
    _, data = cells(path, ["source_only"])
    protocol = s.kind.draws(s, data)
    pair, two = protocol.pair("one", "two", 0), data.domains["two"]
    adapt = protocol.adapt_rows(s, two, 0)
    At = pair.fields["At"]
    assert At.digest == two.graph.induced(adapt).digest
    assert pair.whole["At"] is two.graph
    # Unlabelled, labelled and test nodes are all nodes of the target, each once, by their features and labels.
    chosen, rest = adapt[pair.fields["Xl"]], adapt[pair.fields["Xt"]]
    assert sorted([*chosen, *rest, *pair.test]) == list(range(60))
    assert np.array_equal(two.y[chosen], pair.fields["yl"])
    assert np.array_equal(two.y[pair.test], pair.y_test)
    assert np.array_equal(At.x[pair.fields["Xl"]], two.graph.x[chosen])
    assert np.array_equal(pair.adapt, rest)
    assert pair.fields["As"].n == len(pair.fields["ys"]) == 48


def test_base_learners_see_features_of_the_same_nodes(graph_suite):
    s = suite.load(str(graph_suite()), {})
    _, data = cells(graph_suite(), ["source_only"])
    protocol = s.kind.draws(s, data)
    nodes, rows = protocol.pair("one", "two", 0), protocol.pair("one", "two", 0, base=True)
    assert np.array_equal(rows.fields["Xs"], nodes.fields["As"].x[nodes.fields["Xs"]])
    assert np.array_equal(rows.fields["ys"], nodes.fields["ys"])


def test_nodes_are_numbered_by_content_not_as_in_the_file(graph_suite):
    """The order of the file may be that of the classes; the numbers that methods see are drawn anew."""
    _, data = cells(graph_suite(), ["source_only"])
    domain = data.domains["one"]
    _, x, y = block_model(seed=0)
    assert not np.array_equal(domain.rows, np.arange(60))
    assert np.array_equal(domain.graph.x, x[domain.rows])
    assert np.array_equal(domain.y, y[domain.rows])


def test_normalisation_of_sparse_features(tmp_path, graph_suite):
    for i, domain in enumerate(("one", "two")):
        edges, x, y = block_model(seed=i)
        wide = np.concatenate([x, np.zeros((60, 200))], 1)
        np.savez(tmp_path / f"mine_npz_{domain}.npz", edges=edges, x=wide, y=y)
    path = graph_suite(normalise=["l2"])
    s = suite.load(str(path), {})
    _, data = cells(path, ["source_only"])
    assert hasattr(data.domains["one"].graph.x, "indptr")
    pair = s.kind.draws(s, data).pair("one", "two", 0)
    norms = np.linalg.norm(pair.fields["As"].x.toarray(), axis=1)
    assert set(np.round(norms, 5)) <= {0.0, 1.0}
    with pytest.raises(BadInput, match=r"normalise: zscore would make the sparse node features of domain one dense"):
        cells(graph_suite(name="mine", normalise=["zscore"]), ["source_only"])
