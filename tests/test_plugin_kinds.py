"""Plugins that are no methods: data sets, plots and formats, as files and installed, each in a process of its own."""

import json
import sys
import tomllib

import pytest

from zoo import check, plugged, templates
from zoo.check import samples, toyrun
from zoo.check.contract import contracts
from zoo.check.subject import Subject, needs, outcome
from zoo.errors import BadInput
from zoo.report.table import build
from zoo.templates import package

KINDS = ("dataset", "net", "plot", "format")
# Fails where the driver has been imported: in the test's own process, and in no stranger's.
FAR = "import sys\n\nassert 'zoo.bench.suite' not in sys.modules\n"
SUITE = "dataset: {}\nseeds: 1\npairs: ['near:far']\n"
MAP = '''\
"""A plugin."""

from zoo.adapters.base import Mapping


class Mine(Mapping):
    """Moves the target."""

    def fit_map(self, task):
        {fit}
        self.gap_ = task.Xs.double().mean(0) - task.Xt.double().mean(0)

    def source(self, X):
        return {source}

    def target(self, X):
        return {target}
'''


def scaffold(folder, kind, name=""):
    """The file of a scaffold."""
    return templates.write(name or f"my_{kind}", kind, folder)


def edited(path, *changes):
    """A file with some of its text changed."""
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


def far(path):
    """A plugin that is not to be imported here."""
    head = "from __future__ import annotations\n"
    return edited(path, (head, head + "\n" + FAR))


def failed(path):
    return {o.name: o.detail for o in check.run(path) if not o.ok}


# What a file holds ----------------------------------------------------------------------------------------------------


def test_files_are_told_apart_and_none_is_imported(tmp_path):
    made = {kind: far(scaffold(tmp_path, kind)) for kind in ("mapping", "validator", *KINDS)}
    parted = plugged.parted(made.values())
    assert {k: v for k, v in parted.items() if v} == {
        **{"method": [made["mapping"]], "validator": [made["validator"]]},
        **{kind: [made[kind]] for kind in KINDS},
    }
    for kind in KINDS:
        info = plugged.found(kind, made.values())[f"my_{kind}"]
        assert (info.plugin, info.path) == (True, made[kind])
        assert info.summary.endswith("(the first line is the help text).")


def test_a_class_is_more_than_a_function(tmp_path):
    path = scaffold(tmp_path, "mapping")
    path.write_text(path.read_text() + "\n\ndef draw(run):\n    return None\n")
    assert plugged.of(path) == "method"


