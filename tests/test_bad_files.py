"""Files and folders that cannot be used, runs' and plugins' too: one line on stderr, exit code 2, nothing written."""

import json
import os

import pytest

from tests.test_bad_input import MINE
from zoo.bench.run import Benchmark
from zoo.errors import BadInput

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
