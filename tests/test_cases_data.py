"""Situations that people report of their own vectors and tables: each is read right, or is one line that says how.

The numbers are those of `../shared/cases`; values are compared with what pandas, scipy and scikit-learn give by hand.
"""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.io import savemat

from zoo import discover
from zoo.bench import plan
from zoo.bench.suite import load
from zoo.data import _inspect
from zoo.errors import BadInput


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(seed, n=60, shift=0.0):
    y = np.arange(n) % 2
    X = np.random.default_rng(seed).normal(size=(n, 3)) + 2 * y[:, None] + shift
    return pd.DataFrame(X, columns=["f0", "f1", "f2"]).round(3).assign(y=y)


def pair(change=lambda name, frame: frame, end="csv", **how):
    for seed, name in enumerate("ab"):
        change(name, table(seed)).to_csv(f"{name}.{end}", index=False, **how)


def suite(data, more=""):
    Path("mine.yaml").write_text(f"data: {data}\nmethods: [source_only]\n{more}")
    return load("mine.yaml", {})


def domains(data, more=""):
    asked = suite(data, more)
    return asked, asked.kind.load(asked, plan.parse_pairs(asked), None)


def line(data, more=""):
    with pytest.raises(BadInput) as error:
        domains(data, more)
    assert "\n" not in str(error.value)
    return str(error.value)


def rows(domain):
    """Samples in the order of their file."""
    return domain.X[np.argsort(domain.rows)]


CSV = "{format: csv, domains: {a: a.csv, b: b.csv}}"
NPZ = "{format: npz, domains: {a: a.npz, b: b.npz}}"


def csv(**keys):
    return CSV[:-1] + "".join(f", {k}: {v}" for k, v in keys.items()) + "}"


def runs(*files):
    """The suite that inspect prints, loaded as `zoo run` loads it."""
    found = _inspect.inspect([Path(f) for f in files])
    assert not found["problem"], found["problem"]
    Path("new.yaml").write_text(_inspect.text(found))
    asked = load("new.yaml", {})
    return asked, asked.kind.load(asked, plan.parse_pairs(asked), None)


# Labels ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", ["{:.3e}", "0{}", "+{}", "{}.0", " {} "])
def test_case01_numbers_are_one_class_however_written(write):
    pair(lambda n, t: t.assign(y=[write.format(v + 1) for v in t.y]) if n == "a" else t.assign(y=t.y + 1))
    assert domains(CSV)[1].classes == ["1", "2"]


def test_case01_truth_is_a_number():
    pair(lambda n, t: t.assign(y=t.y.astype(bool)) if n == "a" else t)
    assert domains(CSV)[1].classes == ["0", "1"]
    pair(lambda n, t: t.assign(y=np.where(t.y, "true", "maybe")))
    assert domains(CSV)[1].classes == ["maybe", "true"]


@pytest.mark.parametrize("mark", [-1, ""])
def test_case16_samples_without_a_label_are_adapted_to_and_not_scored(mark):
    pair(lambda n, t: t.assign(y=[mark if i < 30 and n == "b" else v for i, v in enumerate(t.y)]))
    asked, data = domains(CSV, "pairs: ['a:b']\n")
    assert (data.classes, len(data.domains["b"].y), len(data.domains["b"].X)) == (["0", "1"], 30, 60)
    assert "30 of 60 samples have no label" in data.domains["b"].notes[0]
    drawn = asked.kind.draws(asked, data).pair("a", "b", 0)
    assert (len(drawn.fields["Xt"]), len(drawn.y_test), len(drawn.oracle["yt"])) == (54, 6, 24)
    assert set(drawn.rows["test"]) <= set(range(30, 60))
    assert set(range(30)) <= set(drawn.rows["adapt"])
    assert not set(drawn.rows["test"]) & set(drawn.rows["adapt"])
    np.testing.assert_array_equal(drawn.fields["Xt"], rows(data.domains["b"])[drawn.rows["adapt"]])


