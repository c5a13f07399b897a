"""What changes the id of a cell, what does not; stale records; the same table in whatever order, place and company."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo import discover, machine, source
from zoo.bench import plan
from zoo.bench.run import Benchmark, Results
from zoo.errors import BadInput

BASE = {"kmm", "coral", "dummy", "source_only", "target_only", "label_propagation", "mine"}
EDIT = "\nEDITED = True\n"
NET = {"dann", "dan", "fine_tune", "source_only", "target_only"}


@pytest.fixture
def ids(server, surf, suite_file, write_plugin, tmp_path):
    """Plan the tiny suite, labelled and with all kinds of methods; ids by what a row and a column are."""
    write_plugin(tmp_path / "mine.py")

    def call(suite=suite_file, *, plugin=tmp_path / "mine.py", **options):
        given = {"methods": [*sorted(BASE | NET), "mine"], "data_root": surf, "labels": 2, "plugins": [plugin]}
        given["methods"] = sorted(set(given["methods"]))
        benchmark = Benchmark(str(suite), executor="local", **given | options)
        benchmark.close()
        cells = benchmark.plan.cells
        found = {
            (c.row.label, "net" if c.use == "net" else "base", c.identity["setting"], c.source, c.target, c.seed): c.id
            for c in cells
        }
        assert len(found) == len(set(found.values())) == len(cells)
        return found

    return call


def moved(before, after):
    """Rows with a changed id, as (label, learner); all others are the same."""
    assert before.keys() == after.keys()
    return {key[:2] for key in before if before[key] != after[key]}


def rows(base=(), net=()):
    return {(m, "base") for m in base} | {(m, "net") for m in net}


def test_nothing_that_is_no_part_of_the_result_changes_an_id(ids, surf, suite_file, tmp_path, monkeypatch):
    before = ids()
    assert ids() == before
    assert ids(methods=sorted(BASE | NET, reverse=True)) == before
    assert ids(out=tmp_path / "elsewhere", workers=7, timeout=None, fresh=True) == before
    assert ids(settings=["coral.reg=1", "kmm.B=1e3", "mine.by=0.5"]) == before  # the defaults are 1.0, 1000.0, 0.5
    elsewhere = tmp_path / "a" / "b"
    shutil.copytree(surf, elsewhere / "data")
    named = shutil.copy(suite_file, elsewhere / "another_name.yaml")
    assert ids(named, data_root=elsewhere / "data") == before
    assert ids(plugin=shutil.copy(tmp_path / "mine.py", elsewhere / "mine.py")) == before
    monkeypatch.setattr(machine, "device", lambda name: name)
    assert ids(device="cuda:1") == before
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert ids() == before


def test_more_methods_pairs_and_seeds_keep_the_ids_there_were(ids):
    few = ids()
    more = ids(seeds=3, pairs=["amazon:webcam", "webcam:amazon", "dslr:webcam"])
    assert few.items() < more.items()
    fewer = ids(seeds=1, pairs=["amazon:webcam"], methods=["coral"])
    assert fewer.items() < few.items()


def test_a_key_of_the_net_changes_cells_of_the_net_only(ids):
    before = ids()
    assert moved(before, ids(steps=6)) == rows(net=NET)
    assert moved(before, ids(batch_size=8)) == rows(net=NET)
    assert moved(before, ids(precision="fp32")) == rows(net=NET)
    assert moved(before, ids(optimiser="sgd")) == rows(net=NET)
    with pytest.raises(BadInput, match="takes images"):  # another net is another cell, and this one reads no vectors
        ids(net="cnn")


def test_the_base_changes_no_cell_of_the_net(ids):
    assert moved(ids(), ids(base="logistic")) == rows(base=BASE)


def test_the_protocol_changes_all(ids):
    before = ids()
    assert moved(before, ids(protocol="holdout")) == moved(before, ids(labels=3)) == rows(BASE, NET)
    assert moved(before, ids(normalise=["zscore"])) == rows(BASE, NET)


def test_a_parameter_changes_its_row_only(ids):
    before = ids()
    assert moved(before, ids(settings=["coral.reg=2"])) == rows(["coral"])
    assert moved(before, ids(settings=["mine.by=1"])) == rows(["mine"])
    assert moved(before, ids(settings=["dann.weight=0.5"])) == rows(net=["dann"])


def test_a_row_under_another_label_is_the_same_cell(ids, suite_file):
    renamed = suite_file.with_name("renamed.yaml")
    renamed.write_text(suite_file.read_text().replace("coral]", "{coral: {as: moments}}]"))
    plain, other = (set(ids(path, methods=None).values()) for path in (suite_file, renamed))
    assert plain == other


def test_data_change_the_cells_that_see_them(ids, surf, write_surf, tmp_path):
    def touch(name, X, y):
        if name == "amazon":
            X[7, 2] += 1e-3
        return X, y

    pairs = ["amazon:webcam", "webcam:amazon", "dslr:webcam", "dslr+amazon:webcam"]
    before, after = ids(pairs=pairs), ids(pairs=pairs, data_root=write_surf(tmp_path / "data", change=touch))
    assert before.keys() == after.keys()
    assert any(key[3] is None for key in before)  # dummy and fine_tune's kin ask for no source
    for key in before:
        _, _, _, source, target, _ = key
        assert (before[key] != after[key]) == ("amazon" in (target, *(source or "").split("+"))), key


def test_code_changes_the_rows_that_run_it(ids, tmp_path, monkeypatch):
    """On a copy of the package: every edit moves exactly the cells whose code it is."""
    copy = shutil.copytree(source.ROOT, tmp_path / "zoo", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source, "ROOT", copy)
    monkeypatch.setattr(plan, "HERE", copy)
    source.located.cache_clear()
    try:
        before = ids()
        for name, expected in {
            "adapters/feature/dann.py": rows(net=["dann"]),
            "adapters/baseline/source_only.py": rows(["source_only"], ["source_only"]),
            "ops/coral.py": rows(["coral"]),
            "ops/graphs.py": rows(["label_propagation"]),
            "ops/reversal.py": rows(net=["dann"]),
            "learners/base.py": rows(BASE),
            "learners/net.py": rows(net=NET),
            "train.py": rows(net=NET),
            "nets/mlp.py": rows(net=NET),
            "nets/cnn.py": set(),
            "adapters/base.py": rows(BASE, NET),
            "kinds/samples.py": rows(BASE, NET),
            "kinds/scores.py": rows(BASE, NET),
            "secret.py": rows(BASE, NET),
            "kinds/images.py": set(),
            "kinds/facts.py": set(),
            "cli/run.py": set(),
            "bench/execute.py": set(),
            "report/table.py": set(),
            "suites/quickstart.yaml": set(),
        }.items():
            path = copy / name
            text = path.read_text()
            path.write_text(text + ("\n# edited\n" if name.endswith(".yaml") else EDIT))
            assert moved(before, ids()) == expected, name
            path.write_text(text)
        plugin = tmp_path / "mine.py"
        plugin.write_text(plugin.read_text() + EDIT)
        assert moved(before, ids()) == rows(["mine"])
        # A plugin that imports a file of the zoo depends on it.
        plugin.write_text("import zoo.ops.reversal\n" + plugin.read_text())
        before = ids()
        (copy / "ops/reversal.py").write_text(EDIT)
        assert moved(before, ids()) == rows(["mine"], ["dann"])
    finally:
        source.located.cache_clear()


TEXT = '''"""A method."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from zoo.task import Task


