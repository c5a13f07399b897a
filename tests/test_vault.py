"""Attacks on the label vault. All must gain nothing; that they would gain without it is shown as well."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from zoo.bench.executors.local import Local
from zoo.bench.run import Benchmark
from zoo.kinds.samples import Protocol

ATTACKS = Path(__file__).parent / "attacks"
HONEST = 31.4  # 1-NN over the 12 Office-Caltech pairs


def attack(tmp_path: Path, data_root: Path, names: list[str], **options: object) -> dict[str, float]:
    """Accuracy of 1-NN and of the attacks, averaged over the pairs."""
    shared = (ATTACKS / "_knn.py").read_text()
    files = []
    for name in names:  # a plugin is one file with one public class
        files.append(tmp_path / f"{name}.py")
        source = shared + (ATTACKS / f"{name}.py").read_text()
        files[-1].write_text(re.sub(r"\bNearest\b", "_Nearest", source))
    methods = ["source_only", *names]
    run = {"methods": methods, "plugins": files, "data_root": data_root, "out": tmp_path / "run"}
    frame = Benchmark("office_caltech", **{**run, **options}).run().frame()
    assert (frame.status == "ok").all(), set(frame.reason)
    return dict(100 * frame.groupby("method").accuracy.mean())


@pytest.fixture(scope="module")
def behind_the_vault(tmp_path_factory, office_caltech):
    pairs = ["dslr:webcam", "webcam:dslr"]
    names = ["walk", "keep", "neighbours", "unpermute"]
    return attack(tmp_path_factory.mktemp("vault"), office_caltech, names, pairs=pairs)


@pytest.mark.faults  # a whole table
def test_honest_figure(tmp_path, office_caltech):
    assert attack(tmp_path, office_caltech, [])["source_only"] == pytest.approx(HONEST, abs=0.05)


@pytest.mark.parametrize("name", ["walk", "keep", "neighbours", "unpermute"])
def test_attack_gains_nothing(behind_the_vault, name):
    assert behind_the_vault[name] <= behind_the_vault["source_only"] + 0.05


HERE = """
import json, sys
from pathlib import Path
from tests.test_vault import attack
pairs = ["dslr:webcam", "webcam:dslr"]
found = attack(Path(sys.argv[1]), Path(sys.argv[2]), ["walk", "keep"], executor="local", pairs=pairs)
print(json.dumps(found))
"""


@pytest.mark.faults  # a process that looks at all objects
def test_walking_and_keeping_gain_without_the_vault(tmp_path, office_caltech):
    """These attacks are real: in one process for driver and all pairs they find the labels.

    Not in this process, where a walk comes by millions of objects of other tests.
    """
    command = [sys.executable, "-c", HERE, tmp_path, office_caltech]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["keep"] > found["source_only"] + 15  # of two pairs the second finds its labels in the first
    assert found["walk"] > 99


def test_neighbours_gain_on_sorted_files(tmp_path, office_caltech, monkeypatch):
    """The attack is real: in the order of the files neighbouring rows share their class."""
    from zoo.task import Domain

    build = Domain.build.__func__

    def in_file_order(cls, name, X, y, classes):
        d = build(cls, name, X, y, classes)
        order = np.argsort(d.rows)
        return cls(name, d.X[order], d.y[order], d.rows[order], d.secret)

    monkeypatch.setattr(Domain, "build", classmethod(in_file_order))
    pairs = ["amazon:webcam", "webcam:amazon"]
    found = attack(tmp_path, office_caltech, ["neighbours"], executor="local", pairs=pairs)
    assert found["neighbours"] > found["source_only"] + 8


class _Spy(Local):
    """An executor that keeps every message that goes to a worker."""

    def __init__(self) -> None:
        super().__init__(1)
        self.workers: list[list[dict]] = []

    def open(self, stranger=False):
        channel, log = super().open(stranger), []
        self.workers.append(log)
        send = channel.send
        channel.send = lambda message: (log.append(message), send(message))[1]
        return channel


@pytest.fixture(scope="module")
def spied(tmp_path_factory):
    """Messages of a run with all kinds of grants, and what the driver knows."""
    methods = ["kmm", "coral", "label_propagation", "target_only", "labelled_only", "fine_tune", "dann", "joint"]
    out = tmp_path_factory.mktemp("spy") / "run"
    benchmark = Benchmark("quickstart", methods=methods, seeds=2, steps=5, executor="local", out=out)
    spy = benchmark.executor = _Spy()
    benchmark.run()
    return spy.workers, benchmark


def _flat(value):
    if isinstance(value, dict):
        for k, v in value.items():
            yield k
            yield from _flat(v)
    elif isinstance(value, list | tuple | set | frozenset):
        for v in value:
            yield from _flat(v)
    else:
        yield value


def test_a_worker_holds_one_grant(spied):
    """No worker ever gets labels of more than its one grant, and test rows only after fit."""
    workers, benchmark = spied
    truth = Protocol(benchmark.suite, benchmark.data)
    known = defaultdict(set)  # rows of each domain as bytes → label
    for d in benchmark.data.domains.values():
        for x, y in zip(d.X.reshape(len(d.X), -1), d.y, strict=True):
            known[x.astype(np.float32).tobytes()].add((d.name, int(y)))
    assert truth.data is benchmark.data
    for log in workers:
        labelled = defaultdict(int)
        grants = set()
        for message in log:
            if message["op"] == "predict":
                assert set(message["arrays"]) <= {"test", "adapt", "validation"}
                continue
            grants.add("oracle" if "yt" in message["needs"] else "labels" if "yl" in message["needs"] else "none")
            assert set(message["arrays"]) <= set(message["needs"])
            for X, y in (("Xs", "ys"), ("Xl", "yl"), ("Xt", "yt")):
                if message["arrays"].get(y) is not None and message["arrays"].get(X) is not None:
                    rows = message["arrays"][X]
                    for x in rows.reshape(len(rows), -1):
                        (name, _), *_ = known[x.tobytes()]
                        labelled[name] += 1
        if all(m["op"] == "model" for m in log if m["op"] != "predict"):
            continue  # no adapter runs in a worker that only trains source models
        assert len(grants) == 1
        if grants == {"none"}:
            assert len(labelled) == 1, "labels of both domains of the only two in one worker without a grant"
        if grants == {"labels"}:
            targets = {m["seed"] for m in log if m["op"] == "fit"}
            assert len(targets) == 1, "the K labels of two seeds in one worker"


def test_messages_name_no_cell_no_hash_no_data(spied):
    workers, benchmark = spied
    secrets = {c.id for c in benchmark.plan.cells} | {d.content for d in benchmark.data.domains.values()}
    folder = str(benchmark.store.folder)
    for log in workers:
        for value in _flat([{k: v for k, v in m.items() if k != "info"} for m in log]):
            if isinstance(value, str):
                assert value not in secrets
                assert folder not in value


def test_unlabelled_rows_carry_no_order(spied):
    """Rows of Xt come in the order of the permutation, in which labels are as good as random."""
    _, benchmark = spied
    for d in benchmark.data.domains.values():
        same = (d.y[1:] == d.y[:-1]).mean()
        assert abs(same - 0.1) < 0.04
        assert not np.array_equal(np.sort(d.rows), d.rows)
