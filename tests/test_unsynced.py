"""A file system that loses what was not synced: at every sync of a run, what would be left holds all that is done."""

import hashlib
import os
import stat

import numpy as np
import pytest

from zoo.bench.run import Benchmark
from zoo.records.reading import read
from zoo.records.store import Store


class Disk:
    """What is safe: of a file its bytes, of a folder its names, each as they were when it was last synced."""

    def __init__(self, root, monkeypatch):
        self.root = os.stat(root).st_ino
        self.files: dict[int, bytes] = {}
        self.folders: dict[int, dict[str, tuple[int, bool]]] = {}
        self.held: list[int] = []  # open, so that no number of a deleted file is given again
        self.syncs = 0
        self.then = lambda: None
        self.sync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, file):
        self.sync(file)
        number = file if isinstance(file, int) else file.fileno()
        path = f"/proc/self/fd/{number}"
        self.held.append(os.dup(number))
        found = os.fstat(number)
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(path) as entries:
                self.folders[found.st_ino] = {e.name: (e.inode(), e.is_dir(follow_symlinks=False)) for e in entries}
        else:
            with open(path, "rb") as same:
                self.files[found.st_ino] = same.read()
        self.syncs += 1
        self.then()

    def left(self, at, number=None):
        """Put what a loss of power would leave into a folder."""
        at.mkdir()
        for name, (inode, folder) in self.folders.get(number or self.root, {}).items():
            if folder:
                self.left(at / name, inode)
            else:
                (at / name).write_bytes(self.files.get(inode, b""))

    def close(self):
        for file in self.held:
            os.close(file)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_a_loss_of_power_at_any_sync_loses_nothing_that_is_done(own_suite, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    own_suite(here)
    disk, done, cuts, append = Disk(here, monkeypatch), {}, [], Store.append

    def cut():
        if not done:
            return
        at = tmp_path / f"cut{len(cuts)}"
        disk.left(at)
        cuts.append(at)
        run = read(at / "runs" / "mine")
        cells = [r["cell"] for r in run.records]
        assert len(cells) == len(set(cells))
        assert done.keys() <= set(cells)
        for cell, said in done.items():
            kept = (at / "runs" / "mine" / "predictions" / f"{cell}.npz").read_bytes()
            assert hashlib.sha256(kept).hexdigest() == said

    def appended(store, record, *more):
        append(store, record, *more)
        done[record["cell"]] = record["predictions_sha256"]
        cut()

    monkeypatch.setattr(Store, "append", appended)
    disk.then = cut
    try:
        Benchmark("mine.yaml", executor="local").run()
    finally:
        disk.close()
    assert len(done) == 8
    assert len(cuts) > 3 * len(done)  # predictions, their folder, the line: a sync each


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_folders_that_are_made_late_are_not_lost_either(tmp_path, monkeypatch):
    disk = Disk(tmp_path, monkeypatch)
    store = Store(tmp_path / "new" / "run")
    store.make()
    try:
        store.keep_model("m", np.arange(4, dtype=np.uint8))
        store.keep_seen("c", {"x": np.arange(3)})
        disk.left(tmp_path / "left")
    finally:
        store.close()
        disk.close()
    run = tmp_path / "left" / "new" / "run"
    assert (run / "models" / "m.pt").read_bytes() == bytes(range(4))
    with np.load(run / "features" / "c.npz") as kept:
        assert kept["x"].tolist() == [0, 1, 2]
