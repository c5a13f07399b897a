"""Digits and reviews: the files as they are, files made to the same layout, and what is wrong in one."""

import bz2
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from zoo import discover
from zoo.data import _digits
from zoo.data.amazon_reviews import AmazonReviews
from zoo.data.digits import Digits
from zoo.data.digits_framed import DigitsFramed
from zoo.errors import BadInput

DATA = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[2] / "shared" / "data")
SUITES = {"digits": 6, "digits_framed": 6, "amazon_reviews": 12, "fsdd": 30}


def needs(folder):
    return pytest.mark.skipif(not (DATA / folder).is_dir(), reason=f"no {folder}: set ZOO_DATA")


def refused(dataset, domain, root, path, words):
    """Loading fails with one line that begins with the file."""
    with pytest.raises(BadInput) as error:
        dataset.load(domain, root)
    message = str(error.value)
    assert message.startswith(str(path))
    assert words in message
    assert "\n" not in message


# digits


def idx(array):
    """The bytes of an idx file of uint8."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return head + array.astype(np.uint8).tobytes()


def libsvm(images, digits):
    """The bytes of a USPS file: classes from 1, pixels from -1 to 1."""
    rows = (" ".join(f"{i}:{v:.6f}" for i, v in enumerate(row, 1)) for row in images.reshape(len(images), -1))
    return bz2.compress("".join(f"{c + 1} {row}\n" for c, row in zip(digits, rows, strict=True)).encode())


@pytest.fixture
def made(tmp_path):
    """A data root with 12 digits of MNIST and of USPS, the native splits 8 and 4."""
    rng = np.random.default_rng(0)
    raw = tmp_path / "digits" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images, y = rng.integers(0, 256, (12, 28, 28)), np.arange(12) % 10
    pixels = rng.uniform(-1, 1, (12, 16, 16))
    for mnist, usps, part in (("train", "usps.bz2", slice(8)), ("t10k", "usps.t.bz2", slice(8, 12))):
        (raw / f"{mnist}-images-idx3-ubyte").write_bytes(idx(images[part]))
        (raw / f"{mnist}-labels-idx1-ubyte").write_bytes(idx(y[part]))
        (tmp_path / "digits" / usps).write_bytes(libsvm(pixels[part], y[part]))
    return tmp_path, images, pixels, y


def test_native_splits_are_pooled_and_pixels_kept(made):
    root, images, pixels, y = made
    X, digits = _digits.read(Digits(), "mnist", root)
    np.testing.assert_allclose(X * 255, images, atol=1e-4)
    np.testing.assert_array_equal(digits, y)
    X, digits = _digits.read(Digits(), "usps", root)
    np.testing.assert_allclose(X, (pixels + 1) / 2, atol=1 / 255 + 1e-6)  # torchvision keeps 8 bits
    np.testing.assert_array_equal(digits, y)


def test_mnist_is_what_torchvision_reads(made):
    from torchvision.datasets import MNIST

    root, *_ = made
    X, y = _digits.read(Digits(), "mnist", root)
    splits = [MNIST(root / "digits", train=train, download=False) for train in (True, False)]
    np.testing.assert_array_equal((X * 255).round(), np.concatenate([s.data.numpy() for s in splits]))
    np.testing.assert_array_equal(y, np.concatenate([s.targets.numpy() for s in splits]))


@pytest.mark.parametrize("side", [8, 16, 20, 28])
def test_resizing_is_as_pillow_does_it(side):
    """Pillow's bilinear filter is antialiased as well; it rounds to 32 bits only."""
    from PIL import Image

    images = np.random.default_rng(0).random((3, side, side), np.float32)
    pillow = [Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR) for image in images]
    ours = _digits.resize(images, 32)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours[:, 0], [np.asarray(image) for image in pillow], atol=1e-5)
    small = [Image.fromarray(image).resize((7, 7), Image.Resampling.BILINEAR) for image in images]
    np.testing.assert_allclose(_digits.resize(images, 7)[:, 0], [np.asarray(image) for image in small], atol=1e-5)


