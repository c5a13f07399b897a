"""Shards: several processes in one folder give the table of one, whoever runs what."""

import json
import shutil
import subprocess
import sys

import pytest

from zoo.bench.run import Benchmark, Results
from zoo.errors import BadInput

WHAT = ["quickstart", "--methods", "kmm,coral,dann", "--steps", "5", "--seeds", "2", "--workers", "1"]
COMMAND = [sys.executable, "-m", "zoo.cli", "run", *WHAT]


def ids(folder):
    """The cell of every line of each record file."""
    files = sorted(folder.glob("records/*.jsonl"))
    return [[json.loads(line)["cell"] for line in file.read_text().splitlines()] for file in files]


@pytest.mark.faults
def test_three_shards_at_once_give_the_table_of_one_process(tmp_path):
    one, many = tmp_path / "one", tmp_path / "many"
    subprocess.run([*COMMAND, "--out", str(one)], check=True, capture_output=True)
    running = [
        subprocess.Popen([*COMMAND, "--out", str(many), "--shard", f"{i}/3"], stdout=-1, stderr=-1, text=True)
        for i in (1, 2, 3)
    ]
    for i, process in enumerate(running, 1):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert f"shard        {i}/3: the table shows what all shards have done so far" in out
        assert f"shard {i}/3:" in err
    (every,) = ids(one)
    files = ids(many)
    assert len(files) == 3
    assert sorted(cell for file in files for cell in file) == sorted(every)  # each once, by one shard
    for file in files:
        assert len({int(cell, 16) % 3 for cell in file}) == 1
    for format in ("md", "latex", "csv", "json"):
        assert Results(many).table(format, cost=False) == Results(one).table(format, cost=False)
    for kind in ("rows", "pairs", "suite", "unsupported", "domains"):
        assert json.loads((many / "run.json").read_text())[kind] == json.loads((one / "run.json").read_text())[kind]

    shutil.rmtree(many / "records")  # a lost shard is a shard run again: the others' share is not touched
    again = subprocess.run([*COMMAND, "--out", str(many), "--shard=2/3", "--json"], capture_output=True, text=True)
    told = json.loads(again.stdout)
    assert (told["shard"], told["ran"]) == ("2/3", sum(int(cell, 16) % 3 == 1 for cell in every))


def cells(folder, shard=None):
    """The cells that a run would do."""
    benchmark = Benchmark("quickstart", out=folder, shard=shard, executor="local")
    benchmark.close()
    return [c.id for c in benchmark.todo]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return cells(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize("n", [1, 3])
def test_shards_split_the_plan(whole, tmp_path, n):
    parts = [cells(tmp_path / "run", f"{i}/{n}") for i in range(1, n + 1)]
    assert sorted(c for part in parts for c in part) == sorted(whole)
    assert all(len(part) > len(whole) / n / 3 for part in parts)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "3", "1/0", "1/3/5", "-1/3", "a/b", "1/x", "", "1 /3", "²/3", "1/" + "9" * 500]
)
def test_a_bad_shard_is_one_line(zoo, tmp_path, text):
    done = zoo("run", "quickstart", "--out", tmp_path / "run", f"--shard={text}")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"zoo: --shard {text}: expected I/N with I from 1 to N")
    assert not (tmp_path / "run").exists()


def test_a_shard_does_not_delete_the_others_work(tmp_path):
    with pytest.raises(BadInput, match="--fresh with --shard"):
        Benchmark("quickstart", out=tmp_path / "run", shard="1/2", fresh=True)


def test_the_dry_run_counts_the_shard(zoo, tmp_path):
    plans = [
        zoo("run", "quickstart", "--methods", "coral,kmm", "--dry-run", "--json", f"--shard={i}/2").json for i in (1, 2)
    ]
    whole = zoo("run", "quickstart", "--methods", "coral,kmm", "--dry-run", "--json").json
    assert sum(plan["cells"] for plan in plans) == whole["cells"]
    assert all(plan["done"] == 0 for plan in plans)
