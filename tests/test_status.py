"""``zoo status``: counts that equal the plan and the records, failures by name, and what a second run then does."""

import json
import re
from pathlib import Path

import pytest

from zoo import records
from zoo.bench.run import Benchmark
from zoo.report import status


def planned(methods, folder, **options):
    """Cells of a plan by method, learner and setting, from the planner itself."""
    benchmark = Benchmark("tiny.yaml", methods=methods, out=folder, executor="local", **options)
    benchmark.close()
    found = {}
    for cell in benchmark.plan.cells:
        key = (cell.row.label, cell.identity["learner"], cell.identity["setting"])
        found.setdefault(key, set()).add(cell.id)
    return found


@pytest.fixture
def tiny(zoo, suite_file):
    """The command in the folder of the tiny suite: 2 pairs, 2 seeds, transductive with 1-NN."""
    suite_file.rename("tiny.yaml")
    return zoo


def write_fails(write_plugin, tmp_path):
    fit = 'if task.seed == 1: raise ValueError("seed one is bad")'
    path = write_plugin(tmp_path / "fails.py", fit=fit)
    path.write_text(path.read_text().replace("(Mapping):", "(Mapping):\n    deterministic = False").replace(
        '    deterministic = False\n    """A shift of the target by a constant."""',
        '    """A shift of the target by a constant."""\n\n    deterministic = False'))  # fmt: skip
    return path


