"""One's own data: every format gives the same cells, folders run from a short YAML, and mistakes are one line."""

import importlib
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

from zoo.data import _audio, _images
from zoo.data._own import Own

h5py = pytest.importorskip("h5py")
pytest.importorskip("pyarrow")

NAMES = np.array(["cat", "dog", "owl"])
SUFFIX = {"npz": "npz", "mat": "mat", "mat73": "mat", "csv": "csv", "parquet": "parquet"}
OPTIONS = "methods: [source_only, coral]\nsteps: 3\nbatch_size: 8\nseeds: 1\n"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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
    """Both domains from one path."""
    return Own({"format": form, "domains": {"a": str(path), "b": str(path)}, "x": "", "y": "", "size": 0} | keys)


def ran(zoo, *args):
    done = zoo("run", *args, "--executor", "local", "--out", "run")
    assert done.code == 0, done.err
    run = json.loads(Path("run/run.json").read_text())
    lines = [line for file in Path("run/records").glob("*.jsonl") for line in file.read_text().splitlines()]
    return run, {r["cell"]: r["metrics"]["accuracy"] for r in map(json.loads, lines) if r["status"] == "ok"}, done.out


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


# Folders --------------------------------------------------------------------------------------------------------------


def paint(folder, rng, suffixes, shade):
    for c, channel in (("cat", 0), ("dog", 2)):
        (folder / c).mkdir(parents=True)
        for i in range(8):
            pixels = rng.integers(0, 60, (40, 50, 3), np.uint8)
            pixels[..., channel] += np.uint8(120 + shade)
            Image.fromarray(pixels).save(folder / c / f"hush{i}.{suffixes[i % 2]}")


@pytest.mark.parametrize("executor", ["local", "processes"])
def test_a_folder_of_images_runs_and_no_path_reaches_an_adapter(zoo, tmp_path, executor):
    rng = np.random.default_rng(0)
    paint(tmp_path / "hush" / "day", rng, ("jpg", "png"), 60)
    paint(tmp_path / "hush" / "night", rng, ("JPEG", "png"), 0)
    path = suite(tmp_path, "imagefolder", "day: hush/day, night: hush/night", ", size: 32")
    plugin = tmp_path / "looks.py"
    plugin.write_text(LOOKS)
    args = ("run", path, "--methods", "dan,looks", "--pairs", "day:night", "--plugin", plugin, "--out", "run")
    done = zoo(*args, "--executor", executor)
    if executor == "local":  # where there is no vault, the attack finds what it looks for: it does work
        assert "found a path" in done.err + Path("run/records").joinpath(*os.listdir("run/records")).read_text()
        return
    assert done.code == 0, done.err
    table = zoo("table", "run", "--format", "json").json
    assert {"looks", "dan", "source_only"} <= {row["method"] for row in table["rows"]}
    assert json.loads(Path("run/run.json").read_text())["domains"]["day"]["n"] == 16


LOOKS = '''\
"""Walks every object of its process for a path of the images."""

import gc

from zoo.adapters.base import Mapping


class Looks(Mapping):
    """Fails where it finds one."""

    def fit_map(self, task):
        word = "".join(map(chr, (104, 117, 115, 104, 47)))  # not as a literal, which the walk would find
        seen, stack = set(), [*gc.get_objects(), vars(task)]
        while stack:
            thing = stack.pop()
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            if type(thing) is str and word in thing:
                raise RuntimeError("found a path")
            stack.extend(gc.get_referents(thing))
'''


def tone(path, f, rate=8000, seconds=0.6, kind=np.int16, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(rate * seconds)) / rate
    wave = 0.5 * np.sin(2 * np.pi * f * t)
    wave = np.stack([wave] * channels, 1) if channels > 1 else wave
    scaled = {np.int16: wave * 32767, np.int32: wave * (2**31 - 1), np.uint8: 128 + wave * 127}.get(kind, wave)
    wavfile.write(path, rate, scaled.astype(kind))
    return path


def test_a_folder_of_wav_files_runs(zoo, tmp_path):
    for d, rate in (("phone", 8000), ("studio", 44100)):
        for c, f in (("low", 300), ("high", 1500)):
            for i in range(6):
                kind = (np.int16, np.float32, np.uint8, np.int32)[i % 4]
                tone(tmp_path / d / c / f"{i}.wav", f + 10 * i, rate, 0.5 + 0.1 * i, kind, 1 + i % 2)
    path = suite(tmp_path, "audiofolder", "phone: phone, studio: studio", more="net: cnn\n")
    _, cells, _ = ran(zoo, path, "--steps", "30")
    assert min(cells.values()) == 1.0  # an octave apart, whatever the rate


