"""Several processes in one run folder: each cell is run by one of them, whatever becomes of the others."""

import json
import os
import subprocess
import sys
import time

import pytest

from zoo.bench import turns
from zoo.bench.run import Benchmark
from zoo.records import claims
from zoo.records.claims import Claims


def test_a_cell_is_claimed_once(tmp_path):
    one, other = Claims(tmp_path), Claims(tmp_path)
    assert one.take("a")
    assert one.take("a")
    assert not other.take("a")
    assert other.take("b")
    one.release("a")
    assert other.take("a")
    one.close()
    assert sorted(p.name for p in (tmp_path / "claims").iterdir()) == ["a", "b"]
    other.close()
    assert not (tmp_path / "claims").exists()


def test_a_claim_that_is_silent_for_two_minutes_is_void(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_gone", lambda said: False)
    one, other = Claims(tmp_path), Claims(tmp_path)
    assert one.take("a")
    path = tmp_path / "claims" / "a"
    os.utime(path, (time.time() - 110,) * 2)
    assert not other.take("a")
    os.utime(path, (time.time() - 130,) * 2)
    assert other.take("a")
    assert json.loads(path.read_text())["key"] == other.owner["key"]
    other.close()


def test_a_claim_of_a_process_that_is_no_more_is_void_at_once(tmp_path):
    code = "import sys; from pathlib import Path; from zoo.records.claims import Claims; import os\n"
    code += "Claims(Path(sys.argv[1])).take('a'); os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert (tmp_path / "claims" / "a").exists()
    if "boot" not in claims._whereabouts():
        pytest.skip("no /proc")
    other = Claims(tmp_path)
    assert other.take("a")
    other.close()


def test_a_heartbeat_keeps_a_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "HEARTBEAT_S", 0.01)
    one = Claims(tmp_path)
    assert one.take("a")
    path = tmp_path / "claims" / "a"
    os.utime(path, (0, 0))
    deadline = time.monotonic() + 10
    while path.stat().st_mtime == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    one.close()
    assert time.monotonic() < deadline


@pytest.fixture
def folder(own_suite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own_suite(tmp_path)
    return tmp_path


def lines(folder):
    return [line for p in folder.glob("runs/mine/records/*.jsonl") for line in p.read_text().splitlines()]


def test_what_another_has_run_since_the_plan_is_not_run_again(folder):
    late = Benchmark("mine.yaml", executor="local")
    first = Benchmark("mine.yaml", executor="local")
    assert len(late.todo) == len(first.todo) == 8
    first.run()
    late.run()
    assert len(lines(folder)) == 8
    assert not (folder / "runs/mine/claims").exists()


def test_what_another_has_finished_is_not_waited_for_though_it_runs_on(folder):
    late, first = (Benchmark("mine.yaml", executor="local") for _ in "ab")
    first.run()
    busy = Claims(folder / "runs/mine")
    assert all(busy.take(cell.id) for cell in late.todo)
    late.run()
    assert len(lines(folder)) == 8
    busy.close()


def test_what_another_runs_is_waited_for(folder, monkeypatch):
    benchmark = Benchmark("mine.yaml", executor="local")
    busy = Claims(folder / "runs/mine")
    (folder / "runs/mine").mkdir(parents=True)
    taken = benchmark.todo[3].id
    assert busy.take(taken)
    waits = []

    def sleep(_):
        waits.append(len(lines(folder)))
        if len(waits) == 3:
            busy.release(taken)

    monkeypatch.setattr(turns.time, "sleep", sleep)
    benchmark.run()
    assert waits == [7, 7, 7]
    assert len(lines(folder)) == len({json.loads(line)["cell"] for line in lines(folder)}) == 8