def test_case16_transductive_scores_only_what_has_a_label():
    pair(lambda n, t: t.assign(y=np.where(np.arange(60) < 30, -1, t.y)) if n == "b" else t)
    asked, data = domains(CSV, "pairs: ['a:b']\nprotocol: transductive\n")
    drawn = asked.kind.draws(asked, data).pair("a", "b", 0)
    now = drawn.round(0, oracle=False)
    assert len(now.sets["test"]) == len(now.fields["Xt"]) == 60
    kept = drawn.gathered([{"test": now.sets["test"]}])["test"]  # its features in place of scores
    np.testing.assert_array_equal(kept, rows(data.domains["b"])[drawn.rows["test"]])
    assert (len(kept), len(drawn.y_test)) == (30, 30)


def test_case16_minus_one_is_a_class_where_all_have_it_or_where_it_is_one_of_two():
    pair(lambda n, t: t.assign(y=np.arange(60) % 3 - 1))
    assert domains(CSV)[1].classes == ["0", "1", "-1"]
    pair(lambda n, t: t.assign(y=2 * t.y - 1))
    assert domains(CSV)[1].classes == ["1", "-1"]


def test_case24_25_a_quantity_is_named():
    pair(lambda n, t: t.assign(y=(t.f0 + 0.01).round(2)))
    assert "task: regression predicts a quantity" in line(CSV)
    for seed, name in enumerate("ab"):
        t = table(seed, 300)
        t.assign(y=20 + t.f0.rank().astype(int) % 60).to_csv(f"{name}.csv", index=False)
    assert "y holds 60 whole numbers from 20 to 79" in domains(CSV)[1].domains["a"].notes[-1]


def test_case43_classes_that_differ_in_case_beside_one_that_only_one_domain_has():
    pair(
        lambda n, t: t.assign(
            y=np.array(["Cat", "Dog", "bird"] if n == "a" else ["cat", "dog"])[np.arange(60) % (3 if n == "a" else 2)]
        )
    )
    assert "differ only in case from those of a.csv, such as cat and Cat" in line(CSV)


def test_case65_what_would_run_is_said_and_runs():
    for name, k in (("a", 3), ("b", 4)):
        y = np.arange(120) % k
        np.savez(f"{name}.npz", X=np.random.default_rng(k).normal(size=(120, 4)) + y[:, None], y=y)
    said = line(NPZ, "pairs: ['a:b']\n")
    assert "no source sample has class 3; classes: shared runs it on the 3 classes" in said
    _, data = domains(NPZ, "pairs: ['a:b']\nclasses: shared\n")
    assert (data.classes, len(data.domains["b"].y)) == (["0", "1", "2"], 90)


def test_a_class_with_too_few_for_labels_leaves_the_other_cells():
    y = np.r_[np.arange(57) % 2, 2, 2, 2]
    for seed, name in enumerate("ab"):
        np.savez(f"{name}.npz", X=np.random.default_rng(seed).normal(size=(60, 3)), y=y)
    asked, data = domains(NPZ, "labels: 3\npairs: ['a:b']\n")
    assert "labels: 3 needs 4 samples of every class in the adapt part" in data.few["b"]
    known = discover.methods()
    ready = plan.build(asked, plan.parse_rows(asked, known, []), [("a", "b")], data)
    assert {c.row.info.name for c in ready.cells} == {"source_only"}
    Path("few.yaml").write_text(f"data: {NPZ}\nlabels: 3\npairs: ['a:b']\nmethods: [labelled_only, coral, dan]\n")
    ready = plan.build(asked, plan.parse_rows(load("few.yaml", {}), known, []), [("a", "b")], data)
    assert not any("Xl" in c.grant for c in ready.cells)
    assert {"coral", "dan", "source_only"} == {c.row.info.name for c in ready.cells}
    assert {u["label"] for u in ready.unsupported} == {"labelled_only", "dan"}
    drawn = asked.kind.draws(asked, data).pair("a", "b", 0)
    assert np.bincount(drawn.fields["yl"], minlength=3).tolist() == [3, 3, 0]


def test_a_target_of_one_sample():
    pair(lambda n, t: t[:1] if n == "b" else t)
    assert "domain b has 1 labelled sample" in line(CSV, "pairs: ['a:b']\n")


