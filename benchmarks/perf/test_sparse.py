"""What a sparse matrix of 20,000 × 50,000 costs to load and to run on: memory of the command and all its processes.

``pytest benchmarks/perf/test_sparse.py -s`` prints for each method the seconds, and the most memory at any time, by the
kernel's proportional set sizes, in which what processes share is counted once. Dense, the matrix takes 4 GB; a
covariance of its columns 20 GB.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import zoo

ROWS, COLUMNS, WORDS, LIMIT = 10_000, 50_000, 100, 1500  # of a domain; of a row; MB
SUITE = """\
data: {format: npz, domains: {a: [a/X.npz, a/y.npy], b: [b/X.npz, b/y.npy]}}
normalise: [l2]
base: logistic
protocol: holdout
pairs: ['a:b']
seeds: 1
"""


def rows(seed):
    """Counts of words that are as frequent as Zipf has it; a tenth of a row are words of its class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, ROWS)
    share = 1 / np.arange(1, COLUMNS + 1)
    words = rng.choice(COLUMNS, p=share / share.sum(), size=(ROWS, WORDS))
    own = 49_000 + 400 * y[:, None] + 100 * seed + rng.integers(0, 400, words.shape)
    words = np.where(rng.random(words.shape) < 0.1, own, words)
    X = sparse.csr_matrix((np.ones(words.size, np.float32), words.ravel(), np.arange(0, words.size + 1, WORDS)))
    X.resize(ROWS, COLUMNS)
    X.sum_duplicates()
    return X, y


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sparse")
    for seed, name in enumerate("ab"):
        X, y = rows(seed)
        (place / name).mkdir()
        sparse.save_npz(place / name / "X.npz", X)
        np.save(place / name / "y.npy", y)
    (place / "mine.yaml").write_text(SUITE)
    return place


def memory(session):
    """MB of each process of a session."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(place.name)) == session or descends(int(place.name), session):
                lines = (place / "smaps_rollup").read_text().splitlines()
                found.append(int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) / 1024)
        except (OSError, StopIteration):  # it has just ended
            continue
    return sorted(found, reverse=True)


def descends(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return False


METHODS = ("source_only", "coral", "kmm", "label_propagation", "nearest_neighbor", "kliep")


@pytest.mark.parametrize("method", METHODS)
def test_memory(folder, method):
    command = [sys.executable, "-m", "zoo.cli", "run", "mine.yaml", "--methods", method, "--out", method]
    start, most = time.perf_counter(), [0.0]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True) as run:
        while run.poll() is None:
            most = max(most, memory(run.pid), key=sum)
            time.sleep(0.2)
    seconds = time.perf_counter() - start
    record = zoo.Results(folder / method).frame().set_index("method").loc[method]
    said = record["reason"] if record["status"] != "ok" else f"accuracy {record['accuracy']:.3f}"
    each = " + ".join(f"{mb:.0f}" for mb in most)
    print(f"\n{method}: {seconds:.0f} s, {sum(most):.0f} MB of {each} (at most {LIMIT}): {record['status']}, {said}")
    assert sum(most) < LIMIT
    assert record["status"] == ("unsupported" if method == "coral" else "ok")
