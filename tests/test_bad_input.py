"""Bad arguments, suites, data and parameters: one line on stderr, exit code 2, nothing written."""

import json

import numpy as np
import pytest

SURF = "office_caltech/{}_SURF_L10.mat"
MINE = ("{tiny}", "--plugin", "{mine}", "--methods", "mine")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("quickstrt", "unknown suite 'quickstrt': did you mean 'quickstart' or 'quickstart_all'?"),
        ("nowhere.yaml", "suite file nowhere.yaml is not there"),
        ("{tiny} --methods corla", "unknown method 'corla': did you mean 'coral' or 'lora' or 'cotta'?"),
        ("{tiny} --methods coral,coral", "'coral' stands twice"),
        ("{tiny} --pairs amazon:webcan", "unknown domain in pair 'amazon:webcan': 'webcan': did you mean 'webcam'?"),
        ("{tiny} --pairs amazon", "pair 'amazon': write SOURCE:TARGET, such as caltech:amazon"),
        ("{tiny} --pairs dslr+amazon:amazon", "pair 'dslr+amazon:amazon': the target is also a source"),
        ("{tiny} --set coral.rge=1", "unknown parameter of coral 'rge': did you mean 'reg'?"),
        ("{tiny} --set coral.reg=high", "coral.reg: expected float such as 1.0, got 'high'"),
        ("{tiny} --set coral.reg=.nan", "coral.reg: expected float such as 1.0, got nan"),
        ("{tiny} --methods label_propagation --set label_propagation.k=.inf", "label_propagation.k: expected int"),
        ("{tiny} --methods kmm --set kmm.how=3", "kmm.how: expected str such as 'weight', got 3"),
        ("{tiny} --set coral=1", "--set coral=1: write METHOD.PARAM=VALUE, such as coral.reg=0.1"),
        ("{tiny} --set coral.reg", "--set coral.reg: write METHOD.PARAM=VALUE"),
        ("{tiny} --set kmm.B=3", "unknown method in --set: 'kmm'"),
        ("{tiny} --executor threads", "unknown executor 'threads': there are local, processes"),
        ("{tiny} --net mpl", "unknown net 'mpl': did you mean 'mlp'?"),
        ("{tiny} --device gpu", "--device gpu: expected auto, cpu, cuda or cuda:N"),
        ("{tiny} --device cuda:99", "--device cuda:99: this machine has"),
        ("{tiny} --precision fp16", "--precision: input should be 'auto', 'fp32' or 'bf16', got 'fp16'"),
        (
            "{tiny} --protocol folds",
            "protocol: folds: office_caltech holds samples, which need protocol: holdout",
        ),
        ("{tiny} --steps 0", "--steps: input should be greater than or equal to 1, got 0"),
        ("{tiny} --seeds 0", "--seeds: input should be greater than or equal to 1, got 0"),
        ("{tiny} --labels -1", "--labels: "),
        ("{tiny} --labels many", "--labels: "),
        ("{tiny} --labels all", "labels: all needs protocol: holdout"),
        ("{tiny} --workers 0", "--workers: expected a number above 0, got 0"),
        ("{tiny} --timeout 0", "--timeout: expected a number above 0, got 0"),
        ("{tiny} --timeout nan --executor processes", "--timeout: expected a number above 0, got nan"),
        ("{tiny} --timeout 5", "--timeout needs --executor processes"),
        ("{tiny} --plugin nowhere.py", "nowhere.py:1: cannot be read: it is not there"),
    ],
)
def test_a_wrong_argument(refused, args, says, tmp_path):
    args = args.split()
    executor = args.pop(args.index("--executor") + 1) if "--executor" in args else "local"
    assert says in refused(*(a for a in args if a != "--executor"), executor=executor, out=tmp_path / "run")


