"""Damaged and nonsensical input: each file either loads, with sane arrays, or is one line that names it.

A few examples a format; ``ZOO_FAULTS=N`` tries N of each, drawn anew (``make faults``).
"""

import json
import math
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

from zoo import discover, source
from zoo.bench import plan, suite
from zoo.data._own import Own, inspect, text
from zoo.data.formats.facts import Own as OwnFacts
from zoo.document import scalar
from zoo.errors import BadInput
from zoo.facts import Database
from zoo.graph import Graph, is_sparse

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

ASKED = int(os.environ.get("ZOO_FAULTS", "0"))
LIMIT = 20  # seconds for one file: what hangs is no better than what crashes
MOST = 50_000_000  # bytes that a file of some kilobytes may become
KEYS = {"x": "", "y": "", "size": 0}


def tried(n=150):
    return settings(
        max_examples=ASKED or n,
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
    def one(edits):
        path.write_bytes(damaged(whole, edits))
        keys = {"size": 8} if form == "imagefolder" else {}
        judge(form, folder / "a" if "/" in name else path, **keys)

    path.write_bytes(whole)
    judge(form, folder / "a" if "/" in name else path)
    one()


# Cells and lines ------------------------------------------------------------------------------------------------------

WRONG = "NA nan inf -inf 1e400 -1e39 1e-400 0x10 1_000 1;2 =1+1 True 1.0 01 1+2j None <NA> [] 2020-01-01 # y f0 | \\ "
ODD = [
    *(WRONG + "٣ ½ é 𝟙").split(),
    *[
        "",
        " ",
        "a b",
        "1,5",
        '"',
        '""',
        "'",
        "a\nb",
        "\r",
        "\t",
        "\0",
        "\x1b[31m",
        "\ufeff",
        "\u2028",
        "9" * 400,
        "x" * 3000,
    ],
]
CELL = st.one_of(st.sampled_from(ODD), st.text(st.characters(codec="utf-8"), max_size=6), st.floats().map(str))
CELLS = st.lists(
    st.tuples(
        st.sampled_from(["cell", "line", "drop", "twice", "more", "less"]), st.integers(0, 99), st.integers(0, 9), CELL
    ),
    min_size=1,
    max_size=4,
)


def edited(lines, edits, comma=","):
    """Lines of text after some edits of their cells."""
    for kind, i, j, cell in edits:
        i %= max(len(lines), 1)
        row = lines[i].split(comma) if lines else [""]
        if kind == "cell":
            row[j % len(row)] = cell
        elif kind == "more":
            row.append(cell)
        elif kind == "less":
            row = row[:-1]
        now = {"line": [cell], "drop": [], "twice": [comma.join(row)] * 2}.get(kind, [comma.join(row)])
        lines = [*lines[:i], *now, *lines[i + 1 :]]
    return lines


@tried(300)
@given(CELLS)
def test_csv_cells(tmp_path_factory, edits):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("\n".join(edited(TABLE.to_csv(index=False).splitlines(), edits)), encoding="utf-8", newline="")
    judge("csv", path)


NODES = ["id,f0,f1,y", *(f"n{i},{i},{i % 2},{'ab'[i % 2]}" for i in range(8))]
EDGES = ["from,to", *(f"n{i},n{(i + 1) % 8}" for i in range(8))]


@tried(200)
@given(CELLS, CELLS | st.just([]))
def test_graph_cells(tmp_path_factory, nodes, edges):
    path = tmp_path_factory.mktemp("graph")
    (path / "nodes.csv").write_text("\n".join(edited(NODES, nodes)), encoding="utf-8", newline="")
    (path / "edges.csv").write_text("\n".join(edited(EDGES, edges)), encoding="utf-8", newline="")
    judge("graph", path)


FACTS = ["likes(ann,bob).", "likes(bob,cat).", "old(ann).", "old(cat).", "teaches(ann,math,3).", "% a note", ""]
MALFORMED = ["likes(", "likes()", "likes(a,b,c,d).", "likes(,)", "likes(a,b)).", "mode:old(+p).", "old(a):-b."]
LONG = [
    f"likes(a{' ' * 50_000}b)",
    f"likes{'(' * 5000}",
    f"old({'a,' * 5000}b)",
    f"p(a){') ' * 20_000}x",
]  # slow to refuse
ATOM = st.one_of(CELL, st.sampled_from(MALFORMED), st.sampled_from(LONG))
ATOMS = st.lists(
    st.tuples(
        st.sampled_from(["cell", "line", "drop", "twice", "more", "less"]), st.integers(0, 99), st.integers(0, 9), ATOM
    ),
    max_size=4,
)


@tried(200)
@given(ATOMS, ATOMS, ATOMS, st.sampled_from(["given", "closed"]), st.booleans())
def test_facts_lines(tmp_path_factory, facts, neg, modes, negatives, reflexive):
    path = tmp_path_factory.mktemp("facts")
    for fold in ("1", "2"):
        (path / fold).mkdir()
        (path / fold / "facts.txt").write_text("\n".join(edited(FACTS, facts)), encoding="utf-8", newline="")
        (path / fold / "neg.txt").write_text("\n".join(edited(["likes(cat,ann)."], neg)), encoding="utf-8", newline="")
    (path / "background.txt").write_text(
        "\n".join(edited(["mode: likes(+p,-p)."], modes)), encoding="utf-8", newline=""
    )
    of = {
        "domains": {"a": str(path)},
        "target": {"a": "likes"},
        "aliases": {},
        "negatives": {"a": negatives},
        "x": "",
        "y": "",
        "size": 0,
    }
    with refusing(path):
        found = OwnFacts({**of, "reflexive": reflexive}).load("a", None)
        assert isinstance(found, Database)
        assert all(0 < f.y.sum() < len(f.y) == len(f.X) for f in found.folds)
    with refusing(path):
        inspect([path])


@tried(150)
@given(EDITS)
def test_facts_bytes(tmp_path_factory, edits):
    path = tmp_path_factory.mktemp("facts")
    (path / "1").mkdir()
    (path / "1" / "facts.txt").write_bytes(damaged("\n".join(FACTS).encode(), edits))
    of = {
        "domains": {"a": str(path)},
        "target": {"a": "likes"},
        "aliases": {},
        "negatives": {"a": "closed"},
        "x": "",
        "y": "",
        "size": 0,
    }
    with refusing(path):
        OwnFacts({**of, "reflexive": True}).load("a", None)


# Arrays ---------------------------------------------------------------------------------------------------------------

DTYPES = [
    "f8",
    "f4",
    "f2",
    "g",
    "i1",
    "i8",
    "u1",
    "u8",
    "?",
    "c16",
    "M8[s]",
    "m8[s]",
    "U3",
    "S3",
    "V4",
    "O",
    [("a", "f4"), ("b", "i4")],
]
SHAPES = [
    (),
    (0,),
    (12,),
    (1, 12),
    (12, 0),
    (12, 1),
    (12, 3),
    (3, 12),
    (12, 4, 4),
    (12, 3, 4, 4),
    (12, 4, 4, 3),
    (12, 2, 2, 2, 2),
    (12, 0, 4),
]
FILLS = [0, 1, -1, 1e300, math.nan, math.inf, 0.5, 255]


@st.composite
def arrays(draw):
    dtype, shape, fill = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SHAPES)), draw(st.sampled_from(FILLS))
    array = np.zeros(shape, np.dtype(dtype))
    if draw(st.booleans()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                array[...] = fill
            except (ValueError, TypeError, OverflowError):
                array = array.copy()
    if draw(st.booleans()) and array.dtype.kind in "iu" and array.size:
        array.ravel()[:] = np.arange(array.size) % 3
    return array


@tried(200)
@given(arrays(), arrays())
def test_odd_arrays(tmp_path_factory, x, y):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez(path, x=x, y=NAMES)
    judge("npz", path)
    np.savez(path, x=X, y=y)
    judge("npz", path)


@tried(150)
@given(
    st.sampled_from(["x", "y", "edges", "adjacency", "adjacency_indices", "adjacency_indptr", "adjacency_shape"]),
    arrays(),
)
def test_odd_graphs(tmp_path_factory, key, odd):
    path = tmp_path_factory.mktemp("graph") / "a.npz"
    A = csr_matrix(np.eye(12))
    parts = {f"adjacency_{k}": np.asarray(getattr(A, k)) for k in ("data", "indices", "indptr", "shape")}
    keys = (
        {"x": X, "y": Y, "edges": np.array([[0, 1], [2, 3]])}
        if key in ("x", "y", "edges")
        else {"x": X, "y": Y, **parts}
    )
    np.savez(path, **(keys | {key: odd}))
    judge("graph", path)


@tried(100)
@given(st.sampled_from(["x", "y"]), arrays(), st.sampled_from(["4", "5"]))
def test_odd_mats(tmp_path_factory, key, odd, version):
    path = tmp_path_factory.mktemp("mat") / "a.mat"
    try:
        savemat(path, {"x": X, "y": Y[:, None], key: odd}, format=version)
    except Exception:  # scipy does not write everything
        return
    judge("mat", path)


@st.composite
def columns(draw):
    import datetime
    import decimal

    when = [datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), decimal.Decimal("1.5")]
    value = st.one_of(
        *(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=4)),
        *(st.text(st.characters(codec="utf-8"), max_size=4), st.sampled_from(when)),
        *(
            st.lists(st.integers(0, 3), max_size=2),
            st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), min_size=1),
        ),
    )
    one = draw(value)
    return [draw(st.one_of(st.just(one), st.none())) for _ in range(3)]


