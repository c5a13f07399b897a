"""What a plugin's cell costs beyond the same method of the zoo's own, in seconds of the driver's clock, on three works.

``pytest benchmarks/perf/test_strangers.py -s``. A plugin's fit has a process of its own, is sent its arrays, and
scores its test rows in chunks; what the zoo's methods share (a kernel, say) it computes by itself.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from zoo.bench.jobs import View
from zoo.bench.run import Benchmark

LIMIT = 1.2  # yardsticks, 80 ms, that a plugin's cell of 1-NN on Office-Caltech may cost more
DATA = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")
TWINS = {
    "source_only": "from zoo.adapters.baseline.source_only import SourceOnly as Own",
    "coral": "from zoo.adapters.feature.coral import Coral as Own",
    "kmm": "from zoo.adapters.instance.kmm import Kmm as Own",
}


class Clock(View):
    """Notes when each record was stored."""

    def __init__(self):
        self.ends, self.records = [], []

    def record(self, record):
        self.ends.append(time.perf_counter())
        self.records.append(record)


def seconds(suite, methods, out, **options):
    """Seconds from one record to the next, and the later ones; before the first, servers start and models train."""
    view = Clock()
    Benchmark(suite, methods=methods, data_root=DATA, workers=1, out=out, **options).run(view)
    assert {r["status"] for r in view.records} == {"ok"}, [r["reason"] for r in view.records]
    return np.diff(view.ends), view.records[1:]


def twin(folder, method):
    path = folder / f"twin_{method}.py"
    path.write_text(f'{TWINS[method]}\n\n\nclass Twin(Own):\n    """The zoo\'s own, as a stranger."""\n')
    return str(path)


def compare(method, suite, folder, rounds, **options):
    """Medians over cells of the least of the rounds, of the zoo's own and of its twin, and their records."""
    plugin, took = twin(folder, method), {False: [], True: []}
    for turn in range(rounds):
        for strange in (False, True):
            out = folder / f"{strange}{turn}"
            some, records = seconds(
                suite, [f"twin_{method}" if strange else method], out, plugins=[plugin] * strange, **options
            )
            of = [
                s
                for s, r in zip(some, records, strict=True)
                if r["method"] == (f"twin_{method}" if strange else method)
            ]
            took[strange].append(np.median(of))
    return min(took[False]), min(took[True])


@pytest.mark.skipif(not (DATA / "office_caltech").is_dir(), reason="needs ZOO_DATA")
def test_nearest_neighbour(tmp_path, figure, yardstick):
    own, strange = compare("source_only", "office_caltech", tmp_path, 3)
    print(f"\n1-NN, Office-Caltech: {1e3 * own:.0f} ms of the zoo's own, {1e3 * strange:.0f} ms of a plugin")
    figure((strange - own) / yardstick, LIMIT, "more than ours")


@pytest.mark.skipif(not (DATA / "digits").is_dir(), reason="needs ZOO_DATA")
def test_through_a_source_model(tmp_path, figure, yardstick):
    options = {"base": "logistic", "steps": 20, "seeds": 4, "pairs": ["mnist:usps"]}
    own, strange = compare("coral", "digits", tmp_path, 2, **options)
    print(f"\ncoral, features of a net on digits: {1e3 * own:.0f} ms of the zoo's own, {1e3 * strange:.0f} of a plugin")
    # The features are sent, not computed anew.
    figure((strange - 1.5 * own) / yardstick, 2 * LIMIT, "more than half as much again")


def test_a_large_kernel(tmp_path, figure, yardstick):
    rng = np.random.default_rng(0)
    for name, shift in (("a", 0.0), ("b", 0.5)):
        y = rng.integers(0, 4, 6250)
        X = rng.normal(size=(6250, 50)) + shift + np.eye(4, 50)[y] * 3
        np.savez(tmp_path / f"{name}.npz", X=X.astype(np.float32), y=y)
    suite = tmp_path / "large.yaml"
    domains = f"{{a: {tmp_path}/a.npz, b: {tmp_path}/b.npz}}"
    suite.write_text(f"data: {{format: npz, domains: {domains}, x: X, y: y}}\nbase: 1nn\npairs: ['a:b']\nseeds: 3\n")
    own, strange = compare("kmm", str(suite), tmp_path, 1)
    print(f"\nkmm, 5,000 samples a side: {own:.2f} s of the zoo's own, {strange:.2f} s of a plugin")
    figure((strange - 2 * own) / yardstick, LIMIT, "more than twice ours")
