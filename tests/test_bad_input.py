"""Bad input: one line on stderr, exit code 2, nothing written."""

import json
import os

import numpy as np
import pytest

from zoo.bench.run import Benchmark
from zoo.errors import BadInput

SURF = "office_caltech/{}_SURF_L10.mat"
MINE = ("{tiny}", "--plugin", "{mine}", "--methods", "mine")


@pytest.fixture
def refused(zoo, tmp_path, suite_file):
    """Call ``zoo run`` with what has to be refused; returns the line without its prefix."""

    def call(*args, out=None, executor="local"):
        before = sorted(tmp_path.rglob("*"))
        places = {"tiny": suite_file, "mine": tmp_path / "mine.py"}
        # The executor `local` would be started only by a run, so a refusal costs no imports.
        done = zoo(
            "run", *(str(a).format(**places) for a in args), "--executor", executor, *(("--out", out) if out else ())
        )
        assert done.code == 2
        assert done.out == ""
        assert done.err.startswith("zoo: ")
        assert done.err.endswith("\n")
        assert done.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return done.err.removeprefix("zoo: ").rstrip()

    return call


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("quickstrt", "unknown suite 'quickstrt': did you mean 'quickstart' or 'quickstart_all'?"),
        ("nowhere.yaml", "suite file nowhere.yaml is not there"),
        ("{tiny} --methods corla", "unknown method 'corla': did you mean 'coral' or 'lora'?"),
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
        ("{tiny} --protocol folds", "protocol: folds: office_caltech holds no facts, which alone have protocol: folds"),
        ("{tiny} --steps 0", "--steps: input should be greater than or equal to 1, got 0"),
        ("{tiny} --seeds 0", "--seeds: input should be greater than or equal to 1, got 0"),
        ("{tiny} --labels -1", "--labels: "),
        ("{tiny} --labels many", "--labels: "),
        ("{tiny} --labels all", "labels: all needs protocol: holdout"),
        ("{tiny} --protocol holdout --labels 6", "labels: 6 needs 7 samples of every class in the adapt part"),
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
        ("step: 3\n", "tiny.yaml:2: unknown key 'step': did you mean 'steps'?"),
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


# Paths ----------------------------------------------------------------------------------------------------------------

LONG = "a" * 256


@pytest.fixture
def odd(tmp_path):
    """Paths that are no file, with what is said of them."""
    for kind in ("dir", "pipe", "loop", "lost"):
        (tmp_path / kind).mkdir()
    for name in ("a.yaml", "a.py", "a.npz", "a.pth"):
        (tmp_path / "dir" / name).mkdir()
        os.mkfifo(tmp_path / "pipe" / name)
        (tmp_path / "loop" / name).symlink_to(name)
        (tmp_path / "lost" / name).symlink_to("nowhere")
    return {
        tmp_path / "dir": "is a folder, not a file",
        tmp_path / "pipe": "is a device or pipe, not a file",
        tmp_path / "loop": "is a link that leads to itself",
        tmp_path / "lost": "is a link to nowhere, which is not there",
        tmp_path / LONG: "has a part of over 255 characters",
        tmp_path / "none": "is not there",
    }


def test_suites_and_plugins_that_are_no_files(refused, odd):
    for folder, says in odd.items():
        assert refused(folder / "a.yaml") == f"suite file {folder / 'a.yaml'} {says}"
        assert f"a.py:1: cannot be read: it {says}" in refused("{tiny}", "--plugin", folder / "a.py")


def test_data_that_are_no_files(refused, odd, suite_file):
    for folder, says in odd.items():
        path = folder / "a.npz"
        suite_file.write_text(json.dumps({"data": {"format": "npz", "domains": {"a": str(path), "b": "b"}}}))
        assert refused("{tiny}") == f"data: domains: a: {path} {says}"
        suite_file.write_text(json.dumps({"data": {"format": "facts", "domains": {"a": str(path)}, "target": {}}}))
        if not says.startswith("is a folder"):  # which facts may be
            assert f"data: domains: a: {path} " in refused("{tiny}")
    assert "data: domains: a: " in refused("{tiny}")


def test_weights_that_are_no_file(refused, odd, suite_file, tmp_path):
    (tmp_path / "photos" / "c").mkdir(parents=True)
    photos = {"format": "imagefolder", "domains": {"a": "photos", "b": "photos"}}
    for folder, says in odd.items():
        keys = {"data": photos, "net": "resnet18", "weights": str(folder / "a.pth")}
        suite_file.write_text(json.dumps(keys))
        assert refused("{tiny}").startswith(f"weights: {folder / 'a.pth'} {says}")


def test_folders_that_are_none(refused, odd, tmp_path):
    for folder, says in odd.items():
        root = folder / "a.npz"
        assert "_SURF_L10.mat " in refused("{tiny}", "--data-root", root)
        if "folder" not in says and says[-9:] != "not there":
            assert f"--out {root} " in (said := refused("{tiny}", out=root))
            assert "choose another --out" in said
    for out in ("a\0b", tmp_path / "a\0b"):
        with pytest.raises(BadInput, match=r"--out .* holds a null character; choose another --out"):
            Benchmark(str(tmp_path / "tiny.yaml"), out=out)


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
        (
            "webcam",
            lambda X, y: (np.delete(X, slice(6), 0), np.delete(y, slice(6))),
            ("--labels", "2"),
            "labels: 2 needs 3 samples of every class in the adapt part, but office_caltech: domain webcam has 2 of "
            "class backpack",
        ),
    ],
)
def test_wrong_data(refused, tmp_path, name, change, args, says, write_surf):
    root = write_surf(tmp_path / "data", change=lambda n, X, y: change(X, y) if n == name else (X, y))
    assert says in refused("{tiny}", "--data-root", root, *args)