@tried(200)
@given(
    st.lists(st.tuples(st.sampled_from(["f0", "f1", "y", "", "Y", "a|b", "\x1b"]), columns()), min_size=1, max_size=4)
)
def test_odd_tables(tmp_path_factory, made):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    try:
        parquet.write_table(pa.table([pa.array(c) for _, c in made], names=[n for n, _ in made]), path)
    except pa.ArrowException:
        return
    judge("parquet", path)


# Suites and parameters ------------------------------------------------------------------------------------------------

SUITES = [path.read_text(encoding="utf-8") for path in sorted((source.ROOT / "suites").glob("*.yaml"))]
KEYWORDS = "name dataset data pairs methods seeds labels base coral reg as digits8 a:b holdout x << null ~ yes true"
NUMERALS = f"2020-01-01 .nan .inf -.inf 1e999 0x1F 0o17 1_000 {'9' * 30} ../../x a|b"
WORDS = st.sampled_from([*KEYWORDS.split(), *NUMERALS.split(), "\x1b", "\x85", ""])
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.text(max_size=8))
VALUES = st.recursive(
    PLAIN, lambda v: st.lists(v, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), v, max_size=3)
)
MARKS = (
    "[ ] { } : &a *a , - ? | > ' \" \\ @ ` # << !!set !!python/name:os.system !x 1 x dataset: methods: name: digits8"
)
BREAKS = ["\n", "\n  ", "\t", "\0", "\ufeff", "%YAML 1.1\n---\n", "---\n", "...\n", "[" * 60, "a: {" * 60]
TOKENS = st.lists(st.sampled_from([*MARKS.split(), *(f"{m} " for m in MARKS.split()), *BREAKS]), max_size=12).map(
    "".join
)
ODDER = st.recursive(
    PLAIN | st.dates() | st.binary() | st.complex_numbers(),
    lambda v: st.lists(v) | st.frozensets(st.integers()) | st.dictionaries(st.integers() | st.text(), v),
)


