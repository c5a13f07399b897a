"""Source and target with different classes: what is reported of them, and what runs on them."""

import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from zoo.bench import evidence, plan
from zoo.bench import suite as suites
from zoo.errors import BadInput

CENTRES = {c: np.random.default_rng(ord(c)).normal(size=4) * 3 for c in "ABCDEF"}


def samples(classes, shift=0.0, n=20):
    """Samples around a centre for each class, n of each."""
    y = np.repeat([*classes], n)
    noise = np.random.default_rng(len(classes)).normal(size=(len(y), 4))
    return np.stack([CENTRES[c] for c in y]) + noise + shift, y


@pytest.fixture
def written(tmp_path):
    """Writes domains and a suite over them; returns its path."""

    def write(more="", n=20, **domains):
        for i, (name, classes) in enumerate(domains.items()):
            X, y = samples(classes, 0.2 * i, n)
            np.savez(tmp_path / f"{name}.npz", X=X, y=y)
        paths = ", ".join(f"{name}: {name}.npz" for name in domains)
        head = f"data: {{format: npz, domains: {{{paths}}}}}\nmethods: [source_only]\nseeds: 1\n"
        path = tmp_path / "mine.yaml"
        path.write_text(head + more)
        return path

    return write


# What is reported -----------------------------------------------------------------------------------------------------


def test_the_classes_of_a_pair_are_reported_where_its_sides_differ(zoo, written, tmp_path):
    suite = written(a="ABCD", b="ABE", c="AB")
    expected = {
        "a:b": {"shared": 2, "source_only": 2, "target_only": 1},
        "a:c": {"shared": 2, "source_only": 2, "target_only": 0},
        "b:a": {"shared": 2, "source_only": 1, "target_only": 2},
        "b:c": {"shared": 2, "source_only": 1, "target_only": 0},
        "c:a": {"shared": 2, "source_only": 0, "target_only": 2},
        "c:b": {"shared": 2, "source_only": 0, "target_only": 1},
    }
    assert zoo("run", suite, "--dry-run", "--json").json["label_sets"] == expected
    assert "classes of b:c: shared 2, source only 1, target only 0" in zoo("run", suite, "--dry-run").out
    out = zoo("run", suite, "--pairs", "a:c", "--out", tmp_path / "run").out
    assert "Classes of a:c: shared 2, source only 2, target only 0." in out
    assert "Classes of" not in zoo("run", written(a="AB", c="AB"), "--out", tmp_path / "same").out
    zoo("run", written(a="ABCD", b="ABE", c="AB"), "--pairs", "b:c", "--out", tmp_path / "run")
    there = json.loads((tmp_path / "run" / "run.json").read_text())["label_sets"]
    assert there == {pair: expected[pair] for pair in ("a:c", "b:c")}


def test_inspect_reports_them(zoo, written, tmp_path):
    written(a="ABCD", b="ABE")
    files = [tmp_path / "a.npz", tmp_path / "b.npz"]
    assert "# classes of a:b: shared 2, source only 2, target only 1" in zoo("data", "inspect", *files).out
    found = zoo("data", "inspect", *files, "--json").json["label_sets"]
    assert found["b:a"] == {"shared": 2, "source_only": 1, "target_only": 2}


# Partial --------------------------------------------------------------------------------------------------------------


def loaded(path, **keys):
    """A suite, its data and what it draws."""
    made = suites.load(path, keys)
    data = made.kind.load(made, plan.parse_pairs(made), None)
    return made, data, made.kind.draws(made, data)


def records(folder):
    lines = [line for file in folder.glob("records/*.jsonl") for line in file.read_text().splitlines()]
    return {(r["method"], r["source"], r["target"]): r for r in map(json.loads, lines)}


