"""``kill -9`` at several moments: the same command goes on, loses nothing, and ends in the same table."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import zoo
from zoo.bench.run import Results

METHODS = "kmm,coral,dann,fine_tune,label_propagation,target_only"
COMMAND = [sys.executable, "-m", "zoo.cli", "run", "quickstart", "--methods", METHODS, "--seeds", "2", "--steps", "10"]


def lines(folder: Path) -> list[dict]:
    """All whole lines of all record files, in the order of writing."""
    found = []
    for file in sorted(folder.glob("records/*.jsonl"), key=lambda f: f.stat().st_mtime):
        for line in file.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # torn by the kill
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "run"
    zoo.run("quickstart", methods=METHODS.split(","), seeds=2, steps=10, out=out)
    return out


@pytest.mark.faults
@pytest.mark.parametrize("after", [0, 7, 21], ids=lambda n: f"after-{n}-cells")
def test_killed_run_goes_on(tmp_path, whole, after):
    out = tmp_path / "run"
    process = subprocess.Popen([*COMMAND, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (out / "run.json").exists() or len(lines(out)) < after:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = {r["cell"] for r in lines(out)}
    n_before = len(lines(out))
    total = len(lines(whole))
    assert after <= len(before) < total

    again = subprocess.run([*COMMAND, "--out", str(out)], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    rerun = [r["cell"] for r in lines(out)[n_before:]]
    assert sorted([*before, *rerun]) == sorted(r["cell"] for r in lines(whole)), "only unfinished cells ran again"
    for format in ("md", "json"):
        assert Results(out).table(format, cost=False) == Results(whole).table(format, cost=False)


def test_torn_line_is_done_again(zoo, tmp_path):
    """A record cut in the middle of its line counts as a cell that never finished."""
    out, whole = tmp_path / "run", tmp_path / "whole"
    few = ("run", "quickstart", "--methods", "coral,dummy", "--seeds", 1, "--executor", "local")
    assert zoo(*few, "--out", whole).code == 0
    shutil.copytree(whole, out)
    (file,) = (out / "records").glob("*.jsonl")
    text = file.read_text()
    last = json.loads(text.splitlines()[-1])["cell"]
    file.write_text(text[: text.rstrip("\n").rindex("\n") + 40])
    again = zoo(*few, "--out", out, "--json")
    assert again.code == 0, again.err
    assert again.json["ran"] == 1
    assert lines(out)[-1]["cell"] == last
    assert Results(out).table(cost=False) == Results(whole).table(cost=False)


def test_workers_do_not_outlive_a_killed_driver(tmp_path):
    """The fork server sees its line close and ends, with its workers."""
    out = tmp_path / "run"
    command = [*COMMAND[:-1], "5000", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(workers := _descendants(process.pid)) < 2 or not (out / "run.json").exists():  # the server and a worker
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    while alive := [p for p in workers if Path(f"/proc/{p}").exists() and _state(p) != "Z"]:
        assert time.monotonic() < deadline + 30, alive
        time.sleep(0.05)


@pytest.mark.faults
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["as-slurm", "ctrl-c"])
def test_a_signal_ends_a_run_in_a_line_that_says_how_to_go_on(tmp_path, sent):
    out = tmp_path / "run"
    command = [*COMMAND[:-1], "5000", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(_descendants(process.pid)) < 2 or not lines(out):
        assert process.poll() is None, "the run ended before it could be ended"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].endswith("the same command goes on from there")
    assert "Traceback" not in err


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((task / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += [int(task.name), *_descendants(int(task.name))]
    return found


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