def over(value):
    """A document with some of a suite's keys, over one that works."""
    works = {"dataset": "digits8", "methods": ["source_only"]}
    return works | (value if isinstance(value, dict) else {"methods": value})


def loads(path):
    """A suite that is loaded and planned, and is JSON, or one line that names the file or the key."""
    with promptly():
        try:
            found = suite.load(str(path), {})
            rows = plan.parse_rows(found, KNOWN, [])
            plan.parse_pairs(found)
        except BadInput as error:
            return str(error)
    assert "/" not in found.name
    assert not any(c in row.label for row in rows for c in "|\n\r")
    plan.canonical([found.recorded(), [(row.label, row.parameters) for row in rows]])
    return ""


KNOWN = discover.methods()


@tried(150)
@given(st.integers(0, len(SUITES) - 1), EDITS)
def test_damaged_suites(tmp_path_factory, i, edits):
    path = tmp_path_factory.mktemp("suite") / "a.yaml"
    path.write_bytes(damaged(SUITES[i].encode(), edits))
    loads(path)


@tried(150)
@given(TOKENS)
def test_suites_of_any_tokens(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("suite") / "a.yaml"
    path.write_text(text, encoding="utf-8")
    loads(path)


@tried(200)
@given(VALUES)
def test_suites_of_any_values(tmp_path_factory, value):
    """JSON is YAML; characters that YAML does not take are escaped in it."""
    path = tmp_path_factory.mktemp("suite") / "a.yaml"
    path.write_text(json.dumps(over(value)), encoding="utf-8")
    loads(path)


@tried(150)
@given(st.sampled_from(sorted(suite.Suite.model_fields)), VALUES)
def test_any_value_of_any_key(tmp_path_factory, key, value):
    path = tmp_path_factory.mktemp("suite") / "a.yaml"
    path.write_text(json.dumps({"dataset": "digits8", "methods": ["source_only"], key: value}), encoding="utf-8")
    loads(path)


DEFAULTS = [None, 1, 1.0, "a", True, (), (1, 2), [1.0], {}, {"a": 1}]


def cast(value, default):
    """The value of a parameter with this default, or why there is none."""
    with promptly():
        try:
            return plan._cast("m.p", value() if callable(value) else value, default)
        except BadInput as error:
            return error


@tried(300)
@given(st.sampled_from(DEFAULTS), st.one_of(TOKENS, VALUES.map(json.dumps), WORDS, st.text(max_size=10)))
def test_any_value_of_a_parameter(default, text):
    """What `--set` takes is JSON of the default's type."""
    got = cast(lambda: scalar(text), default)
    if isinstance(got, BadInput):
        assert str(got).startswith(("m.p: ", "--set"))
    else:
        plan.canonical(got)
        assert default is None or type(got) is type(default)


@tried(150)
@given(st.sampled_from(DEFAULTS), ODDER)
def test_any_value_from_python(default, value):
    got = cast(value, default)
    if isinstance(got, BadInput):
        assert str(got).startswith("m.p: ")
    else:
        plan.canonical(got)


def test_a_value_that_holds_itself():
    cyclic = [1]
    cyclic.append(cyclic)
    deep = []
    for _ in range(5000):
        deep = [deep]
    for value in (cyclic, {"a": cyclic}, deep, {1: 2, "a": 3}, [math.nan], {1}, b"a", 10**5000, "\udcff"):
        for default in DEFAULTS:
            with pytest.raises(BadInput, match=r"m\.p: expected"):
                plan._cast("m.p", value, default)
