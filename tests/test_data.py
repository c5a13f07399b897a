"""The data sets of the package against the outlines, files and figures that they come from."""

import csv
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from zoo.data import _typeface
from zoo.data.digits8 import Digits8
from zoo.data.office_caltech import CLASSES, OfficeCaltech
from zoo.errors import BadInput

REPO = Path(__file__).parents[1]
DATA = Path(os.environ.get("ZOO_DATA") or REPO.parent / "shared" / "data")
has_data = pytest.mark.skipif(not (DATA / "office_caltech").is_dir(), reason="needs ZOO_DATA")


@pytest.fixture(scope="module")
def typeface():
    return Digits8().load("typeface", None)


@pytest.fixture(scope="module")
def distances():
    return _typeface.fields().reshape(len(_typeface.TYPEFACES), 10, _typeface.CELLS, _typeface.CELLS)


# digits8


@pytest.mark.parametrize(("domain", "n"), [("typeface", 1800), ("optdigits", 1797)])
def test_digits8_shapes(domain, n):
    X, y = Digits8().load(domain, None)
    assert X.shape == (n, 1, 8, 8)
    assert X.dtype == np.float32
    assert X.min() == 0
    assert X.max() == 1
    assert (X * 16 % 1 == 0).all()
    assert sorted(set(y.tolist())) == list("0123456789")


def test_optdigits_are_the_digits_of_scikit_learn():
    from sklearn.datasets import load_digits

    flat, target = load_digits(return_X_y=True)
    X, y = Digits8().load("optdigits", None)
    np.testing.assert_array_equal(X.reshape(-1, 64) * 16, flat)
    np.testing.assert_array_equal(y.astype(int), target)


def test_typeface_is_the_same_every_time(typeface):
    X, y = typeface
    code = (
        "import hashlib\nfrom zoo.data.digits8 import Digits8\n"
        "print(hashlib.sha256(Digits8().load('typeface', None)[0].tobytes()).hexdigest())"
    )
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert again.stdout.strip() == hashlib.sha256(X.tobytes()).hexdigest()
    assert again.stderr == ""
    assert X.mean() == pytest.approx(0.290, abs=2e-3)
    ink = [X[y == c].mean() for c in "0123456789"]
    assert np.argmin(ink) == 1  # pinned coarsely: other releases of the typefaces may move a few pixels
    assert not np.array_equal(_typeface.render(180, seed=1)[0], X)


def test_typeface_is_balanced(typeface):
    _, y = typeface
    assert np.unique(y, return_counts=True)[1].tolist() == [180] * 10


def test_typeface_digits_can_be_told_apart(typeface):
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    X, y = typeface
    right = cross_val_predict(KNeighborsClassifier(1), X.reshape(len(X), -1), y, cv=5) == y
    assert right.mean() > 0.95
    assert min(right[y == c].mean() for c in "0123456789") > 0.8  # the least are zeros, slashed in the Mono faces


@pytest.mark.parametrize("face", range(len(_typeface.TYPEFACES)), ids=_typeface.TYPEFACES)
def test_every_typeface_has_the_ten_digits_as_freetype_draws_them(distances, face):
    import matplotlib
    from PIL import Image, ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{_typeface.TYPEFACES[face]}.ttf")
    font = ImageFont.truetype(str(path), 400)
    for digit in range(10):
        mask = font.getmask(str(digit), mode="L")
        drawn = np.array(mask, dtype=np.uint8).reshape(mask.size[::-1])
        drawn = drawn[_extent(drawn > 127)]
        ours = distances[face, digit][_extent(distances[face, digit] < 0)]
        theirs = np.asarray(Image.fromarray(drawn).resize(ours.shape[::-1], Image.Resampling.BOX)) > 127
        assert ours.shape[1] / ours.shape[0] == pytest.approx(drawn.shape[1] / drawn.shape[0], abs=0.03)
        # They may differ only where the outline passes: two cells, for cropping both to whole cells moves them by one.
        apart = np.abs(ours[(ours < 0) != theirs]) / (_typeface.FIELD / _typeface.CELLS)
        assert apart.max(initial=0) < 2, digit


