"""Ray: the table of `local` from a real cluster of two nodes, whatever is lost on the way, and the vault as it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from zoo.bench.executors import _line, _place
from zoo.bench.jobs import View
from zoo.bench.run import Benchmark, Results
from zoo.vault import wire

MEMORY = 100 << 20
METHODS = "source_only,coral,kmm,target_only,mine"
SLOW = "import time; time.sleep({})"


def lines(folder: Path) -> list[dict]:
    return [json.loads(x) for f in sorted(folder.glob("records/*.jsonl")) for x in f.read_text().splitlines()]


def tables(folder: Path) -> list[str]:
    return [Results(folder).table(form, cost=False) for form in ("md", "csv", "json", "latex")]


def sums(folder: Path) -> dict[str, str]:
    """What the predictions of each cell hash to."""
    return Results(folder).frame().set_index("cell")["predictions_sha256"].to_dict()


@pytest.fixture(scope="module")
def make_cluster():
    """Starts clusters, one at a time, of nodes with one CPU each."""
    pytest.importorskip("ray", reason="no Ray: pip install 'zoo[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        from ray.cluster_utils import Cluster

        made = []

        def make(nodes: int = 2):
            while made:
                made.pop().shutdown()
            cluster = Cluster()
            made.append(cluster)
            cluster.nodes_ = [cluster.add_node(num_cpus=1, object_store_memory=MEMORY, include_dashboard=False)]
            cluster.nodes_ += [cluster.add_node(num_cpus=1, object_store_memory=MEMORY) for _ in range(nodes - 1)]
            return cluster

        yield make
        while made:
            made.pop().shutdown()


@pytest.fixture
def two(make_cluster):
    """Of its own for each test: others end the cluster that there was."""
    return make_cluster(2)


def keep_going(cluster, out, done, what):
    """In a thread: once `done` cells of a run are stored, do `what`."""

    def wait():
        while len(lines(out)) < done:
            time.sleep(0.02)
        what()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


# Without a cluster ----------------------------------------------------------------------------------------------------


def test_without_ray_it_is_one_line(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert refused("{tiny}", executor="ray") == "--executor ray needs Ray: pip install 'zoo[ray]'"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("127.0.0.1:1", "Connection refused"),
        ("nowhere", "expected HOST:PORT of a cluster's head"),
        ("ray://127.0.0.1:10001", "expected HOST:PORT of a cluster's head"),
        ("127.0.0.1:99999", "--ray-address 127.0.0.1:99999"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_line(refused, address, says):
    pytest.importorskip("ray", reason="no Ray: pip install 'zoo[ray]'")
    assert says in refused("{tiny}", "--ray-address", address, executor="ray")


def test_an_address_for_another_executor_is_one_line(refused):
    assert "use --executor ray" in refused("{tiny}", "--ray-address", "a:1", executor="local")


class Kept:
    """A store that keeps what it is given."""

    def __init__(self):
        self.given = []

    def put(self, array):
        self.given.append(array)
        return f"ref {len(self.given)}"


@pytest.mark.parametrize("n", [10, 100_000])
def test_labels_and_small_things_never_get_into_the_store(n):
    """Large arrays of samples are put there, each content once; all else is in pieces that Ray hands over itself."""
    store = Kept()
    shelf = _line.Shelf(store, 1 << 30)
    X = np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)
    y = np.arange(n) % 7
    message = {"op": "fit", "arrays": {"Xs": X, "ys": y, "Xt": X.copy(), "yt": y, "Xl": None}}
    stored = shelf.stored(message["arrays"])
    parts = [p for view in wire.encode(message) for p in _line._parts(view, stored)]
    assert [a.tobytes() for a in store.given] == ([X.tobytes()] if n > 10 else [])
    assert [p for p in parts if isinstance(p, str)] == (["ref 1", "ref 1"] if n > 10 else [])
    assert max(len(p) for p in parts if isinstance(p, bytes)) <= _place.PIECE < 100 * 1024
    whole = b"".join(store.given[0].tobytes() if isinstance(p, str) else p for p in parts)
    assert whole == b"".join(bytes(v) for v in wire.encode(message))
    shelf.stored({"ys": y, "yt": y, "Xl": y})
    assert len(store.given) == (2 if n > 10 else 0), "a field's name says what is stored, and an array's size"


def test_the_store_lets_go_what_was_used_long_ago():
    store = Kept()
    shelf = _line.Shelf(store, 250_000)
    arrays = [np.full(100_000, i, np.uint8) for i in range(3)]
    for i in (0, 1, 0, 2, 0, 1):
        shelf.stored({"Xs": arrays[i]})
    assert [int(a[0]) for a in store.given] == [0, 1, 2, 1]


# On a cluster ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(zoo, tmp_path, suite_file, write_plugin):
    """Run the small suite with a plugin, on an executor; returns how the command ended, and its run folder."""
    plugin = write_plugin(tmp_path / "mine.py")

    def call(name, *more, executor="ray", methods=METHODS):
        args = ("--methods", methods, "--plugin", plugin, "--executor", executor, "--out", tmp_path / name)
        return zoo("run", suite_file, *args, *more), tmp_path / name

    return call


@pytest.mark.slow
def test_two_nodes_give_the_bytes_of_local(run, two):
    done, local = run("local", executor="local")
    assert done.code == 0, done.err
    done, out = run("ray", "--ray-address", two.address)
    assert done.code == 0, done.err
    assert tables(out) == tables(local)
    assert sums(out) == sums(local)
    assert len(sums(out)) == len(lines(out)) > 10


@pytest.mark.faults
def test_a_local_cluster_processes_and_three_shards_give_the_same_bytes(run, make_cluster):
    _, local = run("local", executor="local")
    _, processes = run("processes", "--workers", 2, executor="processes")
    done, out = run("ray", "--workers", 2)
    assert done.code == 0, done.err
    for i in (1, 2, 3):
        done, shards = run("shards", "--shard", f"{i}/3", "--workers", 1)
        assert done.code == 0, done.err
    assert tables(out) == tables(shards) == tables(processes) == tables(local)
    assert sums(out) == sums(shards) == sums(processes) == sums(local)


@pytest.mark.faults
def test_a_killed_worker_and_a_lost_node_cost_nothing(run, make_cluster, tmp_path):
    """A worker killed, later an actor, later a node taken away: the table of `local`."""
    cluster = make_cluster(2)
    _, local = run("local", executor="local")
    out = tmp_path / "ray"
    killed = []

    def kill_worker():
        killed.append(_kill(lambda pid: "ray::Place" in _words(_parent(_parent(pid)))))

    def kill_actor():
        killed.append(_kill(lambda pid: "ray::Place" in _words(pid)))

    keep_going(cluster, out, 3, kill_worker)
    keep_going(cluster, out, 6, kill_actor)
    keep_going(cluster, out, 9, lambda: killed.append(cluster.remove_node(cluster.nodes_[1], allow_graceful=False)))
    done, _ = run("ray", "--ray-address", cluster.address, "--workers", 2)
    assert done.code == 0, done.err
    assert len(killed) == 3
    assert killed[:2] == [True, True]
    assert tables(out) == tables(local)
    assert sums(out) == sums(local)


class Begun(View):
    """Counts how often each cell began."""

    def __init__(self):
        self.times = Counter()

    def began(self, worker, job):
        self.times[job.cell.id] += 1


@pytest.mark.faults
def test_a_cell_that_kills_its_worker_twice_has_failed(run, two, write_plugin, tmp_path, suite_file, surf):
    """It is tried once more, and all others are as they were."""
    _, local = run("local", executor="local", methods="source_only,coral")
    killer = write_plugin(tmp_path / "killer.py", fit="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    options = {"executor": "ray", "ray_address": two.address, "plugins": [killer], "data_root": surf}
    view, out = Begun(), tmp_path / "ray"
    Benchmark(str(suite_file), methods=["coral", "killer"], out=out, **options).run(view)
    fell = [r for r in lines(out) if r["method"] == "killer"]
    assert {r["status"] for r in fell} == {"failed"}
    assert {r["reason"] for r in fell} == {"the worker was killed by SIGKILL, perhaps out of memory"}
    assert {view.times[r["cell"]] for r in fell} == {2}
    ours, theirs = sums(out), sums(local)
    assert {k: v for k, v in ours.items() if k in theirs} == theirs
    assert set(theirs) == {r["cell"] for r in lines(out) if r["status"] == "ok"}


@pytest.mark.faults
def test_a_timeout_ends_a_cell_and_its_place_goes_on(run, two, write_plugin, tmp_path):
    slow = write_plugin(tmp_path / "slow.py", fit=SLOW.format(600))
    begun = time.monotonic()
    done, out = run(
        "ray", "--plugin", slow, "--timeout", 5, "--ray-address", two.address, methods="source_only,coral,slow"
    )
    assert done.code == 1
    assert time.monotonic() - begun < 300
    status = {(r["method"], r["status"]) for r in lines(out)}
    assert status == {("source_only", "ok"), ("coral", "ok"), ("slow", "timeout")}


@pytest.mark.faults
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["as-slurm", "ctrl-c"])
def test_a_signal_ends_a_run_and_its_cluster(tmp_path, surf, suite_file, write_plugin, make_cluster, sent):
    slow = write_plugin(tmp_path / "slow.py", fit=SLOW.format(600))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "zoo.cli", "run", str(suite_file), "--methods", "source_only,slow", "--plugin"]
    options = [str(slow), "--executor", "ray", "--workers", "1", "--out", str(out), "--data-root", str(surf)]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    deadline = time.monotonic() + 300
    while not any(r["method"] == "source_only" for r in lines(out)):
        assert process.poll() is None, "the run ended before it could be ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(sent)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].endswith("the same command goes on from there")
    assert "Traceback" not in err
    deadline = time.monotonic() + 60
    while left := [p for p in _all() if str(process.pid) in _session(p) and "zoo.vault.server" in _words(p)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


@pytest.mark.faults
def test_a_plugin_brings_the_files_beside_it_and_is_told_where_they_were(run, two, write_plugin, tmp_path):
    """Its folder on the node is another; what it opens and says is by the driver's names."""
    (tmp_path / "beside.txt").write_text("0.25")
    (tmp_path / "uses.py").write_text(
        '"""Uses another file."""\n\nfrom pathlib import Path\n\nfrom zoo.adapters.base import Mapping\n\n'
        'BY = float(Path(__file__).with_name("beside.txt").read_text())\n\n\n'
        'class Uses(Mapping):\n    """Shifts."""\n\n    def fit_map(self, task):\n        self.by_ = BY\n\n'
        "    def target(self, X):\n        return X + self.by_\n"
    )
    broken = write_plugin(tmp_path / "broken.py", fit="raise ValueError('no')")
    methods, plugins = "source_only,uses,broken", ("--plugin", tmp_path / "uses.py", "--plugin", broken)
    _, local = run("local", *plugins, executor="processes", methods=methods)
    _, out = run("ray", *plugins, "--ray-address", two.address, methods=methods)
    said, ours = ({r["cell"]: (r["status"], r["reason"], r.get("files")) for r in lines(f)} for f in (local, out))
    assert ours == said
    assert {s for s, _, _ in ours.values()} == {"ok", "failed"}
    assert any(files for _, _, files in ours.values())
    assert sums(out) == sums(local)


def _all() -> list[int]:
    return [int(p.name) for p in Path("/proc").glob("[0-9]*")]


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _session(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _kill(chosen) -> bool:
    """Kill -9 the first process that is chosen."""
    for pid in _all():
        if chosen(pid):
            os.kill(pid, signal.SIGKILL)
            return True
    return False
