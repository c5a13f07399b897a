"""Nonsensical suites and parameters: each is taken or is one line that names the file or the key."""

import json
import math

import pytest

from zoo import discover, parameters, source
from zoo.bench import plan, suite
from zoo.document import scalar
from zoo.errors import BadInput

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

from tests.test_fuzz_input import EDITS, damaged, promptly, tried

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
            return parameters.cast("m.p", value() if callable(value) else value, default)
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
                parameters.cast("m.p", value, default)