@dataclass
class Shape:
    """A shape."""

    depth: int = 3


class Method:
    """Does it."""

    def fit(self, task: "Task", how: str = "weight") -> "Method":
        """Fits."""
        self.x_ = np.zeros(2)  # nothing yet
        if how == "weight":
            self.x_ += 1
        return self

    def nothing(self):
        pass
'''

IDLE = {
    "comment": ("# nothing yet", "# nothing so far"),
    "no comment": ("  # nothing yet", ""),
    "docstring of the file": ('"""A method."""', '"""A better sentence."""'),
    "docstring of a class": ('"""Does it."""', '"""Does it well."""'),
    "docstring of a function": ('        """Fits."""\n', ""),
    "docstring in place of pass": ("        pass\n", '        """Nothing."""\n'),
    "annotation of an argument": ('task: "Task", how: str', "task, how: object"),
    "annotation of a result": (' -> "Method"', ""),
    "import for types": ("    from zoo.task import Task", "    from zoo.task import Task, Domain"),
    "layout": ("        self.x_ = np.zeros(2)", "\n        self.x_ = (\n            np.zeros(\n                2))"),
    "quotes": ('== "weight"', "== 'weight'"),
    "line ends": ("\n", "\r\n"),
}
RUNS = {
    "literal": ("np.zeros(2)", "np.zeros(3)"),
    "type of a literal": ("np.zeros(2)", "np.zeros(2.0)"),
    "truth for one": ("+= 1", "+= True"),
    "text": ('== "weight"', '== "resample"'),
    "default": ('how: str = "weight"', 'how: str = "resample"'),
    "no default": ('how: str = "weight"', "how: str"),
    "field": ("depth: int = 3", "width: int = 3"),
    "type of a field": ("depth: int = 3", "depth: float = 3"),
    "default of a field": ("depth: int = 3", "depth: int = 4"),
    "import": ("import numpy as np", "import scipy as np"),
    "import more": ("import numpy as np", "import math\nimport numpy as np"),
    "operator": ("+= 1", "-= 1"),
    "decorator": ("@dataclass\n", "@dataclass(frozen=True)\n"),
    "base class": ("class Method:", "class Method(Shape):"),
    "name": ("def nothing", "def something"),
    "place of a statement": ("            self.x_ += 1\n", "            pass\n        self.x_ += 1\n"),
    "a statement more": ("import numpy as np\n", "import numpy as np\n\nLIMIT = 1\n"),
}


def hashed(tmp_path, text):
    path = tmp_path / "method.py"
    path.write_bytes(text.encode())
    return source.code_hash(path)


@pytest.mark.parametrize("what", IDLE)
def test_what_does_not_run_moves_no_cell(what, tmp_path):
    old, new = IDLE[what]
    assert old in TEXT
    assert hashed(tmp_path, TEXT.replace(old, new)) == hashed(tmp_path, TEXT)


@pytest.mark.parametrize("what", RUNS)
def test_what_runs_moves_the_cell(what, tmp_path):
    old, new = RUNS[what]
    assert old in TEXT
    assert hashed(tmp_path, TEXT.replace(old, new)) != hashed(tmp_path, TEXT)


OTHERS = sorted(Path(sys.base_prefix).parent.glob("3.1[2-9]*/bin/python"))


@pytest.mark.parametrize("python", OTHERS, ids=lambda p: p.parts[-3])
def test_another_version_of_python_knows_the_same_code(python):
    """Versions differ in the trees that they parse; a record made on one is found on the other."""
    files = [i.path for i in discover.methods().values()] + [i.path for i in discover.kinds().values()]
    script = (
        "import pathlib as p, sys; from zoo import source; print(*map(source.code_hash, map(p.Path, sys.argv[1:])))"
    )
    root = Path(source.__file__).parents[1]
    done = subprocess.run(
        [python, "-c", script, *files], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)}
    )
    assert done.stdout.split() == [source.code_hash(f) for f in files]


def test_an_edited_plugin_shows_its_new_rows_and_counts_the_stale(zoo, suite_file, write_plugin, tmp_path):
    plugin = tmp_path / "mine.py"

    def run(by, out):
        write_plugin(plugin, by=by)
        args = ("--protocol", "holdout", "--plugin", plugin, "--methods", "mine", "--executor", "local", "--json")
        done = zoo("run", suite_file, *args, "--out", tmp_path / out)
        assert done.code == 0
        return done.json

    def row(table):
        return next(r for r in table["rows"] if r["label"] == "mine")

    first, edited, alone = run(0.0, "run"), run(4.0, "run"), run(4.0, "alone")
    assert (first["ran"], edited["ran"]) == (8, 4)  # source_only is not run again
    assert row(edited["table"])["cells"] != row(first["table"])["cells"]
    mine, fresh = row(edited["table"]), row(alone["table"])
    for column, cell in fresh["cells"].items():
        if column not in ("time_s", "memory_mb"):
            assert mine["cells"][column] == cell
    assert [n for n in edited["table"]["notes"] if "stale" in n] == [
        "stale records, of other code, data or parameters, left out: mine 4"
    ]
    assert not any("stale" in n for t in (first, alone) for n in t["table"]["notes"])
    # Back to the first text: nothing is left to run, and the other rows are the stale ones.
    again = run(0.0, "run")
    assert again["ran"] == 0
    assert row(again["table"])["cells"] == row(first["table"])["cells"]


METHODS = ["kmm", "coral", "dann", "fine_tune", "label_propagation"]


@pytest.mark.slow
def test_order_executor_and_workers_do_not_change_a_byte(zoo, tmp_path):
    ways = {
        "two": (METHODS, "processes", 2),
        "one": (METHODS[::-1], "processes", 1),
        "local": (METHODS[2:] + METHODS[:2], "local", 1),
    }
    texts, sums = {}, {}
    for name, (methods, executor, workers) in ways.items():
        args = ("--pairs", "optdigits:typeface", "--seeds", 1, "--steps", 10, "--methods", ",".join(methods))
        done = zoo("run", "quickstart", *args, "--executor", executor, "--workers", workers, "--out", tmp_path / name)
        assert done.code == 0
        results = Results(tmp_path / name)
        texts[name] = [results.table(form, cost=False) for form in ("md", "csv", "json", "latex")]
        frame = results.frame().set_index("cell")
        sums[name] = frame["predictions_sha256"].to_dict()
    assert texts["two"] == texts["one"] == texts["local"]
    assert sums["two"] == sums["one"] == sums["local"]
    accuracies = [row["cells"]["average"]["value"] for row in json.loads(texts["two"][2])["rows"]]
    assert len(accuracies) == 8
    assert len(set(np.round(accuracies, 6))) > 5  # the rows are not all one