def _extent(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def test_fields_are_distances_to_the_outline(distances):
    contours = _typeface.outlines("DejaVuSans")[8]  # two holes
    points = np.concatenate(contours)
    low, high = points.min(0), points.max(0)
    middle, height = (low + high) / 2, (high - low)[1]
    a = (points - middle) / height
    b = (np.concatenate([np.roll(p, -1, 0) for p in contours]) - middle) / height
    a, b = a[keep := np.linalg.norm(b - a, axis=1) > 0], b[keep]
    centre = ((np.arange(_typeface.CELLS) + 0.5) / _typeface.CELLS - 0.5) * _typeface.FIELD
    x = np.stack(np.meshgrid(centre, -centre), -1)[:, :, None]
    t = (((x - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1)).clip(0, 1)[..., None]
    exact = np.linalg.norm(x - a - t * (b - a), axis=-1).min(-1)
    cell = _typeface.FIELD / _typeface.CELLS
    assert np.abs(np.abs(distances[0, 8]) - exact).max() < cell


def test_a_matplotlib_without_typefaces_is_bad_input(monkeypatch, tmp_path):
    monkeypatch.setattr("matplotlib.get_data_path", lambda: str(tmp_path))
    with pytest.raises(BadInput, match=r"DejaVuSans\.ttf is not there") as error:
        Digits8().load("typeface", None)
    assert "\n" not in str(error.value)


def test_loaders_import_nothing_heavy():
    code = (
        "import sys\nfrom zoo.data.digits8 import Digits8\nfrom zoo.data.office_caltech import OfficeCaltech\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'matplotlib', 'PIL', 'fontTools'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        # The font manager scans the system for fonts the first time, and writes a cache.
        "Digits8().load('typeface', None)\nassert not {'torch', 'matplotlib.font_manager'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# office_caltech


def _write(root, **content):
    (root / "office_caltech").mkdir()
    savemat(root / "office_caltech" / "dslr_SURF_L10.mat", content)
    return root


def test_office_caltech_reads_columns_sparse_or_not(tmp_path):
    fts = np.arange(12.0).reshape(3, 4)
    X, y = OfficeCaltech().load("dslr", _write(tmp_path, fts=csc_matrix(fts), labels=np.array([[10], [1], [2]])))
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X, fts)
    assert y.tolist() == ["projector", "backpack", "bike"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"labels": [[1]]}, "has no fts; it has labels"),
        ({"fts": np.ones((2, 3))}, "has no labels; it has fts"),
        ({"x": [[1]]}, "has no fts and no labels; it has x"),
        ({"fts": np.ones((2, 3)), "labels": [[1]]}, "fts is 2×3 for 1 labels"),
        ({"fts": np.ones((2, 3)), "labels": [[0], [1]]}, "labels are not whole numbers from 1 to 10"),
        ({"fts": np.ones((2, 3)), "labels": [[1.5], [1]]}, "labels are not whole numbers from 1 to 10"),
    ],
)
def test_a_wrong_mat_file_is_named(tmp_path, content, words):
    _refused(_write(tmp_path, **content), words)


@pytest.mark.parametrize("damage", ["text", "empty", "truncated", "flipped"])
def test_a_corrupt_mat_file_is_named(tmp_path, damage):
    rng = np.random.default_rng(0)
    (tmp_path / "office_caltech").mkdir()
    path = tmp_path / "office_caltech" / "dslr_SURF_L10.mat"
    savemat(path, {"fts": rng.normal(size=(20, 30)), "labels": np.ones((20, 1))}, do_compression=True)
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes(
        {
            "text": b"<html>404 Not Found</html>" * 100,
            "empty": b"",
            "truncated": whole[:half],
            "flipped": whole[:half] + bytes(b ^ 255 for b in whole[half : half + 50]) + whole[half + 50 :],
        }[damage]
    )
    _refused(tmp_path, "cannot be read as a MATLAB file: ")


def test_a_missing_mat_file_is_named(tmp_path):
    _refused(
        tmp_path,
        "is not there; `zoo data fetch office_caltech` gets it, or says how; origin: the SURF features published with",
    )
    with pytest.raises(BadInput, match="ZOO_DATA"):
        OfficeCaltech().load("dslr", None)


def _refused(root, words):
    with pytest.raises(BadInput) as error:
        OfficeCaltech().load("dslr", root)
    message = str(error.value)
    assert message.startswith(str(root / "office_caltech" / "dslr_SURF_L10.mat"))
    assert words in message
    assert "\n" not in message


@has_data
@pytest.mark.parametrize(("domain", "n"), [("caltech", 1123), ("amazon", 958), ("webcam", 295), ("dslr", 157)])
def test_office_caltech_shapes(domain, n):
    X, y = OfficeCaltech().load(domain, DATA)
    assert X.shape == (n, 800)
    assert X.dtype == np.float32
    assert set(y.tolist()) == set(CLASSES)


@has_data
@pytest.mark.skipif(not (DATA / "office31").is_dir(), reason="needs Office-31")
@pytest.mark.parametrize("domain", ["amazon", "webcam", "dslr"])
def test_class_names_are_in_label_order(domain):
    """Three domains are subsets of Office-31, whose folders are named: each class must have as many images."""
    _, y = OfficeCaltech().load(domain, DATA)
    folders = dict(zip(CLASSES, CLASSES, strict=True)) | {"backpack": "back_pack", "laptop": "laptop_computer"}
    images = DATA / "office31" / domain / "images"
    assert [(y == c).sum() for c in CLASSES] == [len(list((images / folders[c]).iterdir())) for c in CLASSES]


@has_data
def test_one_nearest_neighbour_gives_the_published_row():
    """In float32, with rows divided by their sums and columns z-scored per domain, as independent code had it."""
    import torch

    from zoo.learners.base import fit_base

    data = {}
    for domain in OfficeCaltech.domains:
        X, y = OfficeCaltech().load(domain, DATA)
        X = X / X.sum(1, keepdims=True)
        X = (X - X.mean(0)) / X.std(0)
        assert X.dtype == np.float32
        data[domain] = torch.from_numpy(X), torch.tensor([CLASSES.index(c) for c in y])
    with open(DATA.parent / "published" / "office_caltech_surf.csv") as file:
        golden = {(r["source"], r["target"]): float(r["value"]) for r in csv.DictReader(file) if r["method"] == "1nn"}
    assert len(golden) == 12
    for (source, target), value in golden.items():
        X, y = data[target]
        predicted = fit_base("1nn", *data[source], n_classes=10).predict(X).argmax(1)
        assert 100 * (predicted == y).double().mean().item() == pytest.approx(value, abs=0.05), (source, target)


# suites


@pytest.mark.parametrize("name", ["quickstart", "office_caltech", "office_caltech_holdout"])
def test_suites_are_valid_and_say_what_they_are(name):
    from zoo.bench.plan import parse_pairs
    from zoo.bench.suite import load

    suite = load(name, {})
    assert suite.name == name
    assert len(parse_pairs(suite)) == (2 if name == "quickstart" else 12)
    first = (REPO / "zoo" / "suites" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# ")