def test_typers_own_usage_errors_exit_2_as_well(zoo, suite_file):
    for args in (("run",), ("run", suite_file, "--sede", "3"), ("run", suite_file, "--seeds", "x"), ("rnu",)):
        done = zoo(*args)
        assert done.code == 2
        assert done.out == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("base: 2nn\n", "tiny.yaml:2: base: "),
        ("stepps: 3\n", "tiny.yaml:2: unknown key 'stepps': did you mean 'steps'"),
        ("step: 3\n", "step: 3 is for series, and office_caltech holds samples (of training: steps)"),
        ("pairs: ['a:b'\nseeds: 3\n", "tiny.yaml:3: malformed YAML at key 'seeds'"),
        ("methods: [{coral: {reg: .nan}}]\n", "coral.reg: expected float such as 1.0, got nan"),
        ("methods: [{coral: 3}]\n", "tiny.yaml:2: methods: "),
        ("? [a, b]\n: 3\n", "tiny.yaml:2: malformed YAML: a key is a word, not a list"),
        ("&a steps: *b\n", "tiny.yaml:2: malformed YAML"),
    ],
)
def test_a_wrong_suite_file(refused, suite_file, text, says):
    suite_file.write_text("dataset: office_caltech\n" + text)
    assert says in refused("{tiny}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[1, 2], [3]]: 10", "tiny.yaml:1: malformed YAML: a key is a word, not a list or a mapping"),
        ("a: " + "[" * 3000, "tiny.yaml:1: nested deeper than 20 levels"),
        ("pairs: &a [*a]", "tiny.yaml:1: malformed YAML: *a stands in what it is an alias of"),
        (
            "a: &a0 [x, x]\n" + "".join(f"b{i}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40)),
            "over 100000 values, with those that aliases repeat",
        ),
        ("name: !!python/object/apply:os.system [id]", "tiny.yaml:1: malformed YAML: tags mean nothing in a suite"),
        ("name: !!binary aGk=", "tags mean nothing"),
        ("seeds: 2020-01-01", "tiny.yaml:1: seeds: input should be a valid integer"),
        ("2020-01-01: 3", "tiny.yaml:1: unknown key '2020-01-01'"),
        ("null: 3", "tiny.yaml:1: unknown key 'null'"),
        ("1: 2\n'1': 3", "malformed YAML: the same key stands twice"),
        ("seeds: 3\nseeds: 4", "tiny.yaml:2: malformed YAML at key 'seeds': found duplicate key"),
        ("learning_rate: .nan", "tiny.yaml:1: learning_rate: input should be a finite number"),
        ("steps: " + "9" * 5000, "tiny.yaml:1: a number has at most 100 digits"),
        ("steps: " + "9" * 50, "tiny.yaml:1: steps: input should be less than or equal to 1000000000"),
        ("", "a suite is a mapping of keys to values"),
        ("name: a\0b", "tiny.yaml:1: holds a null or half a character; it has to be text"),
        ('name: "\\ud800"', "tiny.yaml:1: it holds half a character"),
        ("name: é".encode("latin-1"), "it is no UTF-8 text"),
        ("seeds: 3".encode("utf-16"), "it is no UTF-8 text"),
        ("# " + "x" * 2_000_000, "a suite has at most 1000000"),
        ("dataset: office_caltech\nmethods: [{}]", "methods: one method an entry"),
    ],
)
def test_a_document_that_is_no_suite(refused, suite_file, text, says):
    suite_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert says in refused("{tiny}")


def test_a_byte_order_mark_is_none_of_the_text(zoo, suite_file):
    suite_file.write_bytes(b"\xef\xbb\xbf" + suite_file.read_bytes())
    assert zoo("run", suite_file, "--executor", "local", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../../x", "one part of a path, without any of"),
        ("/tmp/x", "one part of a path"),
        ("..", "it starts with a letter, a digit or _"),
        ("-x", "it starts with a letter, a digit or _"),
        ("", "it is empty"),
        ("a\nb", "no line ends or control characters"),
        ("a\x1b[31m", "no line ends or control characters"),
        ("a" * 256, "it is 256 bytes long, at most 200"),
        ("é" * 101, "it is 202 bytes long, at most 200"),
        (" a", "no blank at its beginning or end"),
    ],
)
def test_a_name_that_is_no_folder(refused, suite_file, name, says):
    """Nothing is written, neither in runs/ nor outside (`refused` looks)."""
    suite_file.write_text(suite_file.read_text() + f"name: {json.dumps(name)}\n")
    said = refused("{tiny}")
    assert "tiny.yaml:9: name: " in said
    assert says in said


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"dummy": {"as": "source_only"}}, "methods: dummy: as: 'source_only' is a method; give the row a label that"),
        ({"coral": {"as": "mine"}}, "methods: coral: as: 'mine' is a method"),
        ({"coral": {"as": "a\nb"}}, "as: 'a\\nb' cannot stand in a table: no line ends or control characters"),
        ({"coral": {"as": "a|b"}}, "as: 'a|b' cannot stand in a table: no |"),
        ({"coral": {"as": ""}}, "as: '' cannot stand in a table: it is empty"),
        ({"coral": {"as": "source_only\u200b"}}, "no line ends or control characters"),
        ({"coral": {"as": "a" * 101}}, "it has 101 characters, at most 100"),
        ({"coral": {"as": None}}, "methods: coral: as: expected a label such as coral_weak, got None"),
        ({"coral": {"as": [1]}}, "methods: coral: as: expected a label such as coral_weak, got [1]"),
    ],
)
def test_a_label_that_cannot_head_a_row(refused, suite_file, tmp_path, write_plugin, entry, says):
    write_plugin(tmp_path / "mine.py")
    suite_file.write_text(suite_file.read_text().replace("[source_only, coral]", json.dumps(["source_only", entry])))
    assert says in refused("{tiny}", "--plugin", "{mine}")