# Domains --------------------------------------------------------------------------------------------------------------


def test_case13_14_one_file_with_many_domains():
    for names in (["a", "b", "c d"], [0, 1, 2]):
        pd.concat([table(i).assign(domain=n) for i, n in enumerate(names)]).to_csv("all.csv", index=False)
        said = line("{format: csv, domains: {a: all.csv, b: ./all.csv}}")
        assert said.endswith("if it holds several, file: all.csv and by: domain in place of domains")
        _, data = domains("{format: csv, file: all.csv, by: domain, y: y}")
        assert [*data.domains] == (["a", "b", "c_d"] if names[0] == "a" else ["0", "1", "2"])
        for i, domain in enumerate(data.domains.values()):
            np.testing.assert_allclose(rows(domain), table(i)[["f0", "f1", "f2"]], rtol=1e-6)
        asked, _ = runs("all.csv")
        assert asked.data.by == "domain"


def test_several_files_a_domain_and_globs():
    pair()
    table(2).to_csv("a2.csv", index=False)
    for given in ("[a.csv, a2.csv]", "'a*.csv'"):
        _, data = domains(f"{{format: csv, domains: {{a: {given}, b: b.csv}}}}")
        whole = pd.concat([table(0), table(2)])[["f0", "f1", "f2"]]
        np.testing.assert_allclose(rows(data.domains["a"]), whole, rtol=1e-6)


def test_case32_a_key_for_each_domain_and_cells():
    F, L = np.empty((1, 3), object), np.empty((1, 3), object)
    for i in range(3):
        F[0, i], L[0, i] = np.random.default_rng(i).normal(size=(40, 9)), (np.arange(40) % 2)[:, None]
    savemat("land.mat", {"feature": F, "label": L})
    said = line("{format: mat, domains: {a: land.mat, b: land.mat}, x: feature, y: label}")
    assert "label is a cell array of 3 matrices" in said
    _, data = runs("land.mat")
    assert len(data.domains) == 3
    np.testing.assert_allclose(rows(data.domains["domain2"]), F[0, 1], rtol=1e-5)
    np.savez("both.npz", Xs=F[0, 0], ys=L[0, 0], Xt=F[0, 1], yt=L[0, 1])
    _, data = domains("{format: npz, file: both.npz, x: {s: Xs, t: Xt}, y: {s: ys, t: yt}}")
    np.testing.assert_allclose(rows(data.domains["t"]), F[0, 1], rtol=1e-5)
    assert {d.name for d in runs("both.npz")[1].domains.values()} == {"s", "t"}


def test_case68_the_same_file_or_the_same_samples_twice():
    np.savez("a.npz", X=np.random.default_rng(0).normal(size=(100, 30)), y=np.arange(100) % 2)
    assert "a and b are the same file, a.npz" in line("{format: npz, domains: {a: a.npz, b: ./a.npz}}")
    order = np.random.default_rng(1).permutation(100)
    with np.load("a.npz") as whole:
        np.savez("b.npz", X=whole["X"][order], y=whole["y"][order])
    assert "a and b hold the same samples (100 of the 100" in line(NPZ)
    with np.load("a.npz") as whole:
        other = np.random.default_rng(2).normal(size=(80, 30))
        np.savez("b.npz", X=np.r_[whole["X"][:5], other], y=np.r_[whole["y"][:5], np.arange(80) % 2])
    assert "5 of the 85 samples of b stand, with their labels, in both" in domains(NPZ)[1].domains["b"].notes[0]


def test_few_binary_features_may_be_alike():
    for seed, name in enumerate("ab"):
        X = np.random.default_rng(seed).integers(0, 2, (200, 4))
        np.savez(f"{name}.npz", X=X, y=np.arange(200) % 2)
    assert not domains(NPZ)[1].domains["b"].notes


# Files ----------------------------------------------------------------------------------------------------------------


def expected(seed):
    return table(seed)[["f0", "f1", "f2"]].to_numpy()


