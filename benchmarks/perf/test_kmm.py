"""Kernel mean matching on a working set against accelerated projected gradients with the whole kernel.

``pytest benchmarks/perf/test_kmm.py -s`` (``-m "not slow"`` leaves n = 50,000 out). The source is N(0, I), the target
0.5 + 0.8·N(0, I), d = 10, gamma = 1/d, B = 1000. Each size is a process of its own with one thread: CPU seconds, peak
memory above the imports (data included), the gap (MMD² less its lower bound by duality, over the MMD² of uniform
weights) evaluated anew in float64 from the weights alone, and what the linear term alone takes, as a measure of the
machine: 0.25 s where the issue's limits were set. There SKADA 0.6 took 36 s and 2.2 GB for 18 times the optimal MMD²,
ADAPT's blocks left 25 times (the issue's figures; neither is run here). The ratio to projected gradients, which go to
the same gap, is taken in the same process.
"""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from zoo.adapters.instance.kmm import Kmm
from zoo.ops import qp, working_set
from zoo.task import Task

D, GAMMA, B = 10, 0.1, 1000.0


def status_mb(key):
    rows = Path("/proc/self/status").read_text().splitlines()
    return int(next(r for r in rows if r.startswith(key)).split()[1]) / 1024


def kernel(X, Z):
    """In float64, some rows at a time: [n, m]."""
    K = X.new_empty(len(X), len(Z))
    for start in range(0, len(X), 1000):
        rows = X[start : start + 1000]
        distances = rows.square().sum(1)[:, None] + Z.square().sum(1) - 2 * rows @ Z.T
        torch.exp(distances.clamp_min_(0).mul_(-GAMMA), out=K[start : start + 1000])
    return K


def block_sums(X, Z):
    return torch.cat([kernel(rows, Z).sum(1) for rows in X.split(1000)])


def gap_of(w, Xs, Xt, bounds):
    """Of the objective, and that of MMD² over the MMD² of uniform weights; float64 throughout."""
    n, m, on = len(Xs), len(Xt), w > 0
    q = block_sums(Xs, Xt) * (n / m)
    g = torch.cat([kernel(rows, Xs[on]) @ w[on] for rows in Xs.split(1000)]) - q
    gap = float(g @ (w - qp.lowest(g, *bounds)))
    uniform = float(block_sums(Xs, Xs).sum()) / n**2 + float(block_sums(Xt, Xt).sum()) / m**2
    uniform -= 2 * float(q.sum()) / n**2
    return gap, 2 * gap / n**2 / uniform


def projected(Xs, Xt, bounds, goal, limit):
    """Accelerated projected gradients with restarts, whole kernel in float64: gap and steps at `goal`, or at `limit` s.

    A product with the kernel is nearly all the work, and there is one a step: gradients of extrapolations are
    extrapolated.
    """
    started = time.process_time()
    n = len(Xs)
    K = kernel(Xs, Xs)
    q = block_sums(Xs, Xt) * (n / len(Xt))
    v = torch.ones_like(q)
    for _ in range(10):
        v = K @ v
        v /= v.norm()
    rate = 1 / (1.01 * float(v @ (K @ v)))
    w = torch.ones_like(q)
    g = K @ w - q
    y, gy, t, gap, steps = w, g, 1.0, math.inf, 0
    while gap > goal and time.process_time() - started < limit:
        new = qp.project(y - rate * gy, *bounds)
        g_new = K @ new - q
        steps += 1
        if float((y - new) @ (new - w)) > 0:
            y, gy, t = new, g_new, 1.0
        else:
            after = (1 + math.sqrt(1 + 4 * t * t)) / 2
            push, t = (t - 1) / after, after
            y, gy = new + push * (new - w), g_new + push * (g_new - g)
        w, g = new, g_new
        if steps % 10 == 0:
            gap = float(g @ (w - qp.lowest(g, *bounds)))
    return gap, steps


def measure(n, tol, limit):
    torch.set_num_threads(1)
    Path("/proc/self/clear_refs").write_text("5")
    before = status_mb("VmHWM")
    draw = torch.Generator().manual_seed(0)
    Xs, Xt = torch.randn(n, D, generator=draw), 0.5 + 0.8 * torch.randn(n, D, generator=draw)
    task = Task.from_arrays(Xs, torch.arange(n) % 2, Xt)
    torch.ones(9, 9) @ torch.ones(9, 9)  # starts the library of products
    method = Kmm(B=B, gamma=GAMMA, tol=tol)
    start = time.process_time()
    w = method.weights(task)
    found = {"n": n, "s": time.process_time() - start, "mb": status_mb("VmHWM") - before, **method.certificate_}
    start = time.process_time()
    working_set.row_sums(Xs, Xt, GAMMA)
    found["linear_s"] = time.process_time() - start
    eps = (math.sqrt(n) - 1) / math.sqrt(n)
    bounds = (B, n * (1 - eps), n * (1 + eps))
    exact, found["exact_gap"] = gap_of(w, Xs.double(), Xt.double(), bounds)
    if limit:
        start = time.process_time()
        gap, found["apg_steps"] = projected(Xs.double(), Xt.double(), bounds, exact, limit)
        found["apg_s"] = time.process_time() - start
        found["apg_gap"] = found["exact_gap"] * gap / exact
    return found


def run(n, tol, limit=0.0):
    command = [sys.executable, __file__, str(n), str(tol), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"\nkmm, n = {n}: {found['s']:.2f} CPU s (the linear term alone {found['linear_s']:.2f} s), ", end="")
    print(f"{found['mb']:.0f} MB above the imports, gap {found['exact_gap']:.1e} in float64 ", end="")
    print(f"(certificate {found['relative_gap']:.1e}), support {found['support']:.0f}")
    if limit:
        print(f"  projected gradients: {found['apg_s']:.1f} CPU s, {found['apg_steps']} steps, ", end="")
        print(f"gap {found['apg_gap']:.1e}: {found['apg_s'] / found['s']:.1f} times as long")
    return found


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_ten_thousand(figure):
    found = run(10_000, 1e-4, limit=400.0)
    assert found["exact_gap"] <= 1.01e-4  # the certificate is of float32 columns
    assert found["mb"] <= 400
    figure(found["s"] / found["apg_s"], 0.1, "of projected gradients")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
def test_fifty_thousand(figure):
    found = run(50_000, 3e-4)
    assert found["exact_gap"] <= 3.03e-4
    assert found["mb"] <= 4000
    figure(found["s"] / found["linear_s"], 50, "of the linear term")


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))))