def test_a_domain_that_cannot_head_a_column(refused, suite_file):
    for name, says in (("a|b", "no |"), ("a\x85b", "no line ends"), ("a" * 101, "at most 100")):
        suite_file.write_text(json.dumps({"data": {"format": "npz", "domains": {name: "a.npz", "b": "b.npz"}}}))
        assert f"data: domains: a domain's name {name!r} cannot stand in a table: " in (said := refused("{tiny}"))
        assert says in said


def test_a_parameter_that_is_no_json(refused, tmp_path, write_plugin):
    """Of any default: what has no end, no JSON or no sense is refused before it reaches a record."""
    path = write_plugin(tmp_path / "mine.py")
    plugin = path.read_text()
    for default in ("None", "(1, 2)", "[1]", "{'a': 1}"):
        path.write_text(plugin.replace("by: float = 0.5", f"by={default}"))
        for value, says in (
            ("!!set {a, b}", "tags mean nothing"),
            ("{1: 2, [1]: 3}", "a key is a word"),
            ("[.nan]", "nan is not a finite number"),
            ("&a [*a]", "*a stands in what it is an alias of"),
            ("[" * 50 + "]" * 50, "nested deeper than 20 levels"),
            ("!!binary aGk=", "tags mean nothing"),
            ("[" + "9" * 19 + "]", "a whole number has at most 18 digits"),
        ):
            said = refused(*MINE, "--set", f"mine.by={value.replace('{', '{{').replace('}', '}}')}")
            assert said.startswith(("--set mine.by:1: ", "mine.by: expected "))
            assert says in said


def test_numbers_that_are_none(refused):
    for args, says in (
        (("--labels", "²"), "--labels: input should be"),
        (("--labels", "--5"), "--labels: input should be"),
        (("--labels", "9" * 5000), "--labels: unable to parse"),
        (("--seeds", "1000000000"), "--seeds: input should be less than or equal to 1000"),
        (("--workers", "1000000000"), "--workers: expected at most 1000, got 1000000000"),
        (("--methods", ""), "--methods: names none"),
        (("--pairs", ","), "--pairs: names none"),
    ):
        assert says in refused("{tiny}", *args)
    assert "--timeout: expected at most 1e+07" in refused("{tiny}", "--timeout", "1e300", executor="processes")


# Data -----------------------------------------------------------------------------------------------------------------


def test_missing_data(refused, monkeypatch, tmp_path):
    monkeypatch.delenv("ZOO_DATA")
    assert "give --data-root DIR (or set ZOO_DATA)" in refused("office_caltech")
    assert f"{tmp_path / SURF.format('Caltech10')} is not there" in refused("office_caltech", "--data-root", tmp_path)


def test_a_corrupt_mat_is_named(refused, tmp_path, write_surf):
    root = write_surf(tmp_path / "data")
    path = root / SURF.format("webcam")
    path.write_bytes(path.read_bytes()[:300])
    assert f"{path} cannot be read as a MATLAB file" in refused("{tiny}", "--data-root", root)


@pytest.mark.parametrize(
    ("name", "change", "args", "says"),
    [
        (
            "webcam",
            lambda X, y: (np.where(np.arange(X.size).reshape(X.shape) == 3 * X.shape[1], np.nan, X), y),
            (),
            "office_caltech: domain webcam: the features hold NaN or infinity (first in row 3)",
        ),
        ("webcam", lambda X, y: (X + np.inf, y), (), "domain webcam: the features hold NaN or infinity"),
        ("amazon", lambda X, y: (X * 1e200, y), (), "domain amazon: the features hold NaN or infinity"),
        ("webcam", lambda X, y: (X[:, :4], y), (), "domain webcam: samples of shape (4,), but amazon has (6,)"),
        (
            "amazon",
            lambda X, y: (X[y != 4], y[y != 4]),
            ("--pairs", "amazon:webcam"),
            "pair amazon:webcam: no source sample has class headphones",
        ),
        ("amazon", lambda X, y: (X[y == 2], y[y == 2]), (), "source amazon has one class only (bike)"),
    ],
)
def test_wrong_data(refused, tmp_path, name, change, args, says, write_surf):
    root = write_surf(tmp_path / "data", change=lambda n, X, y: change(X, y) if n == name else (X, y))
    assert says in refused("{tiny}", "--data-root", root, *args)


def test_a_suite_file_is_named_as_it_was_given(refused, suite_file):
    suite_file.write_text(suite_file.read_text() + "seed: 3\n")
    assert f"{suite_file}:9: unknown key 'seed': did you mean 'seeds'?" in refused("{tiny}")
