"""Figures of the performance tests: ratios within one run, kept in the file that ``--benchmark-json`` names.

A figure grows as what it measures slows down, so that ``benchmarks/compare.py OLD NEW`` can tell without knowing more.
"""

import inspect
import time

import numpy as np
import pytest


@pytest.fixture
def figure(benchmark, request):
    """Keep a figure under a name, print it, and hold it to a limit; without one it is only kept."""
    if "benchmark" not in inspect.signature(request.function).parameters:
        benchmark.pedantic(lambda: None, rounds=1)  # a test without a timer of pytest-benchmark's is not in its file

    def keep(value, limit=None, name="ratio"):
        benchmark.extra_info[name] = {"value": float(value), "limit": limit}
        print(f"  {name} {value:.3g}" + ("" if limit is None else f" (at most {limit:g})"))
        assert limit is None or value <= limit, f"{name}: {value:.3g}, at most {limit:g}"

    return keep


@pytest.fixture(scope="session")
def yardstick():
    """CPU seconds, on one thread, of work like ours: products, a sort, exponentials. 0.067 s where limits were set."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    A, long = rng.normal(size=(1000, 1000)), rng.normal(size=2_000_000)
    took = []
    with threadpool_limits(1):
        for _ in range(3):
            start = time.process_time()
            for _ in range(2):
                A @ A
            np.sort(long)
            np.exp(long).sum()
            took.append(time.process_time() - start)
    return min(took)
