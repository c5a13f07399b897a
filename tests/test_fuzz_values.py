"""Well-formed files of nonsensical cells, lines and arrays: each either loads, or is one line that names it."""

import math
import warnings

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csr_matrix

from zoo.data._inspect import inspect
from zoo.data.formats.facts import Own as OwnFacts
from zoo.facts import Database

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

from tests.test_fuzz_input import EDITS, NAMES, TABLE, X, Y, damaged, judge, refusing, tried

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
