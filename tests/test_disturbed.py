"""A full disk and a clock that is set back: the run goes on to the records of one that nothing disturbed."""

import json
import os
import random
import subprocess
import time

import pytest

from zoo.bench.run import Benchmark
from zoo.errors import DiskFull
from zoo.records import claims, store
from zoo.records.reading import read


class Stopped(Exception):
    pass


@pytest.fixture
def folder(own_suite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own_suite(tmp_path)
    return tmp_path


def run(out):
    return Benchmark("mine.yaml", executor="local", out=out).run().table("md", cost=False)


def finished(out):
    """The cells of all whole lines that are ok, as often as they are there."""
    said = []
    for path in (out / "records").glob("*.jsonl"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            said += [record["cell"]] if record["status"] == "ok" else []
    return sorted(said)


@pytest.fixture
def disk(tmp_path):
    """A file system of a size that can be changed."""
    at = tmp_path / "small"
    at.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", at], capture_output=True).returncode
    ):
        pytest.skip("may not mount a tmpfs")
    yield at, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", at], check=True)
    subprocess.run(["umount", "-l", at], check=True)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(6))
def test_a_full_disk_costs_no_finished_cell(folder, disk, seed):
    at, resize = disk
    undisturbed = run(folder / "whole")
    pages = random.Random(seed).randrange(1, 14) if seed else 1  # the first is full before a cell
    (at / "ballast").write_bytes(bytes(4096 * (16 - pages)))
    with pytest.raises(DiskFull, match="free some"):
        run(at / "run")
    before = finished(at / "run")
    resize("8m")
    assert run(at / "run") == undisturbed
    after = finished(at / "run")
    assert len(set(after)) == len(after) == 8
    assert set(before) <= set(after)


def test_a_clock_that_is_set_back_between_commands_changes_no_record(folder, monkeypatch):
    undisturbed = run(folder / "whole")
    appended, append = [], store.Store.append

    def ends(self, record, *more):
        if len(appended) == 3:
            raise Stopped
        appended.append(record["cell"])
        append(self, record, *more)

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "append", ends)
        with pytest.raises(Stopped):
            run(folder / "run")
    then = time.localtime(time.time() - 86400)
    monkeypatch.setattr(store.time, "strftime", lambda form, clock=time.strftime: clock(form, then))
    first = {p.name for p in (folder / "run" / "records").iterdir()}
    assert run(folder / "run") == undisturbed
    (second,) = {p.name for p in (folder / "run" / "records").iterdir()} - first
    assert second < min(first)  # the later writer's file is read first
    assert len(finished(folder / "run")) == 8
    assert not read(folder / "run").refused


def test_a_clock_that_is_set_back_voids_no_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_gone", lambda said: False)
    one, other = claims.Claims(tmp_path), claims.Claims(tmp_path)
    assert one.take("a")
    os.utime(tmp_path / "claims" / "a", (time.time() + 3600,) * 2)  # claimed before the clock went back by an hour
    assert not other.take("a")
    one.release("a")
    assert other.take("a")
    other.close()