@pytest.mark.parametrize(
    ("how", "keys"),
    [
        ({"sep": ";"}, {}),
        ({"sep": "\t"}, {}),
        ({"sep": " "}, {}),
        ({"sep": "|"}, {}),
        ({"encoding": "utf-16"}, {}),
        ({"encoding": "utf-8-sig", "lineterminator": "\r\n"}, {}),
        ({"sep": ";", "decimal": ",", "encoding": "utf-8-sig", "lineterminator": "\r\n"}, {"decimal": "','"}),
        ({"header": False}, {"header": "none", "y": 3}),
        ({"quoting": 1}, {}),
        ({"compression": "gzip"}, {}),
    ],
)
def test_case19_20_22_33_text_of_any_kind(how, keys):
    pair(**how)
    _, data = domains(csv(**keys))
    np.testing.assert_array_equal(rows(data.domains["b"]), expected(1).astype(np.float32))
    if keys:
        assert {"decimal": "decimal: ','", "header": "header: none"}[next(iter(keys))] in line(CSV)
    _, data = runs("a.csv", "b.csv")
    np.testing.assert_array_equal(rows(data.domains["b"]), expected(1).astype(np.float32))


def test_trailing_separators_and_padded_names():
    for seed, name in enumerate("ab"):
        body = "".join(f"{a}, {b} ,{c},{d},\n" for a, b, c, d in table(seed).to_numpy())
        Path(f"{name}.csv").write_text(' "f0" , f1,"f2", y ' + ("," if name == "a" else "") + "\n" + body)
    np.testing.assert_array_equal(rows(domains(CSV)[1].domains["a"]), expected(0).astype(np.float32))


def test_case22_names_that_are_numbers():
    pair(lambda n, t: t.set_axis(["0", "1", "2", "3"], axis=1))
    np.testing.assert_array_equal(rows(domains(csv(y=3))[1].domains["b"]), expected(1).astype(np.float32))


def test_case33_no_header_and_the_class_first():
    for seed, name in enumerate("ab"):
        t = table(seed)
        t[["y", "f0", "f1", "f2"]].assign(y=np.array(["T", "I"])[t.y]).to_csv(f"{name}.csv", index=False, header=False)
    assert "looks like a sample (T, " in line(csv(y="T"))
    _, data = runs("a.csv", "b.csv")
    assert data.classes == ["I", "T"]
    np.testing.assert_array_equal(rows(data.domains["b"]), expected(1).astype(np.float32))


def test_case18_svmlight_of_other_widths():
    from sklearn.datasets import dump_svmlight_file

    X = {n: (np.random.default_rng(s).random((60, 30 - s)) < 0.2) * 1.0 for s, n in enumerate("ab")}
    for n in "ab":
        dump_svmlight_file(X[n], 2 * (np.arange(60) % 2) - 1, f"{n}.libsvm", zero_based=False)
    for _, data in (domains("{format: svmlight, domains: {a: a.libsvm, b: b.libsvm}}"), runs("a.libsvm", "b.libsvm")):
        assert data.classes == ["1", "-1"]
        np.testing.assert_array_equal(rows(data.domains["b"])[:, :29], X["b"])


def test_arff():
    for seed, name in enumerate("ab"):
        head = (
            "@relation r\n" + "".join(f"@attribute f{i} numeric\n" for i in range(3)) + "@attribute k {no,yes}\n@data\n"
        )
        body = "".join(f"{a},{b},{c},{'yes' if d else 'no'}\n" for a, b, c, d in table(seed).to_numpy())
        Path(f"{name}.arff").write_text(head + body)
    _, data = runs("a.arff", "b.arff")
    assert data.classes == ["no", "yes"]
    _, data = domains("{format: arff, domains: {a: a.arff, b: b.arff}}")
    np.testing.assert_array_equal(rows(data.domains["a"]), expected(0).astype(np.float32))


