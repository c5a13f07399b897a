"""One's own data: every format gives the same cells, and `zoo data inspect` writes the suite that runs them."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io.matlab
from PIL import Image
from scipy.io import savemat, wavfile
from scipy.sparse import csr_matrix, random_array

from zoo.data._own import Own

h5py = pytest.importorskip("h5py")
pytest.importorskip("pyarrow")

pytestmark = pytest.mark.usefixtures("own_cache")
NAMES = np.array(["cat", "dog", "owl"])
SUFFIX = {"npz": "npz", "mat": "mat", "mat73": "mat", "csv": "csv", "parquet": "parquet"}
OPTIONS = "methods: [source_only, coral]\nsteps: 3\nbatch_size: 8\nseeds: 1\n"


def samples(seed, *, text=False, n=12, d=4):
    y = np.tile([1, 2, 3], n)[np.random.default_rng(seed).permutation(3 * n)]
    X = np.random.default_rng(seed + 10).normal(size=(3 * n, d)) + 3 * np.eye(3, d)[y - 1] + 0.2 * seed
    return X, NAMES[y - 1] if text else y.astype(float)


def mat73(path, **arrays):
    """What MATLAB's ``save -v7.3`` writes: HDF5 behind a head of 512 bytes, axes reversed, cells by reference."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            if hasattr(array, "tocsc"):
                csc = array.tocsc()
                item = file.create_group(name)
                item.attrs["MATLAB_sparse"] = np.uint64(csc.shape[0])
                kind = "double"
                for key, value in (("jc", csc.indptr), ("ir", csc.indices), ("data", csc.data)):
                    if len(value):  # MATLAB leaves ir and data out where nothing is stored
                        item[key] = value.astype(np.float64 if key == "data" else np.uint64)
            elif array.dtype.kind in "UO":
                references = np.empty((1, len(array)), h5py.ref_dtype)
                for i, text in enumerate(array):
                    cell = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(c)] for c in text], np.uint16))
                    cell.attrs["MATLAB_class"] = np.bytes_("char")
                    references[0, i] = cell.ref
                item, kind = file.create_dataset(name, data=references), "cell"
            else:
                item, kind = file.create_dataset(name, data=(array[:, None] if array.ndim == 1 else array).T), "double"
            item.attrs["MATLAB_class"] = np.bytes_(kind)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def write(form, path, X, y):
    if form == "npz":
        np.savez(path, X=X, y=y)
    elif form == "mat":
        savemat(path, {"X": X, "y": y[:, None].astype(object) if y.dtype.kind == "U" else y[:, None]})
    elif form == "mat73":
        mat73(path, X=X, y=y)
    else:
        frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])]).assign(y=y)
        frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path)


def suite(folder, form, domains="a: a.{s}, b: b.{s}", keys="", more=""):
    path = folder / "mine.yaml"
    domains = domains.format(s=SUFFIX.get(form, ""))
    path.write_text(f"data: {{format: {form.removesuffix('73')}, domains: {{{domains}}}{keys}}}\n{OPTIONS}{more}")
    assert len(path.read_text().splitlines()) <= 12
    return path


def own(form, path, **keys):
    """A domain from a path."""
    return Own({"format": form, "domains": {"a": str(path)}, "x": "", "y": "", "size": 0} | keys)


def ran(zoo, *args):
    done = zoo("run", *args, "--executor", "local", "--out", "run")
    assert done.code == 0, done.err
    run = json.loads(Path("run/run.json").read_text())
    lines = [line for file in Path("run/records").glob("*.jsonl") for line in file.read_text().splitlines()]
    return run, {r["cell"]: r["metrics"]["accuracy"] for r in map(json.loads, lines) if r["status"] == "ok"}, done.out


def paint(folder, rng, suffixes, shade):
    for c, channel in (("cat", 0), ("dog", 2)):
        (folder / c).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 60, (40, 50, 3), np.uint8)
            pixels[..., channel] += np.uint8(120 + shade)
            Image.fromarray(pixels).save(folder / c / f"hush{i}.{suffixes[i % 2]}")


def tone(path, f, rate=8000, seconds=0.6, kind=np.int16, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(rate * seconds)) / rate
    wave = 0.5 * np.sin(2 * np.pi * f * t)
    wave = np.stack([wave] * channels, 1) if channels > 1 else wave
    scaled = {np.int16: wave * 32767, np.int32: wave * (2**31 - 1), np.uint8: 128 + wave * 127}.get(kind, wave)
    wavfile.write(path, rate, scaled.astype(kind))
    return path