def test_partial_scores_every_class_of_the_source_and_judges_by_those_of_the_target(zoo, written, tmp_path):
    suite = written("label_sets: partial\n", a="ABCD", b="AB", n=40)
    out = zoo("run", suite, "--methods", "source_only,coral", "--out", tmp_path / "run").out
    assert "unsupported: every method on b→a: partial, but no source sample has any of 2 classes: C, D" in out
    assert "Classes of a:b: shared 2, source only 2, target only 0; b:a: " in out
    assert "differing label sets" not in out
    _, data, drawn = loaded(suite)
    record = records(tmp_path / "run")["coral", "a", "b"]
    with np.load(tmp_path / f"run/predictions/{record['cell']}.npz") as kept:
        scores, guessed = np.exp(kept["test_log_scores"].astype(float)), kept["test_predicted"]
    assert scores.shape[1] == len(data.classes) == 4
    y = drawn.pair("a", "b", 0).y_test
    metrics = record["metrics"]
    assert metrics["accuracy"] == pytest.approx((guessed == y).mean())
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, guessed))
    f1 = f1_score(y, guessed, labels=[0, 1], average="macro")
    assert metrics["f1_macro"] == pytest.approx(f1)
    assert len(np.unique(guessed)) > 2  # so that averages over all classes would be others
    assert f1 > f1_score(y, guessed, average="macro", zero_division=0)
    auc = np.mean([roc_auc_score(y == c, scores[:, c]) for c in (0, 1)])
    assert metrics["auroc"] == pytest.approx(auc, abs=2e-3)  # of scores in half precision


def test_a_suite_says_the_classes_of_either_side(written):
    made, data, drawn = loaded(
        written("label_sets: partial\nclasses: {source: [F, A, B, C], target: [B, C]}\n", a="ABCDF", b="ABCF")
    )
    assert data.classes == ["A", "B", "C", "F"]  # and D, of neither side, is no column of scores
    assert data.sets["a", "b"].counts == {"shared": 2, "source_only": 2, "target_only": 0}
    X, y = samples("ABCDF")
    for pair, target in (("a", "b"), ("b", "a")):
        found = drawn.pair(pair, target, 0)
        assert set(found.fields["ys"]) == {0, 1, 2, 3}
        assert set(found.y_test) == {1, 2}
        assert len(found.fields["Xt"]) + len(found.y_test) == 40
    rows, Xt = found.rows["adapt"], found.fields["Xt"]
    np.testing.assert_array_equal(Xt, X[rows].astype(np.float32))  # numbers of rows are those of the file
    assert set(y[rows]) == {"B", "C"}
    source = drawn.pair("a", "b", 0)
    held = evidence.source_labels(data, "a", source)["yv"]
    np.testing.assert_array_equal(np.array(data.classes)[held], y[source.rows["validation"]])
    closed = suites.load({"dataset": "digits8"}, {})
    assert "classes" not in closed.cell_keys(net=True, base=True)
    assert made.cell_keys(net=True, base=True)["classes"]["target"] == ["B", "C"]


def test_a_run_of_classes_of_either_side_is_resumed_and_read(zoo, written, tmp_path):
    suite = written("label_sets: partial\nclasses: {target: [C, B]}\n", a="ABC", b="ABC")
    out = zoo("run", suite, "--out", tmp_path / "run").out
    assert "Label sets: partial. Classes of all pairs: shared 2, source only 1, target only 0; target: C, B." in out
    done = zoo("run", suite, "--out", tmp_path / "run", "--json").json
    assert (done["ran"], done["failed"]) == (0, [])
    other = written("label_sets: partial\nclasses: {target: [A, B]}\n", a="ABC", b="ABC")
    assert "holds a run with classes: {" in zoo("run", other, "--out", tmp_path / "run").err
    assert "stale" not in zoo("table", tmp_path / "run").out


def test_classes_may_be_numbers(written):
    suite = written(a="AB", b="AB")
    suite.write_text("dataset: digits8\nlabel_sets: partial\nclasses: {target: [0, 1]}\n")
    _, data, _ = loaded(suite)
    assert {tuple(s.counts.values()) for s in data.sets.values()} == {(2, 8, 0)}


