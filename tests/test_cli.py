"""The command: what it imports, prints and returns, and what it does when a method fails, dies or hangs."""

import json
import os
import subprocess
import sys

import pytest

from zoo import discover

HEAVY = ("torch", "torchvision", "scipy", "sklearn", "ot", "pandas", "matplotlib")


def python(code, *args, **options):
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("args", [("--help",), ("list",), ("list", "suites"), ("run", "--help"), ("info", "dann")])
def test_it_starts_light(args):
    code = (
        "import sys\nfrom zoo import cli\nsys.argv[0] = 'zoo'\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print('heavy:', *sorted(set({HEAVY}) & set(sys.modules)))"
    )
    assert python(code, *args).stdout.splitlines()[-1] == "heavy:"


def test_the_driver_of_a_run_needs_no_torch(surf, suite_file, tmp_path):
    """It plans, sends, scores and writes; workers compute."""
    code = (
        "import sys\nfrom zoo.bench.run import Benchmark\n"
        f"b = Benchmark({str(suite_file)!r}, data_root={str(surf)!r}, out={str(tmp_path / 'r')!r}, methods=['dummy'],"
        " executor='local')\nimport zoo.bench.executors.processes\n"
        "b.close()\nprint('heavy:', *sorted({'torch', 'torchvision', 'sklearn', 'ot'} & set(sys.modules)))"
    )
    assert python(code).stdout.splitlines()[-1] == "heavy:"


def test_list_says_what_there_is(zoo):
    methods = zoo("list", "methods", "--json").json
    fields = ["name", "family", "setting", "learner", "needs", "kind", "summary", "cite", "parameters"]
    assert all(list(row) == fields for row in methods)
    assert [row["name"] for row in methods] == list(discover.methods())
    coral = next(row for row in methods if row["name"] == "coral")
    assert coral["parameters"] == {"reg": 1.0, "centre": True}
    assert (coral["family"], coral["setting"], coral["needs"]) == ("feature", "unsupervised", ["Xs", "Xt", "ys"])
    assert {row["name"] for row in zoo("list", "--family", "feature", "--json").json} == {
        row["name"] for row in methods if row["family"] == "feature"
    }
    text = zoo("list").out
    assert all(row["name"] in text and row["summary"] in text for row in methods)
    assert {row["name"] for row in zoo("list", "suites", "--json").json} == set(discover.suites())
    assert "office_caltech" in zoo("list", "datasets").out
    assert "mlp" in zoo("list", "nets").out
    for args in (("list", "methds"), ("list", "--family", "features"), ("info", "corla")):
        done = zoo(*args)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert "did you mean" in done.err


def test_info_says_what_a_method_is(zoo, write_plugin, tmp_path):
    text = zoo("info", "coral").out
    for part in ("coral (feature, unsupervised)", "Xs, Xt, ys", "reg = 1.0", "search ('log'", "coral.py", "Sun"):
        assert part in text
    assert "effective sample size" in zoo("info", "kmm").out
    assert "by = 0.5" in zoo("info", "mine", "--plugin", write_plugin(tmp_path / "mine.py")).out


