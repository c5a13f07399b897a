"""What Ray costs: 500 cells of some 0.1 s on two workers, beside half the sum of their fit times.

``pytest benchmarks/perf/test_ray.py -s``. From the first record with both workers there to the last: the start of Ray
is left out.
"""

import time

import pytest

from zoo.bench.jobs import View
from zoo.bench.run import Benchmark

LIMIT = 1.15


class Clock(View):
    """Notes when each record was stored, once both workers have begun."""

    def __init__(self):
        self.workers, self.ends, self.fits = set(), [], []

    def began(self, worker, job):
        self.workers.add(worker)

    def record(self, record):
        if len(self.workers) == 2:
            self.ends.append(time.perf_counter())
            self.fits.append(record["fit_s"])


@pytest.mark.parametrize("executor", ["processes", "ray"])
def test_five_hundred_short_cells(tmp_path, executor, figure):
    pytest.importorskip("ray", reason="no Ray: pip install 'zoo[ray]'")
    clock = Clock()
    options = {"methods": ["kmm"], "seeds": 150, "executor": executor, "workers": 2, "out": tmp_path / "run"}
    Benchmark("quickstart", **options).run(clock)
    wall, fits = clock.ends[-1] - clock.ends[0], sum(clock.fits[1:])
    print(f"\n{executor}: {len(clock.fits)} cells, fits of {fits:.1f} s in {wall:.1f} s")
    assert len(clock.fits) >= 500
    figure(2 * wall / fits, LIMIT)