def test_framed_crops_mnist_only(made):
    root, images, _, y = made
    X, digits = DigitsFramed().load("mnist", root)
    np.testing.assert_array_equal(X, _digits.resize(images[:, 4:24, 4:24].astype(np.float32) / 255, 32))
    np.testing.assert_array_equal(digits.astype(int), y)
    assert not np.array_equal(X, Digits().load("mnist", root)[0])
    for domain in ("usps", "optdigits"):
        np.testing.assert_array_equal(DigitsFramed().load(domain, root)[0], Digits().load(domain, root)[0])


def test_optdigits_need_no_files():
    from sklearn.datasets import load_digits

    X, y = Digits().load("optdigits", None)
    assert (X.shape, X.dtype) == ((1797, 1, 32, 32), np.float32)
    np.testing.assert_array_equal(y.astype(int), load_digits().target)
    np.testing.assert_allclose(X.mean((1, 2, 3)), load_digits().images.mean((1, 2)) / 16, atol=0.02)


MNIST_FILES = [f"MNIST/raw/{s}-{w}-ubyte" for s in ("train", "t10k") for w in ("images-idx3", "labels-idx1")]


@pytest.mark.parametrize("name", [*MNIST_FILES, "usps.bz2", "usps.t.bz2"])
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated"])
def test_a_damaged_digits_file_is_named(made, name, damage):
    path = made[0] / "digits" / name
    whole = path.read_bytes()
    path.write_bytes(
        {"text": b"<html>404 Not Found</html>\n" * 9, "truncated": whole[: len(whole) // 2]}.get(damage, b"")
    )
    if damage == "missing":
        path.unlink()
    words = (
        "is not there; `zoo data fetch digits` gets it, or says how; origin: MNIST at "
        if damage == "missing"
        else "cannot be read as "
    )
    refused(Digits(), "mnist" if "MNIST" in name else "usps", made[0], path, words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (MNIST_FILES[0], idx(np.zeros((8, 32, 32))), "images of 32×32, not 28×28"),
        (MNIST_FILES[0], idx(np.zeros((7, 28, 28))), "7 images, but train-labels-idx1-ubyte has 8 labels"),
        (MNIST_FILES[1], idx(np.arange(3, 11)), "labels from 3 to 10, not digits"),
        ("usps.bz2", bz2.compress(b""), "is empty"),
        (MNIST_FILES[2], idx(np.zeros(4)), "cannot be read as an idx file of images"),
        ("usps.bz2", libsvm(np.zeros((2, 32, 32)), [0, 1]), "2 lines that do not hold 256 pixels each"),
        ("usps.bz2", libsvm(np.zeros((2, 16, 16)), [0, 10]), "labels from 0 to 10, not digits"),
        ("usps.bz2", libsvm(np.zeros((2, 15, 15)), [0, 1]), "cannot be read as USPS in libsvm's format"),
    ],
)
def test_wrong_digits_are_refused(made, name, content, words):
    path = made[0] / "digits" / name
    path.write_bytes(content)
    refused(Digits(), "mnist" if "MNIST" in name else "usps", made[0], path, words)


@needs("digits")
@pytest.mark.parametrize("dataset", [Digits(), DigitsFramed()], ids=["plain", "framed"])
@pytest.mark.parametrize(("domain", "n"), [("mnist", 10_000), ("usps", 9298)])
def test_digits_shapes(dataset, domain, n):
    X, y = dataset.load(domain, DATA)
    assert (X.shape, X.dtype) == ((n, 1, 32, 32), np.float32)
    assert X.min() == 0
    assert 0.99 < X.max() <= 1
    assert sorted(set(y.tolist())) == list("0123456789")


@pytest.fixture(scope="module")
def raw():
    if not (DATA / "digits").is_dir():
        pytest.skip("no digits: set ZOO_DATA")
    return {domain: _digits.read(Digits(), domain, DATA) for domain in ("mnist", "usps")}


def test_nearest_neighbour_within_usps(raw):
    """94.4 by independent code, on the native split; torchvision's 8 bits move it by two images."""
    from sklearn.neighbors import KNeighborsClassifier

    X, y = raw["usps"][0].reshape(-1, 256), raw["usps"][1]
    score = KNeighborsClassifier(1).fit(X[:7291], y[:7291]).score(X[7291:], y[7291:])
    assert 100 * score == pytest.approx(94.4, abs=0.1)


@pytest.mark.parametrize(("centre", "golden"), [(None, 40.5), (20, 74.0)])
def test_what_framing_is_worth_to_logistic_regression(raw, centre, golden):
    """At 16×16, MNIST to USPS. The figures by independent code belong to C = 0.1; the plain one hangs much on C."""
    from sklearn.linear_model import LogisticRegression

    (images, y), (usps, digits) = raw["mnist"], raw["usps"]
    X = _digits.resize(images, 16, centre).reshape(len(y), -1)
    score = LogisticRegression(C=0.1, max_iter=200).fit(X, y).score(usps.reshape(len(usps), -1), digits)
    assert 100 * score == pytest.approx(golden, abs=0.5)


# amazon_reviews


@needs("amazon_reviews")
@pytest.mark.parametrize(("domain", "n"), [("books", 2000), ("dvd", 1999), ("electronics", 1998), ("kitchen", 1999)])
def test_reviews_shapes(domain, n):
    X, y = AmazonReviews().load(domain, DATA)
    assert (X.shape, X.dtype) == ((n, 400), np.float32)
    assert X.min() == 0
    np.testing.assert_allclose(X.sum(1), 1, atol=1e-5)  # frequencies
    assert (y == "negative").sum() == 1000
    assert set(y.tolist()) == {"negative", "positive"}


def test_reviews_read_their_files(tmp_path):
    (tmp_path / "amazon_reviews").mkdir()
    path = tmp_path / "amazon_reviews" / "elec_400.mat"
    refused(
        AmazonReviews(),
        "electronics",
        tmp_path,
        path,
        "`zoo data fetch amazon_reviews` gets it, or says how; origin: the 400-word features",
    )
    path.write_bytes(b"<html>404 Not Found</html>" * 100)
    refused(AmazonReviews(), "electronics", tmp_path, path, "cannot be read as a MATLAB file: ")
    savemat(path, {"fts": np.ones((2, 3)), "labels": [[1], [2]]})
    refused(AmazonReviews(), "electronics", tmp_path, path, "labels are not whole numbers from 0 to 1")
    savemat(path, {"fts": np.eye(2), "labels": [[1], [0]]})
    X, y = AmazonReviews().load("electronics", tmp_path)
    np.testing.assert_array_equal(X, np.eye(2))
    assert y.tolist() == ["positive", "negative"]


# all of them


@pytest.mark.parametrize("dataset", SUITES)
def test_data_without_a_root_say_how_to_get_them(dataset):
    info = discover.datasets()[dataset]
    with pytest.raises(BadInput, match="ZOO_DATA"):
        discover.load(info)().load(info.domains[0], None)


def test_data_sets_cite_known_references():
    known = discover.references()
    for info in discover.datasets().values():
        assert [key for key in info.cite.split(", ") if key not in known] == []


def test_suites_and_their_pairs():
    from zoo.bench.plan import parse_pairs
    from zoo.bench.suite import load

    for name, pairs in SUITES.items():
        suite = load(name, {})
        assert (suite.dataset, len(parse_pairs(suite))) == (name, pairs)


def test_listing_and_importing_load_nothing_heavy():
    code = (
        "import sys\nfrom zoo import discover\n"
        "for info in discover.datasets().values(): discover.load(info)\n"
        "heavy = {'torch', 'torchvision', 'scipy', 'sklearn', 'PIL'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs("amazon_reviews")
def test_reviews_are_loaded_without_torch():
    """The driver forks nothing and stays light where torch is not needed."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom zoo.data.amazon_reviews import AmazonReviews\n"
        f"AmazonReviews().load('books', Path({str(DATA)!r}))\nassert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
