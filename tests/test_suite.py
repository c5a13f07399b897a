"""Suites: YAML 1.2 scalars, which source of a setting wins, and what a wrong key says."""

from pathlib import Path

import pytest

from zoo import discover, document, wrappers
from zoo.bench import plan, suite
from zoo.errors import BadInput


def load(tmp_path: Path, text: str, name: str = "mine.yaml", **overrides):
    path = tmp_path / name
    path.write_text(text)
    return suite.load(str(path), overrides)


def test_scalars_are_yaml_1_2(tmp_path):
    s = load(tmp_path, "dataset: office_caltech\nlearning_rate: 1e-3\nsteps: 0o17\nmethods: [{dann: {as: no}}]\n")
    assert s.learning_rate == 1e-3
    assert s.steps == 15
    assert s.methods == ({"dann": {"as": "no"}},)  # PyYAML alone reads False
    pairs = [("1e-3", 1e-3), ("-2E+2", -200.0), ("no", "no"), ("on", "on"), ("true", True), ("~", None), ("12", 12)]
    assert [document.scalar(text) for text, _ in pairs] == [value for _, value in pairs]
    assert document.scalar("[1, 2]") == [1, 2]
    assert document.scalar("a: [") == "a: ["  # no YAML at all: text


def test_defaults_then_file_then_command_line(tmp_path):
    text = "dataset: office_caltech\nsteps: 7\nseeds: 2\n"
    s = load(tmp_path, text, seeds=4, labels=None)
    assert (s.batch_size, s.steps, s.seeds, s.labels) == (64, 7, 4, 0)
    assert s.name == "mine"
    assert load(tmp_path, text + "name: other\n").name == "other"


def test_the_net_follows_the_data_unless_given(tmp_path):
    assert load(tmp_path, "dataset: office_caltech\n").net == "mlp"
    assert load(tmp_path, "dataset: digits8\n").net == "cnn"
    assert load(tmp_path, "dataset: digits8\nnet: mlp\n").net == "mlp"
    assert load(tmp_path, "dataset: digits8\n", net="mlp").net == "mlp"


@pytest.mark.parametrize("name", discover.suites())
def test_every_suite_of_the_package_loads(name):
    if name in ("peers", "peers_digits"):
        pytest.importorskip("skada")
    s = suite.load(name, {})
    assert s.name == name
    assert plan.parse_pairs(s)
    assert plan.parse_rows(s, discover.methods() | wrappers.named(s.methods), [])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dataset: office_caltech\nstpes: 3\n", "mine.yaml:2: unknown key 'stpes': did you mean 'steps'"),
        ("dataset: office_caltech\nstep: 3\n", "step: 3 is for series, and office_caltech holds samples (of training"),
        ("dataset: office_caltech\n\nsteps: many\n", "mine.yaml:3: steps: "),
        (
            "dataset: office_caltech\nsteps: 0\n",
            "mine.yaml:2: steps: input should be greater than or equal to 1, got 0",
        ),
        ("dataset: office_caltech\nbase: 2nn\n", "mine.yaml:2: base: "),
        ("dataset: office_caltech\nlabels: -1\n", "mine.yaml:2: labels: "),
        ("dataset: office_caltech\nlabels: some\n", "mine.yaml:2: labels: "),
        ("dataset: office_caltech\nprotocol: no\n", "mine.yaml:2: protocol: "),
        ("dataset: office_caltech\nsteps: [3\nseeds: 2\n", "malformed YAML at key 'seeds'"),
        ("dataset: office_caltech\n\tsteps: 3\n", "mine.yaml:2: malformed YAML at key"),
        ("dataset: office_caltech\nsteps: 3\nsteps: 4\n", "mine.yaml:3: malformed YAML at key 'steps'"),
        ("steps: 3\n", "mine.yaml: dataset: missing; name a known data set"),
        ("dataset: office_caltec\n", "unknown dataset 'office_caltec': did you mean 'office_caltech'"),
        ("- a\n- b\n", "mine.yaml:1: a suite is a mapping"),
        ("", "mine.yaml:1: a suite is a mapping"),
        ("dataset: office_caltech\nnet: mpl\n", "unknown net 'mpl': did you mean 'mlp'"),
        ("dataset: office_caltech\nlabels: all\nprotocol: transductive\n", "labels: all needs protocol: holdout"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path, text, says):
    with pytest.raises(BadInput) as error:
        load(tmp_path, text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_option_is_named_as_the_option(tmp_path):
    with pytest.raises(BadInput, match=r"^--batch-size: .*, got 1$"):
        load(tmp_path, "dataset: office_caltech\n", batch_size=1)


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ("[{coral: {reg: 0.1}, kmm: {}}]", "one method an entry"),
        ("[coral, {coral: {reg: 0.1}}]", "'coral' stands twice"),
        ("[{coral: {rge: 0.1}}]", "unknown parameter of coral 'rge': did you mean 'reg'"),
        ("[{coral: {reg: high}}]", "coral.reg: expected float such as 1.0, got 'high'"),
        ("[{coral: {reg: true}}]", "coral.reg: expected float such as 1.0, got True"),
        ("[corla]", "unknown method 'corla': did you mean 'coral'"),
    ],
)
def test_wrong_methods_are_refused(tmp_path, methods, says):
    s = load(tmp_path, f"dataset: office_caltech\nmethods: {methods}\n")
    with pytest.raises(BadInput) as error:
        plan.parse_rows(s, discover.methods(), [])
    assert says in str(error.value)


def test_set_goes_over_the_file_over_the_defaults(tmp_path):
    s = load(tmp_path, "dataset: office_caltech\nmethods: [{coral: {reg: 3}}, {coral: {as: plain}}, kmm]\n")
    rows = {r.label: r.parameters for r in plan.parse_rows(s, discover.methods(), [])}
    assert list(rows) == ["source_only", "kmm", "coral", "plain"]  # by family and name, the reference added
    assert (rows["coral"]["reg"], rows["plain"]["reg"]) == (3.0, 1.0)
    one = {r.label: r.parameters for r in plan.parse_rows(s, discover.methods(), ["plain.reg=1e-2"])}
    assert (one["coral"]["reg"], one["plain"]["reg"]) == (3.0, 0.01)
    # Without that label, the name of the method means all its rows.
    s = load(tmp_path, "dataset: office_caltech\nmethods: [{coral: {as: a}}, {coral: {as: b}}]\n")
    both = {r.label: r.parameters for r in plan.parse_rows(s, discover.methods(), ["coral.reg=2"])}
    assert (both["a"]["reg"], both["b"]["reg"]) == (2.0, 2.0)
