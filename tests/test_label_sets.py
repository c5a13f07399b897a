"""Source and target with different classes: what is reported of them, and what runs on them."""

import json

import numpy as np
import pytest

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