def two(folder, a, b):
    for seed, (name, classes) in enumerate((("a", a), ("b", b))):
        X, y = samples(seed)
        write("npz", folder / f"{name}.npz", X, np.array(classes)[y.astype(int) - 1])
    return suite(folder, "npz")


# The same data in every format ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [False, True])
def test_every_format_gives_the_same_cells(zoo, tmp_path, text):
    seen = []
    for form in SUFFIX:
        folder = tmp_path / form
        folder.mkdir()
        for seed, name in enumerate("ab"):
            write(form, folder / f"{name}.{SUFFIX[form]}", *samples(seed, text=text))
        os.chdir(folder)
        run, cells, _ = ran(zoo, suite(folder, form), "--methods", "source_only,coral,dan")
        assert {d["classes"] for d in run["domains"].values()} == {3}
        seen.append((run["domains"], cells))
    assert len(seen[0][1]) == 8  # two pairs of: source_only twice, coral, dan
    assert all(one == seen[0] for one in seen)


def test_samples_and_labels_are_those_written(tmp_path):
    X, y = samples(3, text=True)
    for form, suffix in SUFFIX.items():
        write(form, tmp_path / f"{form}.{suffix}", X, y)
        Z, labels = own(form.removesuffix("73"), tmp_path / f"{form}.{suffix}").load("a", None)
        assert Z.dtype == np.float32
        np.testing.assert_array_equal(Z, X.astype(np.float32))
        assert labels.tolist() == y.tolist()


@pytest.mark.parametrize(
    "y",
    [
        np.array([1, 2, 3]),
        np.array([1.0, 2.0, 3.0], np.float32),
        np.array([[1], [2], [3]], np.uint8),
        np.array(["1", "2.0", "3."]),
        np.array([b"1", b"2", b"3"]),
    ],
)
def test_one_and_one_point_zero_are_one_class(tmp_path, y):
    np.savez(tmp_path / "a.npz", X=np.eye(3), y=y)
    assert own("npz", tmp_path / "a.npz").load("a", None)[1].tolist() == ["1", "2", "3"]


@pytest.mark.parametrize("v73", [False, True])
def test_sparse_matrices(tmp_path, v73):
    X = random_array((6, 5), density=0.3, rng=np.random.default_rng(0), format="csr")
    path, y = tmp_path / "a.mat", np.arange(6.0) % 2
    for sparse in (csr_matrix(X), csr_matrix(X).tocsc(), csr_matrix((6, 5))):
        mat73(path, X=sparse, y=y) if v73 else savemat(path, {"X": sparse, "y": y[:, None]})
        np.testing.assert_array_equal(own("mat", path).load("a", None)[0], sparse.toarray().astype(np.float32))


def test_a_file_that_matlab_itself_wrote():
    path = Path(scipy.io.matlab.__file__).parent / "tests/data/testhdf5_7.4_GLNX86.mat"
    if not path.exists():
        pytest.skip("scipy is installed without its tests")
    from zoo.data.formats.mat import Mat

    assert Mat(path).headers() == {"testdouble": ((1, 9), "double")}
    (values,) = Mat(path).arrays(["testdouble"])
    np.testing.assert_allclose(values, [np.arange(9) * np.pi / 4])  # MATLAB's 0:pi/4:2*pi


def test_char_matrices_are_text(tmp_path):
    savemat(tmp_path / "a.mat", {"X": np.eye(2), "y": np.array(["ox", "mouse"])})
    assert own("mat", tmp_path / "a.mat").load("a", None)[1].tolist() == ["ox", "mouse"]
    with h5py.File(tmp_path / "b.mat", "w") as file:
        file.create_dataset("X", data=np.eye(2)).attrs["MATLAB_class"] = np.bytes_("double")
        codes = np.array([list(map(ord, "ox   ")), list(map(ord, "mouse"))], np.uint16)
        file.create_dataset("y", data=codes.T).attrs["MATLAB_class"] = np.bytes_("char")
    assert own("mat", tmp_path / "b.mat").load("a", None)[1].tolist() == ["ox", "mouse"]


