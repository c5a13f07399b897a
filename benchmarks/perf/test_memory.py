"""What eight workers on the same features take, which they hold once.

``pytest benchmarks/perf/test_memory.py -s`` prints the memory of the driver and of a worker while eight fit, by the
kernel's proportional set sizes, and the driver's most, which it needs while it loads. ``ZOO_ROWS=62500`` makes it 1 GB.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROWS, COLUMNS, WORKERS = int(os.environ.get("ZOO_ROWS", "15000")), 2048, 8
SIZE = 2 * ROWS * COLUMNS * 4 / 2**20  # MB
SUITE = """\
data: {format: npz, domains: {a: [a/X.npy, a/y.npy], b: [b/X.npy, b/y.npy]}}
normalise: [zscore]
net: mlp
protocol: holdout
pairs: ['a:b']
seeds: 1
steps: 400
"""


def children(pid):
    """All processes below one."""
    try:
        own = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    except OSError:
        return []
    return [p for child in map(int, own) for p in (child, *children(child))]


def pss(pid):
    """MB of a process; 0 of one that has ended."""
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def test_memory(tmp_path):
    rng = np.random.default_rng(0)
    for shift, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        y = rng.integers(0, 10, ROWS)
        X = rng.standard_normal((ROWS, COLUMNS), dtype=np.float32)
        X[np.arange(ROWS), y] += 3 + shift
        np.save(tmp_path / name / "X.npy", X)
        np.save(tmp_path / name / "y.npy", y)
    (tmp_path / "mine.yaml").write_text(SUITE)
    methods = "dan,dann,deep_coral,cdan,mcc,bnm,cmd,ddc"
    command = [sys.executable, "-m", "zoo.cli", "run", "mine.yaml", "--methods", methods, "--workers", str(WORKERS)]
    loading, most = 0.0, (0.0, 0.0, [])
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None:
            driver, others = pss(run.pid), sorted(map(pss, children(run.pid)))
            loading = max(loading, driver)
            if len(others) > WORKERS:  # with the server
                most = max(most, (driver + sum(others), driver, others[:WORKERS]))
            time.sleep(0.3)
    whole, driver, workers = most
    each = statistics.median(workers)
    print(
        f"\n{SIZE:.0f} MB of features, {WORKERS} workers: {whole:.0f} MB in all ({whole / SIZE:.1f} times), driver "
        f"{driver:.0f}, a worker {each:.0f} ({each / SIZE:.2f} times); the driver's most {loading:.0f}"
    )
    assert run.returncode == 0
    assert each < SIZE  # before they shared them: 2.4 times