@pytest.mark.parametrize(
    ("rate", "kind", "channels"),
    [(44100, np.int16, 2), (16000, np.float32, 1), (22050, np.int32, 1), (8000, np.uint8, 2), (48000, np.float64, 1)],
)
def test_a_recording_is_the_tone_at_8_khz(tmp_path, rate, kind, channels):
    wave = _audio.recording(tone(tmp_path / "a.wav", 440, rate, 0.5, kind, channels))
    assert (len(wave), wave.dtype) == (4000, np.float32)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    np.testing.assert_allclose(wave[200:-200], expected[200:-200], atol=0.02)


def test_channels_are_averaged_and_24_bits_read(tmp_path):
    left, right = np.full(100, 8000, np.int16), np.full(100, -4000, np.int16)
    wavfile.write(tmp_path / "a.wav", 8000, np.stack([left, right], 1))
    np.testing.assert_allclose(_audio.recording(tmp_path / "a.wav"), 2000 / 32768, rtol=1e-6)
    import wave

    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setparams((1, 3, 8000, 0, "NONE", ""))
        file.writeframes((-(2**22)).to_bytes(3, "little", signed=True) * 50)
    np.testing.assert_array_equal(_audio.recording(tmp_path / "b.wav"), -0.5)


def _16_bits():
    return Image.fromarray(np.full((8, 8), 32896, np.uint16))


def _palette():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return image


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (Image.new("RGB", (8, 8), (10, 200, 30)), "a.png", (10, 200, 30)),
        (Image.new("L", (8, 8), 77), "a.png", (77, 77, 77)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "a.png", (255, 204, 204)),  # a fifth of red on white
        (Image.new("LA", (8, 8), (0, 0)), "a.png", (255, 255, 255)),
        (_16_bits(), "a.png", (128, 128, 128)),  # 32896 = 128 × 257
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg", (255, 0, 0)),
        (_palette(), "a.gif", (10, 200, 30)),
        (Image.new("1", (8, 8), 1), "a.png", (255, 255, 255)),
    ],
)
def test_images_of_any_mode_have_the_colours_seen(tmp_path, image, name, expected):
    (tmp_path / "c").mkdir()
    image.save(tmp_path / "c" / name)
    X, y = own("imagefolder", tmp_path, size=4).load("a", None)
    assert (X.shape, X.dtype, y.tolist()) == ((1, 3, 4, 4), np.uint8, ["c"])
    np.testing.assert_allclose(X[0].reshape(3, -1).T, np.tile(expected, (16, 1)), atol=2)  # JPEG: two levels
    np.testing.assert_array_equal(_images.decoded(tmp_path / "c" / name, 4), X[0])


# Mistakes -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(zoo, tmp_path):
    def call(path, *args):
        before = sorted(tmp_path.rglob("*"))
        done = zoo("run", path, *args, "--executor", "local")
        assert (done.code, done.out) == (2, ""), done.err
        assert done.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return done.err.removeprefix("zoo: ").rstrip()

    return call


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data: {format: npy, domains: {a: a, b: b}}", "mine.yaml:1: data: format: input should be 'npz', "),
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
        ({"X": X, "y": Y + 0.5}, "y: row 0: classes are names or whole numbers, got "),
        ({"X": X, "y": np.where(Y == 1, np.nan, Y)}, "has no label"),
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
        (lambda f: f.assign(y=""), "y: {r} {0} has no label"),
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


def two(folder, a, b):
    for seed, (name, classes) in enumerate((("a", a), ("b", b))):
        X, y = samples(seed)
        write("npz", folder / f"{name}.npz", X, np.array(classes)[y.astype(int) - 1])
    return suite(folder, "npz")


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
                    tone(tmp_path / name / c / f"{i}.wav", 300 + 10 * i + 900 * (c == "high"))
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
    (tmp_path / "a.txt").write_text("x")
    for files, says in (
        (["nowhere.npz"], "nowhere.npz is not there"),
        (
            [tmp_path / "a.txt"],
            "unknown format '.txt': there are audiofolder, csv, facts, graph, imagefolder, mat, npz, parquet",
        ),
        ([tmp_path / "a.npz", tmp_path / "a.csv"], "files of several formats: "),
        ([tmp_path / "cwd"], f"{tmp_path}/cwd holds no class folders"),
    ):
        done = zoo("data", "inspect", *files)
        assert (done.code, done.out) == (2, "")
        assert says in done.err
        assert done.err.count("\n") == 1