def test_a_finished_run(tiny, tmp_path):
    assert tiny("run", "tiny.yaml", "--methods", "coral,dann,target_only", "--out", tmp_path / "run").code == 0
    found = tiny("status", tmp_path / "run", "--json").json
    plan = planned(["coral", "dann", "target_only"], tmp_path / "run")
    assert {(r["label"], r["learner"], r["setting"]): r["planned"] for r in found["rows"]} == {
        key: len(ids) for key, ids in plan.items()
    }
    assert all((r["ok"], r["left"], r["failed"], r["unsupported"]) == (r["planned"], 0, {}, 0) for r in found["rows"])
    every = records.read(tmp_path / "run").records
    assert (found["planned"], found["done"], found["left"]) == (len(every), len(every), 0)
    assert found["seconds"] == pytest.approx(sum(r["fit_s"] + r["predict_s"] for r in every), abs=1e-3)
    assert (found["failed"], found["estimate"]) == ([], 0)
    done = tiny("status", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert f"tiny, {len(every)} of {len(every)} cells done" in done.out
    assert done.out.endswith("running it again would run nothing\n")


def test_what_failed_is_named_and_what_is_left_is_what_runs(tiny, tmp_path, write_plugin):
    fails = write_fails(write_plugin, tmp_path)
    command = ("run", "tiny.yaml", "--methods", "coral,fails,fine_tune", "--plugin", fails, "--out", tmp_path / "run")
    assert tiny(*command).code == 1
    found = tiny("status", tmp_path / "run", "--json").json
    row = next(r for r in found["rows"] if r["label"] == "fails")
    assert (row["planned"], row["ok"], row["failed"], row["left"]) == (4, 2, {"failed": 2}, 2)
    assert {(f["label"], f["source"], f["target"], f["seed"], f["status"]) for f in found["failed"]} == {
        ("fails", a, b, 1, "failed") for a, b in (("amazon", "webcam"), ("webcam", "amazon"))
    }
    assert all("seed one is bad" in f["reason"] for f in found["failed"])
    assert [u["label"] for u in found["unsupported"]] == ["fine_tune"]
    own = [r for r in records.read(tmp_path / "run").records if r["method"] == "fails" and r["status"] == "ok"]
    assert found["estimate"] == pytest.approx(sum(r["fit_s"] + r["predict_s"] for r in own), abs=1e-3)  # 2 left, 2 ok
    text = tiny("status", tmp_path / "run").out
    assert re.search(r"^fails +1nn +unsupervised +4 +2 +2 failed +0 +2 ", text, re.M)
    assert re.search(r"^failed: fails \(1nn, unsupervised\) on amazon→webcam \(seed 1\): .*seed one is bad", text, re.M)
    assert re.search(r"^unsupported: fine_tune \(mlp\): needs labelled target samples", text, re.M)
    assert "running it again would run 2 cells, 2 of them failed before" in text
    assert f"command: {' '.join(map(str, ('zoo', *command)))}" in text
    assert tiny(*command, "--json").json["ran"] == found["left"]


def test_cells_that_have_not_run(tiny, tmp_path):
    folder = tmp_path / "run"
    command = ("run", "tiny.yaml", "--methods", "coral,dann", "--out", folder)
    tiny(*command)
    (file,) = (folder / "records").glob("*.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    lost = [json.loads(line) for line in lines[3:]]
    file.write_text("".join(lines[:3]))
    found = status.build(records.read(folder))
    assert (found.planned, found.done, found.left, found.failed) == (len(lines), 3, len(lost), [])
    for row in found.rows:
        assert row.left == sum((r["method"], r["learner"]) == (row.label, row.learner) for r in lost)
    assert tiny(*command, "--json").json["ran"] == len(lost)


def test_commands_and_shards_in_one_folder_add_up(tiny, tmp_path):
    folder = tmp_path / "run"
    tiny("run", "tiny.yaml", "--methods", "dann", "--pairs", "amazon:webcam", "--seeds", 1, "--out", folder)
    tiny("run", "tiny.yaml", "--methods", "dann", "--pairs", "webcam:amazon", "--out", folder)
    tiny("run", "tiny.yaml", "--methods", "coral", "--out", folder, "--shard", "1/2")
    found = status.build(records.read(folder))
    rows = {(r.label, r.learner): r for r in found.rows}
    assert (rows["dann", "mlp"].planned, rows["dann", "mlp"].ok) == (3, 3)
    assert rows["coral", "1nn"].planned == 2
    every = records.read(folder).records
    assert (found.planned, found.done) == (3 + 3 + 2 + 2, len(every))
    assert "--shard" not in found.command
    assert found.command.startswith("zoo run tiny.yaml --methods coral")
    tiny("run", "tiny.yaml", "--methods", "coral", "--out", folder)
    assert status.build(records.read(folder)).left == 0


def test_two_labels_of_one_method_share_their_cells(tiny, tmp_path):
    rows = "[coral, {coral: {as: same}}, {coral: {reg: 2, as: other}}]"
    Path("tiny.yaml").write_text(Path("tiny.yaml").read_text().replace("[source_only, coral]", rows))
    assert tiny("run", "tiny.yaml", "--out", tmp_path / "run").code == 0
    found = status.build(records.read(tmp_path / "run"))
    assert {r.label: (r.planned, r.ok) for r in found.rows} == dict.fromkeys(
        ("coral", "same", "other", "source_only"), (2, 2)
    )
    assert (found.planned, found.done) == (6, 6)


def test_records_of_other_code_or_data_are_not_done(tiny, tmp_path, write_plugin, write_surf, monkeypatch):
    folder, plugin = tmp_path / "run", write_plugin(tmp_path / "mine.py")
    command = ("run", "tiny.yaml", "--methods", "mine", "--plugin", plugin, "--out", folder)
    tiny(*command)
    plugin.write_text(plugin.read_text() + "\nCHANGED = True\n")
    tiny(*command)
    found = status.build(records.read(folder))
    assert (found.planned, found.done, found.left) == (4, 4, 0)
    assert len(records.read(folder).records) == 6
    other = write_surf(tmp_path / "other", change=lambda name, X, y: (X + 1, y))
    monkeypatch.setenv("ZOO_DATA", str(other))
    tiny(*command)
    found = status.build(records.read(folder))
    assert (found.planned, found.done, found.left) == (4, 4, 0)


def test_bad_input(tiny, tmp_path):
    done = tiny("status", tmp_path / "none")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    tiny("run", "tiny.yaml", "--methods", "coral", "--out", tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    meta = json.loads(path.read_text())
    for row in meta["rows"].values():
        del row["cells"]
    path.write_text(json.dumps(meta))
    done = tiny("status", tmp_path / "run")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "the same command again adds that" in done.err
    tiny("run", "tiny.yaml", "--methods", "coral", "--out", tmp_path / "run")
    assert tiny("status", tmp_path / "run").code == 0