@pytest.mark.parametrize(
    ("kind", "old", "new", "says"),
    [
        ("plot", "def draw(run: Run)", "def draw(run: Run, beside)", "draw is called with one thing, the records"),
        ("format", "def render(table: Table)", "def render()", "write render(table)"),
        ("dataset", '("near", "far")', '("a:b", "far")', "'a:b' cannot be a domain's name"),
        ("dataset", '("near", "far")', '("a", "a")', "domains has to name the domains, each once"),
        ("dataset", '("near", "far")', "tuple('ab')", "domains has to be a literal"),
        ("dataset", '"samples"', '"graphs"', "kind: graphs: a plugin's data set is of kind samples or images"),
        ("dataset", 'folder = ""', 'folder = "../runs"', "is not below the data root"),
        (
            "dataset",
            "def load(",
            "def together(self, raw):\n        return raw\n\n    def load(",
            "asked for load, notes",
        ),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_its_line(tmp_path, kind, old, new, says):
    path = edited(scaffold(tmp_path, kind), (old, new))
    with pytest.raises(BadInput) as refused:
        plugged.found(kind, [path])
    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{path}:")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("from zoo.bench.executors import Executor\n\n\nclass Mine(Executor):\n    pass\n", "an executor is no plugin"),
    ],
)
def test_what_would_run_beside_labels_is_refused_in_one_line(zoo, tmp_path, text, says):
    path = tmp_path / "mine.py"
    path.write_text(text)
    done = zoo("run", "quickstart", "--plugin", path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert says in done.err
    assert zoo("check", path).err == done.err


def test_names_that_are_taken_are_refused(zoo, tmp_path):
    for kind, name in (("plot", "bars"), ("format", "latex"), ("dataset", "digits")):
        done = zoo("new", name, "--kind", kind, "--out", tmp_path)
        assert (done.code, "exists already" in done.err) == (2, True)
    path = scaffold(tmp_path, "plot").rename(tmp_path / "bars.py")
    with pytest.raises(BadInput, match="the plot 'bars' exists already"):
        plugged.found("plot", [path])


def test_a_package_has_its_entry_point(tmp_path):
    path = package.write("my_data", "dataset", tmp_path)
    top = tmp_path / "my_data"
    project = tomllib.loads((top / "pyproject.toml").read_text())
    assert project["project"]["entry-points"] == {"zoo.datasets": {"my_data": "zoo_my_data.my_data"}}
    assert path == top / "src" / "zoo_my_data" / "my_data.py"
    assert "zoo.datasets" in (top / "README.md").read_text()
    compile((top / "tests" / "test_my_data.py").read_text(), "test", "exec")
    with pytest.raises(BadInput, match="exists already"):
        package.write("my_data", "dataset", tmp_path)


# In one run -----------------------------------------------------------------------------------------------------------


def installed(folder, monkeypatch, *kinds):
    """Packages as an installer leaves them: on the path, with their entry points."""
    for kind in kinds:
        name = f"in_{kind}"
        package.write(name, kind, folder)
        project = tomllib.loads((folder / name / "pyproject.toml").read_text())["project"]
        meta = folder / name / "src" / f"{name}-0.1.0.dist-info"
        meta.mkdir()
        (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
        lines = [f"[{g}]\n{k} = {v}\n" for g, own in project["entry-points"].items() for k, v in own.items()]
        (meta / "entry_points.txt").write_text("".join(lines))
        far(folder / name / "src" / f"zoo_{name}" / f"{name}.py")
        monkeypatch.syspath_prepend(folder / name / "src")


@pytest.mark.slow
@pytest.mark.faults  # most of a minute
def test_files_and_installed_ones_in_one_run(zoo, own_server, tmp_path, monkeypatch):
    """A method, a data set, a validator, a plot and a format; no line of any runs in this process."""
    every = ("mapping", "validator", *KINDS)
    installed(tmp_path, monkeypatch, *every)
    files = [part for kind in every for part in ("--plugin", far(scaffold(tmp_path, kind)))]
    for data in ("my_dataset", "in_dataset"):
        suite = tmp_path / f"{data}.yaml"
        suite.write_text(SUITE.format(data))
        methods, judges = "my_mapping,in_mapping", "my_validator,in_validator"
        done = zoo("run", suite, *files, "--methods", methods, "--validators", judges, "--out", "run", "--fresh")
        assert done.code == 0, done.err
        records = [json.loads(line) for f in (tmp_path / "cwd/run/records").glob("*") for line in f.open()]
        assert {r["method"] for r in records} == {"source_only", "my_mapping", "in_mapping"}
        assert all(r["status"] == "ok" for r in records)
        assert min(r["metrics"]["accuracy"] for r in records) > 0.8  # three classes, 3 apart and moved by 1
        values = [json.loads(line) for f in (tmp_path / "cwd/run/validators").glob("*") for line in f.open()]
        assert {v["validator"] for v in values if v["status"] == "ok"} == {"my_validator", "in_validator"}
    for plot in ("my_plot", "in_plot"):
        done = zoo("plot", "run", "--kind", plot, *files, "--out", f"{plot}.png")
        assert (done.code, "mean accuracy of 3 methods" in done.err) == (0, True)
    a, b = ((tmp_path / "cwd" / f"{plot}.png").read_bytes() for plot in ("my_plot", "in_plot"))
    assert a == b
    assert a.startswith(b"\x89PNG")
    for format in ("my_format", "in_format"):
        done = zoo("table", "run", "--format", format, *files)
        assert (done.code, done.err) == (0, "")
        assert "in_mapping\tlogistic\tfeature\t" in done.out
    assert {"my_plot", "in_plot"} <= {row["name"] for row in zoo("list", "plots", *files, "--json").json}
    meta = json.loads((tmp_path / "cwd/run/run.json").read_text())
    assert (tmp_path / "cwd/run" / meta["dataset"]).name == "in_dataset.py"
    assert "1 identical" in zoo("verify", "run", "--cells", 1, *files).out
    assert "| near – far | 150 – 150 |" in zoo("distance", suite, *files).out
    assert not [name for name in sys.modules if name.startswith(("_zoo_plugin_my_", "zoo_in_"))]


def test_without_its_file_a_data_set_is_unknown(zoo, tmp_path):
    suite = tmp_path / "mine.yaml"
    suite.write_text(SUITE.format("my_dataset"))
    done = zoo("run", suite)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "unknown dataset 'my_dataset'" in done.err


# zoo check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_scaffold_keeps_its_promises(server, tmp_path, kind):
    outcomes = check.run(far(scaffold(tmp_path, kind)))
    assert [o for o in outcomes if not o.ok or o.skipped] == []
    assert len(outcomes) >= 3


@pytest.mark.parametrize(
    ("kind", "old", "new", "test", "says"),
    [
        ("plot", 'return drawing.shows(figure, f"mean', 'return (figure, f"mean', "draws", "draw gave a tuple"),
        ("plot", "axes = figure.subplots()", "import uuid; axes = figure.subplots(); axes.set_title(uuid.uuid4().hex)",
         "repeats", "the same records give other bytes"),
        ("plot", "if not means:", "if run.records[0]['nothing']:", "draws", "KeyError: 'nothing' (my_plot.py:23)"),
        ("format", ') + "\\n"', ")", "renders", "no newline at its end, where one is promised (my_format.py:23)"),
        ("format", "lines.append(", "row.label == 'target_only' or lines.append(", "renders", "row of target_only is"),
        ("format", "lines = [", "lines = ['\\x1b[2J', ", "renders", "its text holds control characters"),
        ("dataset", "default_rng(place)", "default_rng()", "repeats", "gives other samples when it is called again"),
        ("dataset", "% 3\n", "% 3 if place else np.zeros(150, int)\n", "labels", "domain near has one class"),
        ("dataset", '["a", "b", "c"]', '[f"{domain} {c}" for c in "abc"]', "fits together", "share 0 classes by name"),
    ],
)  # fmt: skip
def test_a_broken_promise_is_said_in_words(server, tmp_path, kind, old, new, test, says):
    found = failed(edited(scaffold(tmp_path, kind), (old, new)))
    assert says in found[test]


@pytest.mark.parametrize(
    ("how", "test", "says"),
    [
        ({"source": "X[1:]"}, needs, "source(X) gave 149 rows for 150 samples (mine.py:14)"),
        ({"source": "X / 0"}, needs, "source(X) is not finite: infinity in 150 of 150 rows, first in row 0"),
        ({"source": "X.numpy()"}, needs, "source(X) gave a ndarray, where a tensor is promised (mine.py:14)"),
        ({"source": "X - X.mean(0)"}, samples.row_wise, "source(X) maps a sample otherwise alone than among all"),
        ({"target": "X - X.mean(0)"}, samples.row_wise, "fit_map is where a map learns from its samples (mine.py:17)"),
        ({"target": "X[1:]"}, samples.shapes, "target(X) gave 599 rows for 600 samples (mine.py:17)"),
    ],
)
def test_a_method_that_breaks_a_promise_is_told_so_with_its_line(tmp_path, how, test, says):
    path = tmp_path / "mine.py"
    path.write_text(MAP.format(**({"fit": "pass", "source": "X", "target": "X"} | how)))
    done = outcome(test, subject := subjected(path))
    subject.end()
    assert not done.ok
    assert says in done.detail


def subjected(path):
    info = plugged.found("method", [path])[path.stem]
    return Subject(info, 60.0, contracts(info)[0])


def test_sums_in_float32_are_told_how_to_become_float64(tmp_path):
    path = tmp_path / "mine.py"
    fit = "self.off_ = ((task.Xt * 1e4).sum(0) - (task.Xt.double() * 1e4).sum(0)) / 100"  # float32's error alone
    path.write_text(MAP.format(fit=fit, source="X", target="(X + self.off_).to(X.dtype)"))
    done = outcome(samples.target_order, subject := subjected(path))
    assert "float32 sums depend on the order of their terms: task.Xt.double().mean(0) does not" in done.detail
    assert done.detail.endswith("(mine.py:10)")
    subject.end()


def test_what_a_method_prints_is_one_line(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MAP.format(fit="[print(i) for i in range(9)]", source="X", target="X"))
    subject = subjected(path)
    done = outcome(samples.process_state, subject)
    assert (done.ok, done.detail) == (True, "")  # its fit for this test was in another process
    subject.fitted  # noqa: B018
    assert outcome(samples.process_state, subject).detail.startswith("it has printed 9 lines")
    subject.end()


def test_the_toy_runs_are_runs_as_they_are_read():
    text = build(toyrun.whole())
    assert {row.label for _, rows in text.groups for row in rows} == set(toyrun.METHODS)
    assert build(toyrun.bare()).groups
