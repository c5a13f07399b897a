"""Mistakes in one's own data, and classes that differ, are one line."""

import importlib
import os

import numpy as np
import pandas as pd
import pytest

from tests.test_own_data import SUFFIX, paint, ran, samples, suite, tone, two, write

pytestmark = pytest.mark.usefixtures("own_cache")

# Mistakes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data: {format: npy, domains: {a: a, b: b}}", "mine.yaml:1: data: format: input should be 'arff', "),
        ("data: {domains: {a: a, b: b}}", "mine.yaml:1: data: format: field required"),
        ("data: {formt: npz, domains: {a: a, b: b}}", "mine.yaml:1: unknown key 'formt': did you mean 'format'?"),
        ("data: a.npz", "mine.yaml:1: data: "),
        ("data: {format: npz, domains: [a.npz, b.npz]}", "mine.yaml:1: data: domains: "),
        ("data: {format: npz, domains: {a: a.npz}}", "data: domains: a source and a target are needed"),
        ("data: {format: npz, domains: {'a:1': a, b: b}}", "data: domains: 'a:1' cannot be a domain's name"),
        ("data: {format: npz, domains: {a: a.npz, b: b.npz}, size: 3}", "data: size: means nothing for npz"),
        ("data: {format: imagefolder, domains: {a: a, b: b}, y: 3}", "data: y: means nothing for imagefolder"),
        ("data: {format: npz, domains: {a: a.npz, b: c.npz}}", "data: domains: b: {d}/c.npz is not there"),
        ("data: {format: npz, domains: {a: a.npz, b: .}}", "data: domains: b: {d} is a folder, not a file"),
        ("data: {format: mat, domains: {a: a.npz, b: b.npz}}", "data: domains: a: {d}/a.npz cannot be read as mat: "),
        ("data: {format: npz, domains: {a: a.npz, b: b.npz}}\ndataset: digits", "digits is a known data set"),
        (
            "data: {format: npz, domains: {a: a.npz, b: b.npz}, x: Z}",
            "a: {d}/a.npz: x: unknown name 'Z': there are X, y",
        ),
        ("data: {format: npz, domains: {a: a.npz, b: b.npz}, y: Y}", "a: {d}/a.npz: y: unknown name 'Y': "),
    ],
)
def test_a_wrong_key(refused, tmp_path, text, says):
    for seed, name in enumerate("ab"):
        write("npz", tmp_path / f"{name}.npz", *samples(seed))
    (tmp_path / "mine.yaml").write_text(text)
    assert says.format(d=tmp_path) in refused(tmp_path / "mine.yaml")


