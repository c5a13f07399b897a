"""The harness's own cost per cell: 1-NN over the 12 Office-Caltech pairs, metrics and storing included."""

import os
import time
from pathlib import Path

import pytest

from zoo.bench.run import Benchmark

LIMIT = 20e-3  # seconds a cell
DATA = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.mark.skipif(not (DATA / "office_caltech").is_dir(), reason="needs ZOO_DATA")
def test_cost_per_cell(benchmark, tmp_path):
    spent = []

    def setup():
        out = tmp_path / str(len(spent))
        bench = Benchmark("office_caltech", methods=["source_only"], data_root=DATA, workers=1, out=out)
        bench.executor.open().close()  # the fork server's imports are the start's cost, not a cell's
        return (bench,), {}

    def run(bench):
        start = time.perf_counter()
        bench.run(lambda r: spent.append((r["fit_s"] + r["predict_s"], time.perf_counter() - start)))

    benchmark.pedantic(run, setup=setup, rounds=5)
    runs = [spent[i : i + 12] for i in range(0, len(spent), 12)]
    own, cost = min((run[-1][1] - sum(c for c, _ in run), sum(c for c, _ in run)) for run in runs)
    own, share = own / 12, cost / (own + cost)
    print(f"\nharness: {1000 * own:.1f} ms a cell of its own (at most {1000 * LIMIT:.0f}); {share:.0%} is 1-NN itself")
    assert own < LIMIT