def test_case41_sparse_matrices_and_npy():
    for seed, name in enumerate("ab"):
        sp.save_npz(f"{name}.npz", sp.random(60, 30, 0.2, format="csr", rng=np.random.default_rng(seed)))
        np.save(f"{name}_y.npy", np.arange(60) % 2)
        np.save(f"{name}_X.npy", expected(seed))
    assert "is a sparse matrix, which scipy saved without labels" in line(NPZ)
    _, data = domains("{format: npz, domains: {a: [a.npz, a_y.npy], b: [b.npz, b_y.npy]}}")
    np.testing.assert_allclose(rows(data.domains["b"]), sp.load_npz("b.npz").toarray(), rtol=1e-6)
    _, data = runs("a_X.npy", "a_y.npy", "b_X.npy", "b_y.npy")
    assert sorted(data.domains) == ["a", "b"]


def test_case63_large_sparse_samples_stay_sparse():
    y = np.arange(400) % 2
    for seed, name in enumerate("ab"):
        S = sp.random(400, 60000, 0.0005, format="csc", rng=np.random.default_rng(seed))
        savemat(f"{name}.mat", {"X": S, "y": y[:, None]})
    asked, data = domains("{format: mat, domains: {a: a.mat, b: b.mat}}", "normalise: [l2]\n")
    assert sp.issparse(data.domains["a"].X)
    Xs = asked.kind.draws(asked, data).pair("a", "b", 0).fields["Xs"]
    norms = np.sqrt(Xs.multiply(Xs).sum(1))
    np.testing.assert_allclose(norms[norms > 0], 1, rtol=1e-5)


@pytest.mark.parametrize("place", ["~", "$MYDATA", "${MYDATA}"])
def test_case45_paths(place, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MYDATA", str(tmp_path))
    pair()
    domains(f"{{format: csv, domains: {{a: '{place}/a.csv', b: '{place}/b.csv'}}}}")


def test_a_file_of_data_in_a_suites_place():
    pair()
    with pytest.raises(BadInput, match=r"zoo data inspect a.csv > mine.yaml"):
        load("a.csv", {})
    for bytes_ in (gzip.compress(b"f0,y\n1,2\n")[:-9], b""):
        Path("a.csv").write_bytes(bytes_)
        assert "a.csv cannot be read as csv" in line(CSV)


def test_case60_methods_as_one_word():
    pair()
    known = discover.methods()
    for word, wanted in (
        ("coral", {"coral"}),
        ("all", {*known}),
        ("instance", {n for n in known if known[n].family == "instance"}),
    ):
        Path("m.yaml").write_text(f"data: {CSV}\nmethods: {word}\n")
        assert {r.info.name for r in plan.parse_rows(load("m.yaml", {}), known, [])} == wanted | {"source_only"}
    Path("m.yaml").write_text(f"data: {CSV}\nmethods: [CORAL]\n")
    with pytest.raises(BadInput, match="did you mean 'coral'"):
        plan.parse_rows(load("m.yaml", {}), known, [])


# What random pairs brought up (test_fuzz_own_data.py) -----------------------------------------------------------------


def test_npy_files_are_called_without_what_all_their_names_begin_with():
    for name, (one, two) in (("a", ("one", "two")), ("b", ("one", "two"))):
        frame = table(ord(name))
        np.save(f"{name}_{one}.npy", frame[["f0", "f1"]])
        np.save(f"{name}_{two}.npy", frame.y)
    names = "{a: [a_one.npy, a_two.npy], b: [b_one.npy, b_two.npy]}"
    _, data = domains(f"{{format: npz, domains: {names}, x: one, y: two}}")
    assert rows(data.domains["b"]) == pytest.approx(table(ord("b"))[["f0", "f1"]].to_numpy(), rel=1e-6)


def test_classes_that_cannot_be_matched_are_told_with_their_file():
    pair(lambda n, t: t.assign(y=1) if n == "a" else t)
    assert line(CSV, "pairs: ['a:b']\n").startswith("data: domains: a: a.csv: source a has one class only (1)")
    pair(lambda n, t: t.assign(y=t.y + 2 * (np.arange(60) > 50)) if n == "b" else t)
    assert line(CSV, "pairs: ['a:b']\n").startswith("data: domains: b: b.csv: pair a:b: no source sample has ")