X, Y = samples(1)
NAN = np.where(np.arange(4) == 2, np.nan, X)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"X": X[:, :3], "y": Y}, "x: samples are 3, but 4 in {d}/a.npz"),
        ({"X": X, "y": np.r_[Y, 1]}, "y: 37 labels for 36 samples in x"),
        ({"X": X.T, "y": Y}, "samples have to come first, transpose it"),
        ({"X": NAN, "y": Y}, "x: row 0, column 2: NaN or infinity"),
        ({"X": X, "y": Y + 0.5}, "classes are names or whole numbers"),
        ({"X": X, "y": np.eye(3)[Y.astype(int) - 1]}, "y: has shape (36, 3): expected one label for each sample"),
        ({"X": X[:0], "y": Y[:0]}, "x: holds no samples"),
        ({"X": X + 1j, "y": Y}, "complex128: expected numbers"),
        ({"X": X, "y": np.array([{}] * 36)}, "y holds pickled objects, which are not loaded"),
        ({"X": X, "y": Y, "labels": Y}, "y: missing; say which holds the labels: X, y, labels"),
        ({"X": X, "data": X, "y": Y}, "x: missing; say which holds the features: X, data, y"),
        ({"one": X, "two": Y}, "y: missing; say which holds the labels: one, two"),
    ],
)
def test_arrays_that_do_not_fit(refused, tmp_path, arrays, says):
    write("npz", tmp_path / "a.npz", *samples(0))
    np.savez(tmp_path / "b.npz", **arrays)
    line = refused(suite(tmp_path, "npz"))
    assert line.startswith(f"data: domains: b: {tmp_path}/b.npz: ")
    assert says.format(d=tmp_path) in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 1:1\n1 1:1 foo\n", "line 2: expected index:value, got 'foo'"),
        ("1 1:x\n", "line 1: expected index:value, got '1:x'"),
        ("1 2:1 1:1\n", "line 1: index 1 stands behind 2: they have to rise"),
        ("1 2:1 2:1 # twice\n", "line 1: index 2 stands behind 2: they have to rise"),
        ("1 99999999999:1\n", "line 1: index 99999999999 is too large"),
        ("word 1:1\n", "line 1: label 'word' is no number"),
    ],
)
def test_of_svmlight_files_read_together_the_one_that_is_wrong_is_named_with_its_line(refused, tmp_path, text, says):
    (tmp_path / "a.svm").write_text("0 1:1\n1 2:1\n" * 10)
    (tmp_path / "b.svm").write_text(text)
    for first, said in (("a", f"a.svm: is read together with {tmp_path}/b.svm: {says}"), ("b", f"b.svm: {says}")):
        domains = ", ".join(f"{n}: {tmp_path}/{n}.svm" for n in sorted("ab", key=lambda n: n != first))
        (tmp_path / "mine.yaml").write_text(f"data: {{format: svmlight, domains: {{{domains}}}}}\n")
        assert refused(tmp_path / "mine.yaml").endswith(said)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f.drop(columns="f1"), "x: 3 features, but 4 in {d}/a."),
        (lambda f: f.rename(columns={"f1": "g"}), "x: feature 2 is 'g', but 'f1' in {d}/a."),
        (lambda f: f.drop(columns="y"), "y: missing; say which holds the labels: f0, f1, f2, f3"),
        (
            lambda f: f.assign(f2=["1.5"] * 5 + ["red"] + ["2"] * 30),
            "x: column 'f2', {r} {5}: expected a number, got 'red'",
        ),
        (lambda f: f.assign(f2=f.f2.where(f.index != 4)), "x: column 'f2', {r} {4}: NaN or infinity"),
        (lambda f: f.reset_index().rename(columns={"index": "Unnamed: 0"}), "a column has no name (Unnamed: 0)"),
    ],
)
def test_tables_that_do_not_fit(refused, tmp_path, form, change, says):
    X, y = samples(0)
    frame = pd.DataFrame(X, columns=["f0", "f1", "f2", "f3"]).assign(y=y)
    for name, table in (("a", frame), ("b", change(frame))):
        path = tmp_path / f"{name}.{form}"
        table.to_csv(path, index=False) if form == "csv" else table.to_parquet(path)
    says = says.replace("{r}", "line" if form == "csv" else "row").replace("{d}", str(tmp_path))
    for row in (0, 4, 5):
        says = says.replace(f"{{{row}}}", str(row + 2 if form == "csv" else row))
    line = refused(suite(tmp_path, form))
    assert line.startswith(f"data: domains: b: {tmp_path}/b.{form}: ")
    assert says in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "b.csv cannot be read as csv: "),
        ("1,2,3\n4,5,6\n", "b.csv: the first line holds numbers: a header"),
        ("f0,f1,y\n1,2,3\n4,5,6,7\n", "b.csv cannot be read as csv: "),
        ("f0,f1,y\n1,2,a,0\n4,5,b,7\n", "b.csv cannot be read as csv: "),
        ("f0,f1\n1,2,a,,\n4,5,b,,\n", "Expected 2 fields, as in its header, saw 5"),
        ("f0,f1,y\n1,2,a\n4,5\n", "y: line 3 has no label"),
        ("f0,f1,y\n", "x: holds no samples"),
        ("f0,f1,y\n1,2,ä\n", "b.csv cannot be read as csv: 'utf-8' codec can't decode"),
    ],
)
def test_damaged_csv(refused, tmp_path, text, says):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("f0,f1,y\n1,2,a\n2,3,b\n")
    (tmp_path / "b.csv").write_bytes(text.encode("latin-1"))
    assert says in refused(suite(tmp_path, "csv"))


