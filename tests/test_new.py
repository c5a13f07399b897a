"""``zoo new``: every scaffold keeps the contract as it is written, runs in a table, and nothing is overwritten."""

import ast
import subprocess
import sys

import pytest
import torch

from zoo import check, discover, select, source, templates

KINDS = {  # kind → family, learner, base class
    "reweighting": ("instance", "base", "reweighting"),
    "mapping": ("feature", "base", "mapping"),
    "deep": ("feature", "net", "deep"),
    "parameter": ("parameter", "net", "parameter"),
    "relational": ("relational", "base", "relational"),
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_there_is_one_for_each_kind():
    assert templates.kinds() == sorted([*KINDS, "validator", "dataset", "net", "plot", "format"])


def test_a_validators_scaffold_passes_the_contract_as_it_is(zoo, tmp_path):
    done = zoo("new", "my_judge2", "--kind", "validator", "--out", tmp_path)
    path = tmp_path / "my_judge2.py"
    assert (done.code, done.err) == (0, "")
    assert "--validators my_judge2" in done.out
    outcomes = check.run(path)
    assert [o.name for o in outcomes] == ["needs", "repeats", "one class", "citation"]
    assert all(o.ok and not o.skipped for o in outcomes)
    assert select.validators([path])["my_judge2"].cls == "MyJudge2"
    assert zoo("new", "my_judge2", "--kind", "validator", "--out", tmp_path).code == 2
    for name in ("entropy", "all", "default"):
        assert zoo("new", name, "--kind", "validator", "--out", tmp_path).code == 2
    assert not (tmp_path / "all.py").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_scaffold_passes_the_contract_as_it_is(zoo, tmp_path, kind):
    done = zoo("new", "my_method2", "--kind", kind, "--out", tmp_path)
    path = tmp_path / "my_method2.py"
    assert (done.code, done.err) == (0, "")
    assert f"zoo check {path}" in done.out
    outcomes = check.run(path)
    assert not [o for o in outcomes if not o.ok]
    assert sum(o.skipped for o in outcomes) < len(outcomes) / 2
    info = discover.methods([path])["my_method2"]
    assert (info.family, info.learner, info.kind) == KINDS[kind]
    assert info.cls == "MyMethod2"
    assert info.space.keys() <= info.parameters.keys()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["adapter", "mapping", "tensor", "any", "tuning", "task", "a", "x_1_"])
def test_a_class_hides_no_import_of_its_file(tmp_path, kind, name):
    path = templates.write(name, kind, tmp_path)
    tree = ast.parse(path.read_text())
    imported = {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names}
    (cls,) = (node.name for node in tree.body if isinstance(node, ast.ClassDef))
    assert cls not in imported
    assert discover.load(discover.methods([path])[name])().get_params()


def test_scaffolds_are_clean_python(tmp_path):
    for kind in KINDS:
        templates.write(f"my_{kind}", kind, tmp_path)
    config = str(source.ROOT.parent / "pyproject.toml")
    for args in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *args, "--config", config, tmp_path], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.faults  # at the whole budget
def test_their_rows_are_sane(zoo, tmp_path):
    """Both pairs of quickstart at its own budget: none is far below its learner without adaptation."""
    plugins = [part for kind in KINDS for part in ("--plugin", templates.write(f"my_{kind}", kind, tmp_path))]
    methods = ",".join(f"my_{kind}" for kind in KINDS)
    done = zoo("run", "quickstart", "--seeds", 1, "--methods", methods, *plugins, "--json")
    assert done.code == 0
    rows = done.json["table"]["rows"]
    mean = {(r["label"], r["learner"], r["setting"]): r["cells"]["average"]["value"] for r in rows}
    mine = {key: value for key, value in mean.items() if key[0].startswith("my_")}
    assert {key[0] for key in mine} == {f"my_{kind}" for kind in KINDS}
    for (label, learner, _), value in mine.items():
        assert value > mean["source_only", learner, "none"] - 0.05, label


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("Mine", "deep", "lower-case"),
        ("_mine", "deep", "lower-case"),
        ("2mine", "deep", "lower-case"),
        ("my-method", "deep", "lower-case"),
        ("my/method", "deep", "lower-case"),
        ("mine.py", "deep", "lower-case"),
        ("mine\n", "deep", "lower-case"),
        ("", "deep", "lower-case"),
        ("class", "deep", "keyword"),
        ("coral", "mapping", "exists already"),
        ("mine", "dep", "did you mean 'deep'"),
        ("mine", "../kmm", "unknown kind"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(zoo, tmp_path, name, kind, says):
    done = zoo("new", name, "--kind", kind, "--out", tmp_path / "there")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert says in done.err
    assert not (tmp_path / "there").exists()


def test_what_is_there_stays(zoo, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("mine")
    done = zoo("new", "mine", "--kind", "deep", "--out", tmp_path)
    assert (done.code, done.err) == (2, f"zoo: {path} exists already\n")
    assert path.read_text() == "mine"
    done = zoo("new", "other", "--kind", "deep", "--out", path)
    assert (done.code, done.err) == (2, f"zoo: {path} exists already and is no folder\n")
    done = zoo("new", "other", "--kind", "deep", "--out", path / "below")
    assert (done.code, done.err.count("\n")) == (2, 1)
