"""Seconds and memory of every instance and fixed-feature method against n, and the exponent that they grow with.

``pytest benchmarks/perf/test_growth.py -s`` prints a line a method (``-k tca`` for one). Two domains of n samples, 800
features, 10 classes; the base is 1-NN, which costs nothing to fit, so that what is timed is the method. Each run is a
process of its own with one thread; memory is its peak beyond the imports and the data. A method is not run on more
samples once it has taken a minute.
"""

import json
import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo import discover
from zoo.task import Task

SIZES, D, CLASSES, ENOUGH = (1000, 2000, 5000, 10000), 800, 10, 60.0
METHODS = [
    name
    for name, info in discover.methods().items()
    if info.family in ("instance", "feature") and info.kind != "deep" and not info.plugin
]
# No form below n² · log n is known to us: exact transport is a network simplex.
SUPERQUADRATIC = {"ot_emd": 3.0, "jdot": 3.0, "ot_label_propagation": 3.0}


def domains(n):
    """Classes in a subspace, the target rotated a little; low rank plus noise, as features are."""
    g = torch.Generator().manual_seed(0)
    y = torch.arange(n) % CLASSES
    centres = 4 * torch.randn(CLASSES, D, generator=g) / D**0.5
    mix = torch.randn(40, D, generator=g) / 40**0.5

    def draw(shift):
        z = torch.randn(n, 40, generator=g) @ mix + 0.3 * torch.randn(n, D, generator=g)
        return z * (1 + 0.2 * shift) + 3 * centres[y] + 0.2 * shift

    few = 3 * CLASSES
    Xt = draw(1.0)
    return draw(0.0), y, Xt, Xt[:few], y[:few]


def peak_mb():
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(r for r in status.read_text().splitlines() if r.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(name, n):
    """CPU seconds and MB of one fit, in a child."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        torch.set_num_threads(1)
        info = discover.methods()[name]
        cls = discover.load(info)
        few = "Xl" in info.needs
        Xs, ys, Xt, Xl, yl = domains(n)
        task = Task.from_arrays(Xs, ys, Xt, *((Xl, yl) if few else ()), base="1nn")
        task.needs = info.needs
        task.learner.fit(Xs[:20], ys[:20], CLASSES).predict(Xs[:20])  # imports
        import ot  # noqa: F401

        Path("/proc/self/clear_refs").write_text("5")
        before, start = peak_mb(), time.process_time()
        try:
            cls().fit(task)
            answer = {"s": time.process_time() - start, "mb": peak_mb() - before}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with open(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text or '{"error": "killed"}')


def exponent(found, key):
    """The slope of log(value) against log(n) over the larger half of the sizes, where lower orders matter less."""
    sizes = sorted(found)[-3:]
    values = [max(found[n][key], 1e-3) for n in sizes]
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0]) if len(sizes) > 1 else float("nan")


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_growth(name, figure):
    found = {}
    for n in SIZES:
        answer = measure(name, n)
        assert "error" not in answer, f"{name} at n = {n}: {answer['error']}"
        found[n] = answer
        if answer["s"] > ENOUGH:
            break
    line = "  ".join(f"{n // 1000}k {a['s']:7.2f} s {a['mb']:6.0f} MB" for n, a in found.items())
    power = exponent(found, "s")
    print(f"\n{name:22s} {line}   time n^{power:.1f}, memory n^{exponent(found, 'mb'):.1f}")
    if found[max(found)]["s"] > 1:  # below, constants decide
        figure(power, SUPERQUADRATIC.get(name, 2.5), "exponent")
