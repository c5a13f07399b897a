"""Whatever stands in run.json, in records and in explanations, every reader gives its report or one clear line.

ZOO_FAULTS=3000 tries more examples than a plain run of the tests does.
"""

import copy
import io
import json
import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from zoo import discover, records
from zoo.bench.run import Benchmark
from zoo.errors import BadInput, one_line, printable
from zoo.records import schema
from zoo.records.ids import cell_id
from zoo.report import cite, compared, explain, plots, status, table
from zoo.report.frame import frame

KNOWN = cite.Known(discover.methods(), discover.datasets(), discover.references())
TRIES = int(os.environ.get("ZOO_FAULTS", "40"))
FORMS = ("md", "latex", "csv", "html", "json")
many = settings(
    max_examples=TRIES,
    deadline=None,
    derandomize="ZOO_FAULTS" not in os.environ,
    suppress_health_check=list(HealthCheck),
    database=None,
)
DEEP = "deep"  # stands for 100,000 nested lists, which no JSON writer makes
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2, 10**18, 2**63, 10**400, 10**4000, 0.5, -0.0, 1e-320, 1e100, 1e308, -1e308]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.sampled_from(
        ["", "\ud800", "a\nb", "a:b", "a|<b>`*\\", "\x1b[31m\u202e\0", "$\\frac{$", "=1+1", "ok", "é" * 500]
    ),
    st.sampled_from([[], {}, [[]], [None], [1, "a"], {"a": {}}, {"": None}, {"a": [1]}, [[[{}] * 3] * 3], DEEP]),
    st.text(max_size=5),
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 10**9), st.sampled_from(["put", "drop", "rename", "twin"]), JUNK), min_size=1, max_size=3
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, surf):
    """run.json and the records of a small run with networks."""
    folder = tmp_path_factory.mktemp("fuzz")
    suite = {"dataset": "office_caltech", "pairs": ["amazon:webcam", "webcam:amazon"], "steps": 5, "batch_size": 16}
    (folder / "tiny.yaml").write_text(json.dumps({**suite, "base": "1nn", "protocol": "transductive", "seeds": 2}))
    options = {"methods": ["coral", "dann", "target_only"], "out": folder / "run", "executor": "local"}
    Benchmark(str(folder / "tiny.yaml"), data_root=surf, **options).run()
    (file,) = (folder / "run" / "records").glob("*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return folder / "run", json.loads((folder / "run" / "run.json").read_text()), lines


def places(value, path=()):
    """The paths of all that a JSON value holds."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield from places(entry, (*path, key))


def changed(value, changes):
    value = copy.deepcopy(value)
    for turn, how, junk in copy.deepcopy(changes):
        paths = [path for path in places(value) if path]
        if not paths:
            return value
        *way, last = paths[turn % len(paths)]
        inner = value
        for key in way:
            inner = inner[key]
        if how == "put" or isinstance(inner, list):
            inner[last] = junk
        elif how == "drop":
            del inner[last]
        elif how == "rename":
            inner[str(junk)] = inner.pop(last)
        else:
            inner[f"{last}{junk}"] = inner[last]
    return value


def dumped(value):
    return json.dumps(value).encode().replace(b'"deep"', b"[" * 100_000)


def read_all(folder, draw):
    """All reports of a folder, as far as each can be made; returns the texts."""
    texts, run = [], []

    def one(make):
        try:
            texts.append(make())
        except BadInput as error:
            texts.append(one_line(error, 0))  # as the command prints it

    metric = draw.choice(["", "auroc", "nll", "ece"])
    one(lambda: run.append(records.read(folder)) or "")
    for read in run:
        one(lambda: json.dumps(status.build(read).to_json()))
        one(lambda: "\n".join(map(printable, status.build(read).notes)))
        for form in FORMS:
            one(lambda form=form: table.render(table.build(read, metric), form))
        one(lambda: Console(file=io.StringIO(), width=80).print(table.rich(table.build(read))) or "")
        for form in ("md", "json"):
            one(lambda form=form: compared.render(read, metric, form))
        one(lambda: cite.bibtex(read, KNOWN))
        one(lambda: str(explain.explaining(folder)) and "")
        one(lambda: repr(frame(read)) and "")
        for kind in ("bars", "gains", "time", "curves") if draw.random() < 0.03 else ():
            one(lambda kind=kind: str(len(plots.render(read, kind, ".png"))))
    for text in texts:
        assert "\x1b" not in text
        text.encode()
    return texts


def write(folder, meta, lines):
    (folder / "records").mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(meta)
    (folder / "records" / "1.jsonl").write_bytes(b"".join(lines))


def test_untouched_all_reports_are_made(tiny, tmp_path):
    _, meta, lines = tiny
    write(tmp_path, dumped(meta), [dumped(r) + b"\n" for r in lines])
    assert len(read_all(tmp_path, random.Random(1))) >= 12
    assert records.read(tmp_path).refused == {}


@many
@given(changes=CHANGES, seed=st.integers(0, 2**32))
def test_run_json(tiny, tmp_path_factory, changes, seed):
    _, meta, lines = tiny
    folder = tmp_path_factory.mktemp("meta")
    write(folder, dumped(changed(meta, changes)), [dumped(r) + b"\n" for r in lines])
    read_all(folder, random.Random(seed))


@many
@given(
    lines=st.lists(st.tuples(st.integers(0, 99), CHANGES, st.sampled_from(["as is", "old", "signed"])), max_size=6),
    seed=st.integers(0, 2**32),
)
def test_records(tiny, tmp_path_factory, lines, seed):
    """As an editor would leave them, as version 1, and signed anew, so that what readers rely on is reached."""
    _, meta, own = tiny
    folder = tmp_path_factory.mktemp("records")
    made = []
    for i, changes, how in lines:
        record = changed(own[i % len(own)], changes)
        if how != "as is":
            record = {key: value for key, value in record.items() if key not in ("v", "digest")}
            try:
                record["cell"] = cell_id(record)
                made.append(dumped(record) + b"\n" if how == "old" else schema.line(record))
                continue
            except (KeyError, ValueError):
                pass
        made.append(dumped(record) + b"\n")
    write(folder, dumped(meta), [dumped(r) + b"\n" for r in own[6:]] + made)
    read_all(folder, random.Random(seed))


@many
@given(data=st.data())
def test_bytes(tiny, tmp_path_factory, data):
    """Cut, overwritten and noisy files."""
    _, meta, own = tiny
    folder = tmp_path_factory.mktemp("bytes")
    files = [dumped(meta), b"".join(dumped(r) + b"\n" for r in own)]
    for i, file in enumerate(files):
        at = data.draw(st.integers(0, len(file)))
        noise = data.draw(
            st.binary(max_size=8) | st.sampled_from([b"\n", b"[" * 100_000, b'{"cell":"x","status":"ok"}\n'])
        )
        files[i] = data.draw(
            st.sampled_from([file[:at], file[:at] + noise + file[at:], file[:at] + noise + file[at + 9 :]])
        )
    write(folder, files[0], [files[1]])
    read_all(folder, random.Random(0))


EXPLAINED = [
    {
        "mapping": [{"source": "parent", "target": "boss", "inverted": False, "sign": 1, "score": 0.25}],
        "rules": [{"weight": 0.5, "rule": "a(X) :- b(X)"}],
        "trees": [{"test": "a(X)", "yes": {"value": 1.0, "n": 3}, "no": {"value": -1.0}}],
    }
]


@many
@given(changes=CHANGES, seed=st.integers(0, 2**32))
def test_explanations(tiny, tmp_path_factory, changes, seed):
    draw = random.Random(seed)
    _, meta, own = tiny
    folder = tmp_path_factory.mktemp("explained")
    write(folder, dumped(meta), [dumped(own[0]) + b"\n"])
    (folder / "explanations").mkdir()
    (folder / "explanations" / f"{own[0]['cell']}.json").write_bytes(dumped(changed(EXPLAINED, changes)))
    try:
        record, found = explain.find(own[0]["cell"], [folder])
        explain.text(record, found, 1).encode()
        if draw.random() < 0.05:
            explain.picture(record, found, 1, ".svg")
    except BadInput as error:
        one_line(error, 0).encode()