def test_dry_run_writes_nothing(zoo, suite_file, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    plan = zoo("run", suite_file, "--dry-run", "--json").json
    assert sorted(tmp_path.rglob("*")) == before
    # Nothing depends on the seed here: 2 pairs × (source_only, coral).
    assert (plan["cells"], plan["done"]) == (4, 0)
    assert [(row["label"], row["cells"]) for row in plan["rows"]] == [("source_only", 2), ("coral", 2)]
    assert 0 < plan["seconds"] < 60
    text = zoo("run", suite_file, "--dry-run", "--methods", "coral,fine_tune").out
    assert "fine_tune    mlp" in text
    assert "unsupported: needs labelled target samples (--labels K)" in text
    assert zoo("run", suite_file, "--executor", "local").code == 0
    assert zoo("run", suite_file, "--dry-run", "--json").json["done"] == 4


def test_a_dry_run_with_nothing_left(zoo, suite_file):
    assert zoo("run", suite_file, "--executor", "local").code == 0
    done = zoo("run", suite_file, "--dry-run")
    assert done.code == 0
    assert "4 cells, 4 of them done before" in done.out


def test_a_run_of_what_cannot_run_says_so(zoo, suite_file):
    done = zoo("run", suite_file, "--methods", "fine_tune", "--dry-run")
    assert done.code == 0
    assert "unsupported" in done.out


def test_json_is_all_there_is_on_stdout(zoo, suite_file):
    done = zoo("run", suite_file, "--executor", "local", "--json")
    assert (done.json["ran"], done.json["failed"]) == (4, [])
    assert [row["label"] for row in done.json["table"]["rows"]] == ["source_only", "coral"]
    assert done.json["run"] == "runs/tiny"
    assert "4/4 cells" in done.err
    again = zoo("run", suite_file, "--executor", "local", "--json")
    assert again.json["ran"] == 0
    assert again.json["table"] == done.json["table"]
    table = zoo("table", "runs/tiny", "--format", "json")
    assert table.json == done.json["table"]


def test_a_run_ends_with_its_table_its_folder_and_what_to_try(zoo, suite_file):
    done = zoo("run", suite_file, "--executor", "local")
    assert zoo("table", "runs/tiny").out in done.out
    for part in ("runs/tiny", "zoo table runs/tiny --format latex", "--plugin FILE.py", "zoo info METHOD"):
        assert part in done.out


def test_a_table_is_of_runs(zoo, suite_file, tmp_path):
    for args in (("runs/nothing",), ("runs/tiny", "--metric", "acuracy"), ("runs/tiny", "--format", "pdf")):
        zoo("run", suite_file, "--executor", "local")
        done = zoo("table", *args)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_a_failing_method_is_named_recorded_and_retried(zoo, suite_file, write_plugin, tmp_path):
    switch = tmp_path / "broken"
    switch.touch()
    plugin = write_plugin(tmp_path / "mine.py", fit=f"__import__('os').path.exists({str(switch)!r}) and 1 / 0")
    args = ("run", suite_file, "--plugin", plugin, "--methods", "mine,coral", "--json")
    done = zoo(*args)
    assert done.code == 1
    assert done.json["ran"] == 6
    assert [(r["method"], r["status"]) for r in done.json["failed"]] == [("mine", "failed")] * 2
    assert "zoo: 2 cells did not finish; the same command tries them again" in done.err
    assert "failed: mine (1nn) amazon→webcam: ZeroDivisionError: division by zero (mine.py:13)" in done.err
    note = next(n for n in done.json["table"]["notes"] if n.startswith("failed: "))
    assert "mine" in note
    assert "ZeroDivisionError: division by zero (mine.py:13)" in note
    # Still broken: tried again, failed again; mended: only what failed is run.
    again = zoo(*args)
    assert (again.code, again.json["ran"]) == (1, 2)
    switch.unlink()
    mended = zoo(*args)
    assert (mended.code, mended.json["ran"], mended.json["failed"]) == (0, 2, [])
    assert not any(n.startswith("failed") for n in mended.json["table"]["notes"])


@pytest.mark.parametrize(
    ("fit", "status", "reason"),
    [
        ("__import__('os')._exit(3)", "failed", "the worker ended by itself with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "failed", "the worker was killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", "failed", "the worker was killed by SIGSEGV"),
        ("raise SystemExit(5)", "failed", ""),
        ("raise KeyboardInterrupt", "failed", ""),
        ("raise MemoryError", "oom", "MemoryError"),
        ("from zoo.errors import Unsupported; raise Unsupported('not here')", "unsupported", "not here"),
        ("import time; time.sleep(600)", "timeout", "stopped after 5 s"),
        ("task.yt", "failed", "LeakError: task.yt was read, but the adapter's needs do not name 'yt'"),
        ("print('on stdout')", "ok", ""),
    ],
)
def test_whatever_becomes_of_a_method_the_others_finish(zoo, suite_file, write_plugin, tmp_path, fit, status, reason):
    plugin = write_plugin(tmp_path / "mine.py", fit=fit)
    args = ("--plugin", plugin, "--methods", "mine,coral", "--pairs", "amazon:webcam", "--workers", 2)
    done = zoo("run", suite_file, *args, *(("--timeout", 5) if status == "timeout" else ()), "--json")
    assert done.code == (status not in ("ok", "unsupported"))
    (path,) = (tmp_path / "cwd/runs/tiny/records").glob("*.jsonl")
    found = {r["method"]: r for r in map(json.loads, path.open())}
    assert {name: r["status"] for name, r in found.items()} == {"source_only": "ok", "coral": "ok", "mine": status}
    assert reason in found["mine"]["reason"]
    assert "\n" not in found["mine"]["reason"]
    assert (found["mine"]["metrics"] == {}) == (status != "ok")
    if status == "unsupported":
        assert any("not here" in note for note in done.json["table"]["notes"])


@pytest.mark.slow
def test_a_script_needs_no_guard(surf, suite_file, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, zoo\n"
        "print('once')\n"
        "results = zoo.run(sys.argv[1], methods=['coral'], pairs=['amazon:webcam'], workers=2, quiet=True)\n"
        "print(len(results.frame()), results.folder)\n"
    )
    env = os.environ | {"ZOO_DATA": str(surf)}
    call = [sys.executable, script, suite_file]
    done = subprocess.run(call, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "once\n2 runs/tiny\n"