def test_zscore_is_of_the_samples_of_the_side(written):
    _, _, drawn = loaded(
        written("label_sets: partial\nnormalise: [zscore]\nclasses: {target: [A, B]}\n", a="ABCD", b="ABCD", n=40)
    )
    found = drawn.pair("a", "b", 0)
    for part in ("Xs", "Xt"):
        np.testing.assert_allclose(found.fields[part].mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(found.fields[part].std(0), 1, atol=1e-5)


# What cannot be -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "domains", "says"),
    [
        ("label_sets: partial\n", ("AB", "CD"), "pair a:b: label_sets: partial: source and target share no class"),
        ("label_sets: partial\n", ("ABC", "A"), "label_sets: partial: source and target share class A alone"),
        (
            "label_sets: partial\n",
            ("AB", "ABC"),
            "label_sets: partial: no source sample has class C; label_sets: open runs it as it is",
        ),
        (
            "",
            ("ABC", "ABD"),
            "no source sample has class D; classes: shared runs it on the 2 classes that all domains have; label_sets: "
            "universal runs it as it is (partial where the target's classes are some of the source's, open where the "
            "source's are some of the target's, universal where both have some of their own)",
        ),
        ("label_sets: open\n", ("AB", "CD"), "label_sets: open: source and target share no class"),
        ("label_sets: universal\n", ("AB", "ACD"), "label_sets: universal: source and target share class A alone"),
        (
            "label_sets: open\n",
            ("AB", "AB"),
            "label_sets: open: every class of the target is one of its source's, so that nothing is unknown; "
            "label_sets: closed runs it as it is",
        ),
        (
            "label_sets: universal\n",
            ("ABC", "AB"),
            "so that nothing is unknown; label_sets: partial runs it as it is",
        ),
        (
            "label_sets: open\n",
            ("ABC", "ABD"),
            "label_sets: open: no target sample has class C; label_sets: universal runs it as it is",
        ),
        (
            "label_sets: open\nlabels: 2\n",
            ("AB", "ABC"),
            "labels: 2: label_sets: open: 2 labels of each target class would be some of unknown ones; say labels: 0",
        ),
        ("reject: entropy\n", ("AB", "AB"), "reject: entropy needs label_sets: open or universal"),
        ("label_sets: open\nreject: softmax\n", ("AB", "ABC"), "mine.yaml:5: reject: input should be '' or 'entropy'"),
        ("label_sets: some\n", ("AB", "AB"), "mine.yaml:4: label_sets: input should be 'closed'"),
        ("classes: {source: [A, Q]}\n", ("AB", "AB"), "classes: source: no domain of own has class Q; there are A, B"),
        ("classes: {target: [C, D]}\n", ("ABCD", "AB"), "classes: target: domain b of own has no sample of these"),
        ("classes: {source: [A]}\n", ("AB", "AB"), "source a has one class only (A)"),
        ("classes: {sorce: [A]}\n", ("AB", "AB"), "mine.yaml:4: classes: write shared, or the classes of each side"),
        ("classes: some\n", ("AB", "AB"), "mine.yaml:4: classes: write shared, or the classes of each side, as"),
    ],
)
def test_label_sets_that_cannot_be_are_one_line(refused, written, more, domains, says):
    suite = written(f"{more}pairs: ['a:b']\n", **dict(zip("ab", domains, strict=True)))
    assert says in refused(suite)


def test_what_has_no_classes_has_no_label_sets():
    with pytest.raises(BadInput, match="label_sets: partial: task: regression predicts values, which are no classes"):
        suites.load("diabetes", {"label_sets": "partial"})
    with pytest.raises(BadInput, match="label_sets: partial: relational holds facts: label_sets: closed"):
        suites.load("relational", {"label_sets": "partial"})
    assert suites.load("citation", {"label_sets": "partial"}).label_sets == "partial"
