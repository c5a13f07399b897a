"""What `import zoo` finds, and that a plot, a format or an executor is one file."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import zoo

ROOT = Path(__file__).parents[1]
EDITABLE = "import sys; from setuptools import build_meta; print(build_meta.build_editable(sys.argv[1]))"
SKIPPED = shutil.ignore_patterns("*.pyc.*", ".git", "results", "shared", "tests", "*.egg-info", "build", ".*cache")

PLOT = '''"""The number of rows."""

from zoo.report import drawing
from zoo.report.table import build


def draw(run):
    figure = drawing.figure(1, 1)
    figure.text(0, 0, f"{sum(len(rows) for _, rows in build(run).groups)} rows")
    return figure
'''
FORMAT = '''"""The caption alone."""


def render(table):
    return table.caption + chr(10)
'''
EXECUTOR = '''"""In this process, and writes down how many workers there were."""

from pathlib import Path

from zoo.bench.executors.local import Local


class Counted(Local):
    opened = 0

    def open(self, stranger=False):
        self.opened += 1
        return super().open(stranger)

    def shutdown(self):
        Path("opened").write_text(str(self.opened))
        super().shutdown()
'''


def python(*args, cwd, **more):
    """Another Python, told nothing of where the zoo is but what `more` says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | more
    done = subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, cwd=cwd, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_dir_shows_what_is_imported_when_asked_for():
    assert {"run", "Results", "Task", "__version__"} <= set(dir(zoo))
    assert all(getattr(zoo, name) for name in dir(zoo))
    with pytest.raises(AttributeError, match="has no attribute 'ran'"):
        _ = zoo.ran


def test_a_script_beside_a_clone_named_zoo_finds_the_package(tmp_path):
    """Installed from the clone with pip install -e, by the same build that pip asks."""
    pytest.importorskip("setuptools", "77")
    clone = tmp_path / "zoo"
    shutil.copytree(ROOT, clone, ignore=SKIPPED)
    site = tmp_path / "site"
    code, out, err = python("-c", EDITABLE, tmp_path, cwd=clone)
    assert code == 0, err
    with zipfile.ZipFile(tmp_path / out.splitlines()[-1]) as wheel:
        wheel.extractall(site)
    script = tmp_path / "script.py"
    script.write_text(
        f"import site\nsite.addsitedir({str(site)!r})\nimport zoo\nprint(zoo.run.__name__, zoo.__file__)\n"
    )
    code, out, err = python("-S", script, cwd=tmp_path, PYTHONPATH=os.pathsep.join(p for p in sys.path if "site-" in p))
    assert (code, out.split()) == (0, ["run", str(clone / "zoo" / "__init__.py")]), err


def test_a_plot_a_format_and_an_executor_are_one_file_each(tmp_path):
    shutil.copytree(ROOT / "zoo", tmp_path / "zoo", ignore=SKIPPED)
    (tmp_path / "zoo/report/plots/count.py").write_text(PLOT)
    (tmp_path / "zoo/report/formats/said.py").write_text(FORMAT)
    (tmp_path / "zoo/bench/executors/counted.py").write_text(EXECUTOR)
    run = ROOT / "results" / "quickstart"

    def command(*args):
        code, out, err = python("-m", "zoo.cli", *args, cwd=tmp_path, PYTHONPATH=str(tmp_path), COLUMNS="200")
        assert code == 0, err
        return out

    assert re.search(r"^count +The number of rows\.$", command("list", "plots"), re.M)
    assert "said   The caption alone." in command("list", "formats")
    assert " count, " in command("plot", "--help")
    assert "html, json or said." in command("table", "--help")
    command("plot", run, "--kind", "count", "--out", "count.svg")
    assert (tmp_path / "count.svg").read_bytes().startswith(b"<?xml")
    assert command("table", run, "--format", "said").startswith("quickstart: accuracy")
    command("run", "quickstart", "--methods", "dummy", "--seeds", "1", "--executor", "counted", "--out", "run")
    assert int((tmp_path / "opened").read_text()) > 0
