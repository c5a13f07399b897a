"""Damaged files: each either loads, with sane arrays, or is one line that names it.

A few examples a format; ``ZOO_FAULTS=N`` tries N of each, drawn anew (``make faults``).
"""

import os
import signal
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import savemat, wavfile
from scipy.sparse import csr_matrix

from zoo.data._inspect import inspect, text
from zoo.data._own import Own
from zoo.errors import BadInput
from zoo.graph import Graph, is_sparse

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, example, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

ASKED = int(os.environ.get("ZOO_FAULTS", "0"))
LIMIT = 20  # seconds for one file: what hangs is no better than what crashes
MOST = 50_000_000  # bytes that a file of some kilobytes may become
KEYS = {"x": "", "y": "", "size": 0}


def tried(n):
    return settings(
        max_examples=ASKED or n // 3,
        derandomize=not ASKED,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


# Judging --------------------------------------------------------------------------------------------------------------


@contextmanager
def promptly():
    def late(*_):
        pytest.fail(f"takes more than {LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def refusing(path):
    """Nothing but a BadInput that names the path; no warning, which would be a second line on stderr."""
    with promptly(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        error = None
        try:
            yield
        except BadInput as found:
            error = str(found)
    if error is not None:
        assert str(path) in error
        error.encode()
    assert not [w for w in said if not issubclass(w.category, DeprecationWarning)]


def judge(form, path, **keys):
    """Load a domain, and inspect its file."""
    with refusing(path):
        X, y = Own({"format": form, "domains": {"a": str(path)}, **KEYS, **keys}).load("a", None)
        assert len(X) == len(y) > 0
        assert y.dtype.kind == "U"
        "".join(y.tolist()).encode()
        values = X.x if isinstance(X, Graph) else X
        values = values.data if is_sparse(values) else values
        assert values.nbytes < MOST
        assert all(X.shape)
        assert values.dtype == np.float32 or (values.dtype == np.uint8 and form == "imagefolder")
        assert np.isfinite(values).all()
        if isinstance(X, Graph):
            assert not len(X.edges) or 0 <= X.edges.min() <= X.edges.max() < X.n
            X.digest  # noqa: B018
    with refusing(path):
        text(inspect([path])).encode()


# Bytes ----------------------------------------------------------------------------------------------------------------

NUMBERS = [0, -1, 1, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**40]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "put", "cut", "drop", "twice", "insert", "number", "head"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=8), st.sampled_from([n.to_bytes(8, "little", signed=True) for n in NUMBERS])
        ),
    ),
    min_size=1,
    max_size=5,
)


def damaged(data, edits):
    """The bytes after some edits."""
    for kind, where, more in edits:
        at = int(where * len(data)) if kind != "head" else int(where * min(len(data), 200))
        n = len(more)
        if kind in ("put", "number", "head"):
            data = data[:at] + more + data[at + n :]
        elif kind == "flip" and data:
            data = data[:at] + bytes([data[at] ^ (1 << more[0] % 8)]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + more[0] :]
        elif kind == "twice":
            data = data[:at] + data[at : at + more[0]] * 2 + data[at + more[0] :]
        elif kind == "insert":
            data = data[:at] + more + data[at:]
    return data


def saved(write, name):
    """The bytes that a library writes under this name."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 3)), np.repeat([1, 2, 3], 4)
NAMES = np.array(["cat", "dog", "owl"])[Y - 1]
TABLE = pd.DataFrame(X.round(3), columns=["f0", "f1", "f2"]).assign(y=NAMES)


def mat73(path, sparse=False):
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        if sparse:
            csc = csr_matrix(X).tocsc()
            item = file.create_group("X")
            item.attrs["MATLAB_sparse"] = np.uint64(csc.shape[0])
            item["jc"], item["ir"], item["data"] = csc.indptr.astype("u8"), csc.indices.astype("u8"), csc.data
        else:
            item = file.create_dataset("X", data=X.T)
        item.attrs["MATLAB_class"] = np.bytes_("double")
        file.create_dataset("y", data=Y[None].astype(float)).attrs["MATLAB_class"] = np.bytes_("double")


def files():
    """Small valid files: their format, their name, and what writes them."""
    pytest.importorskip("h5py")
    pytest.importorskip("pyarrow")
    cells = NAMES[:, None].astype(object)
    pixels = RNG.integers(0, 256, (9, 8, 3)).astype(np.uint8)
    graph = {"x": X, "y": Y, "edges": np.array([[0, 1], [1, 2], [2, 0]])}
    A = csr_matrix(([1.0, 1, 1], ([0, 1, 2], [1, 2, 0])), shape=(12, 12))
    parts = {f"adjacency_{k}": np.asarray(getattr(A, k)) for k in ("data", "indices", "indptr", "shape")}
    yield "npz", "a.npz", lambda p: np.savez(p, x=X, y=NAMES)
    yield "npz", "a.npz", lambda p: np.savez_compressed(p, x=X.reshape(12, 1, 3, 1), y=Y)
    yield "mat", "a.mat", lambda p: savemat(p, {"x": X, "y": cells})
    yield "mat", "a.mat", lambda p: savemat(p, {"x": csr_matrix(X), "y": Y[:, None]}, do_compression=True)
    yield "mat", "a.mat", lambda p: savemat(p, {"x": X, "y": Y[:, None]}, format="4")
    yield "mat", "a.mat", mat73
    yield "mat", "a.mat", lambda p: mat73(p, sparse=True)
    yield "csv", "a.csv", lambda p: TABLE.to_csv(p, index=False)
    yield "parquet", "a.parquet", lambda p: TABLE.to_parquet(p)
    yield "graph", "a.npz", lambda p: np.savez(p, **graph)
    yield "graph", "a.npz", lambda p: np.savez(p, x=X, y=Y, **parts)
    yield "graph", "a.mat", lambda p: savemat(p, {"network": A, "attrb": X, "group": np.eye(3)[Y - 1]})
    yield "audiofolder", "c/a.wav", lambda p: wavfile.write(p, 8000, (1000 * RNG.normal(size=300)).astype(np.int16))
    yield "audiofolder", "c/a.wav", lambda p: wavfile.write(p, 11025, RNG.normal(size=(300, 2)).astype(np.float32))
    for suffix in ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm"):
        yield "imagefolder", f"c/a.{suffix}", lambda p: Image.fromarray(pixels).save(p)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path


CASES = list(files())


@pytest.mark.parametrize("i", range(len(CASES)), ids=[f"{form}-{name}" for form, name, _ in CASES])
def test_damaged_bytes(folder, i):
    form, name, write = CASES[i]
    path = folder / "a" / name if "/" in name else folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = saved(write, path.name)

    @tried(150 if "folder" not in form else 50)
    @given(EDITS)
    @example([("drop", 0.0, b"\x8a")])  # of a MATLAB file: scipy takes it for version 4, and only warns
    def one(edits):
        path.write_bytes(damaged(whole, edits))
        keys = {"size": 8} if form == "imagefolder" else {}
        judge(form, folder / "a" if "/" in name else path, **keys)

    path.write_bytes(whole)
    judge(form, folder / "a" if "/" in name else path)
    one()