@pytest.mark.parametrize(
    ("shape", "expected"), [((6, 8, 8), (1, 8, 8)), ((6, 3, 8, 8), (3, 8, 8)), ((6, 8, 8, 3), (3, 8, 8))]
)
def test_arrays_of_images(tmp_path, shape, expected):
    X = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.savez(tmp_path / "a.npz", X=X, y=np.arange(6) % 2)
    data = own("npz", tmp_path / "a.npz")
    assert (data.kind, data.photographs) == ("images", False)
    Z, _ = data.load("a", None)
    assert Z.shape[1:] == expected
    channels_first = X.transpose(0, 3, 1, 2) if shape[-1] == 3 else X.reshape(6, *expected)
    np.testing.assert_allclose(Z, channels_first / 255, rtol=1e-6)


def test_columns_by_name_separator_and_mark(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("﻿id;f1;f2;g;kind\n7;1;2;x;NA\n8;3;4;y;None\n", encoding="utf-8")
    for x in ("f*", "f1, f2"):
        X, y = own("csv", path, x=x, y="kind").load("a", None)
        assert X.tolist() == [[1, 2], [3, 4]]
        assert y.tolist() == ["NA", "None"]


# zoo data inspect -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [*SUFFIX, "imagefolder", "audiofolder"])
def test_inspect_prints_a_suite_that_runs(zoo, tmp_path, form):
    os.chdir(tmp_path)
    files = ["one", "two"] if form.endswith("folder") else [f"{n}.{SUFFIX[form]}" for n in ("one", "two")]
    for seed, name in enumerate(files):
        if form == "imagefolder":
            paint(tmp_path / name, np.random.default_rng(seed), ("png", "jpg"), 50 * seed)
        elif form == "audiofolder":
            for c in ("low", "high"):
                for i in range(4):
                    tone(tmp_path / name / c / f"{i}.wav", 300 + 10 * i + 900 * (c == "high") + 5 * seed)
        else:
            write(form, tmp_path / name, *samples(seed, text=True))
    done = zoo("data", "inspect", *files)
    assert (done.code, done.err) == (0, "")
    assert len([line for line in done.out.splitlines() if not line.startswith("#")]) <= 12
    assert {"imagefolder": "RGB 50×40", "audiofolder": "8000 Hz int16, 1 channel"}.get(form, "36×4") in done.out
    assert ("low (4)" if form == "audiofolder" else "dog (") in done.out
    (tmp_path / "new.yaml").write_text(done.out)
    _, cells, _ = ran(zoo, "new.yaml", "--steps", "2", "--seeds", "1")
    assert len(cells) == 12
    as_json = zoo("data", "inspect", *files, "--json").json
    assert [f["file"] for f in as_json["files"]] == files
    assert as_json["suite"]["data"]["domains"] == {"one": files[0], "two": files[1]}


def test_inspect_says_what_it_cannot_guess_and_which_classes_differ(zoo, tmp_path):
    two(tmp_path, ["mug", "pen", "pen"], ["mug", "pen", "cup"])
    assert "not in every file: cup" in zoo("data", "inspect", tmp_path / "a.npz", tmp_path / "b.npz").out
    np.savez(tmp_path / "c.npz", one=np.eye(3), two=np.arange(3))
    out = zoo("data", "inspect", tmp_path / "c.npz").out
    assert "#   one  float64  3×3\n#   two  int64  3\n" in out
    assert "y: missing; say which holds the labels: one, two" in out
    assert "a suite needs two domains or more" in out


def test_inspect_refuses(zoo, tmp_path):
    write("npz", tmp_path / "a.npz", *samples(0))
    write("csv", tmp_path / "a.csv", *samples(0))
    (tmp_path / "a.xyz").write_text("x")
    for files, says in (
        (["nowhere.npz"], "nowhere.npz is not there"),
        (
            [tmp_path / "a.xyz"],
            "unknown format '.xyz': there are arff, audiofolder, csv, facts, graph, imagefolder, mat, npz, parquet",
        ),
        ([tmp_path / "a.npz", tmp_path / "a.csv"], "files of several formats: "),
        ([tmp_path / "cwd"], f"{tmp_path}/cwd holds no class folders"),
    ):
        done = zoo("data", "inspect", *files)
        assert (done.code, done.out) == (2, "")
        assert says in done.err
        assert done.err.count("\n") == 1