@pytest.mark.parametrize("form", SUFFIX)
def test_a_truncated_file_is_named(refused, tmp_path, form):
    if form == "csv":
        pytest.skip("a shorter csv is a csv")
    for name in "ab":
        write(form, tmp_path / f"{name}.{SUFFIX[form]}", *samples(0))
    path = tmp_path / f"b.{SUFFIX[form]}"
    path.write_bytes(path.read_bytes()[:-50])
    said = refused(suite(tmp_path, form))
    assert f"data: domains: b: {path} cannot be read as " in said or f"b: {path}: is a damaged " in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(refused, tmp_path):
    for name in "ab":
        write("npz", tmp_path / f"{name}.npz", *samples(0))
    (tmp_path / "b.npz").chmod(0)
    assert f"b: {tmp_path}/b.npz cannot be read as npz: Permission denied" in refused(suite(tmp_path, "npz"))


def test_a_missing_package_is_named(refused, tmp_path, monkeypatch):
    import builtins

    for name in "ab":
        write("mat73", tmp_path / f"{name}.mat", *samples(0))
        write("parquet", tmp_path / f"{name}.parquet", *samples(0))
    real = {"import_module": importlib.import_module, "__import__": builtins.__import__}

    def without(how):
        def call(name, *args, **more):
            if name in ("h5py", "pyarrow"):
                raise ImportError(name)
            return real[how](name, *args, **more)

        return call

    monkeypatch.setattr(importlib, "import_module", without("import_module"))
    monkeypatch.setattr(builtins, "__import__", without("__import__"))
    assert "v7.3 file needs h5py: pip install 'zoo[data]'" in refused(suite(tmp_path, "mat"))
    assert "parquet file needs pyarrow: pip install 'zoo[data]'" in refused(suite(tmp_path, "parquet"))


def _truncate(folder):
    path = folder / "dog" / "hush1.png"
    path.write_bytes(path.read_bytes()[:-700])
    return f"{path} cannot be read as an image: "


def _no_image(folder):
    path = folder / "dog" / "x.jpg"
    path.write_text("<html>404</html>")
    return f"{path} cannot be read as an image: "


def _empty(folder):
    (folder / "emu").mkdir()
    return f"class folder {folder / 'emu'} is empty"


def _flat(folder):
    for path in [*folder.rglob("*.*")]:
        path.rename(folder / f"{path.parent.name}{path.name}")
    for c in ("cat", "dog"):
        (folder / c).rmdir()
    return f"{folder} holds no class folders"


@pytest.mark.parametrize("damage", [_truncate, _no_image, _empty, _flat])
def test_a_damaged_folder_of_images(refused, tmp_path, damage):
    for name in "ab":
        paint(tmp_path / name, np.random.default_rng(0), ("png", "png"), 0)
    says = damage(tmp_path / "b")
    path = suite(tmp_path, "imagefolder", "a: a, b: b", ", size: 16")
    assert f"data: domains: b: {says}" in refused(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "cannot be read as a wav file"), (b"RIFF....WAVE", "cannot be read"), (None, "holds no sound")],
)
def test_a_damaged_wav_file(refused, tmp_path, content, says):
    for d in "ab":
        for c in ("low", "high"):
            tone(tmp_path / d / c / "1.wav", 440)
    bad = tmp_path / "b" / "low" / "2.wav"
    tone(bad, 440, seconds=0) if content is None else bad.write_bytes(content)
    assert f"data: domains: b: {bad} {says}" in refused(suite(tmp_path, "audiofolder", "a: a, b: b"))


# Classes --------------------------------------------------------------------------------------------------------------


def test_class_names_that_differ_in_case_only(refused, tmp_path):
    line = refused(two(tmp_path, ["mug", "pen", "cup"], ["Mug", "pen", "cup"]))
    assert "classes differ only in case from those of" in line
    assert "such as Mug and mug: write them alike" in line


def test_classes_of_the_target_alone_make_its_pair_unsupported(zoo, tmp_path):
    run, cells, out = ran(zoo, two(tmp_path, ["mug", "pen", "pen"], ["mug", "pen", "cup"]))
    assert len(cells) == 2  # b→a: source_only and coral
    assert "no source sample has class cup" in out
    assert run["partial"] == {"b:a": "no target sample has class cup"}
    assert "no target sample has class cup" in out


def test_no_class_in_common(refused, tmp_path):
    assert "no source sample has any of" in refused(two(tmp_path, ["mug", "pen", "cup"], ["ox", "emu", "cat"]))
