"""Bad input: one line on stderr, exit code 2, nothing written."""

import os

import numpy as np
import pytest

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
        ("quickstrt", "unknown suite 'quickstrt': did you mean 'quickstart'?"),
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
        ("{tiny} --plugin nowhere.py", "nowhere.py:1: cannot be read: No such file or directory"),
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


def test_the_driver_never_imports_a_plugin(zoo, suite_file, tmp_path, write_plugin):
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