# Run folders ----------------------------------------------------------------------------------------------------------


def test_folders_that_cannot_be_written(refused, tmp_path):
    (tmp_path / "file").touch()
    assert "choose another --out" in refused("{tiny}", out=tmp_path / "file")
    assert "choose another --out" in refused("{tiny}", out=tmp_path / "file" / "below")
    assert "choose another --out" in refused("{tiny}", out="/proc/zoo")  # where even root cannot write


def test_a_folder_that_is_no_run(refused, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").touch()
    says = "exists and is not a run folder; choose another --out"
    assert says in refused("{tiny}", out=tmp_path / "work")
    assert says in refused("{tiny}", "--fresh", out=tmp_path / "work")


def test_a_run_that_was_killed_while_it_began_goes_on(zoo, suite_file, tmp_path):
    for name in ("records", "predictions"):
        (tmp_path / "run" / name).mkdir(parents=True)
    (tmp_path / "run" / ".run.json.4711").write_text('{"suite"')
    assert zoo("run", suite_file, "--executor", "local", "--out", tmp_path / "run").code == 0


def test_a_damaged_run(refused, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "run.json").write_text('{"suite": ')
    assert f"{tmp_path / 'work' / 'run.json'}: damaged" in refused("{tiny}", out=tmp_path / "work")


def test_a_folder_holds_one_suite(zoo, refused, suite_file, tmp_path):
    out = tmp_path / "run"
    assert zoo("run", suite_file, "--executor", "local", "--methods", "coral", "--out", out).code == 0
    assert refused("{tiny}", "--steps", "6", out=out) == (
        f"{out} holds a run with steps: 5, not 6; choose another --out, or start again with --fresh"
    )
    # Methods, pairs and seeds may be added; --fresh takes any other value.
    more = ("--methods", "kmm", "--pairs", "dslr:webcam", "--seeds", "3")
    assert zoo("run", suite_file, "--executor", "local", *more, "--out", out).code == 0
    again = zoo("run", suite_file, "--executor", "local", "--methods", "coral", "--steps", "6", "--fresh", "--out", out)
    assert again.code == 0
    assert "kmm" not in again.out


# Plugins --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.replace("(Mapping):", "(Mapping:"), "mine.py:6: syntax error: "),
        (lambda text: text.replace("(Mapping):", ":"), "mine.py:1: no public subclass of zoo.adapters.base.Adapter"),
        (
            lambda text: text.replace("    def", '    needs = {"Xs", "Xtt"}\n\n    def', 1),
            "mine.py:9: needs: unknown name",
        ),
        (lambda text: text.replace("by: float = 0.5", "by: float"), "parameter 'by' has no literal default"),
    ],
)
def test_a_plugin_that_cannot_be_read(refused, tmp_path, edit, says, write_plugin):
    path = write_plugin(tmp_path / "mine.py")
    path.write_text(edit(path.read_text()))
    assert says in refused(*MINE)


def test_a_plugin_that_shadows_a_name(refused, tmp_path, write_plugin):
    path = write_plugin(tmp_path / "coral.py")
    assert "coral.py:1: the method 'coral' exists already" in refused("{tiny}", "--plugin", path)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 / 0", "mine.py:19: import raises ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "mine.py:19: import raises SystemExit"),
        ("import os; os._exit(0)", "mine.py cannot be used: the worker ended by itself with exit code 0"),
        ("Mine.needs = {'Xs', 'ys', 'Xt', 'yt'}", "Mine has needs"),
        ("def __init__(self, by=0.5): raise ValueError('no')\nMine.__init__ = __init__", "no"),
    ],
)
def test_a_plugin_that_fails_on_import(refused, tmp_path, line, says, write_plugin):
    path = write_plugin(tmp_path / "mine.py")
    path.write_text(path.read_text() + f"\n\n{line}\n")
    assert says in refused(*MINE)


def test_the_driver_never_imports_a_plugin(zoo, suite_file, tmp_path, write_plugin, monkeypatch):
    monkeypatch.setattr("zoo.vault.confine.abi", lambda: 0)  # the plugin of this test leaves a file
    path = write_plugin(tmp_path / "mine.py")
    path.write_text(
        path.read_text() + f"\n\nimport os\nopen({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
    )
    assert zoo("run", suite_file, "--plugin", path, "--methods", "mine", "--out", tmp_path / "run").code == 0
    pids = (tmp_path / "pids").read_text().split()
    assert pids
    assert str(os.getpid()) not in pids


def test_a_suite_file_is_named_as_it_was_given(refused, suite_file):
    suite_file.write_text(suite_file.read_text() + "seed: 3\n")
    assert f"{suite_file}:9: unknown key 'seed': did you mean 'seeds'?" in refused("{tiny}")
