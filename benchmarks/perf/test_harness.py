"""The harness's own cost per cell: 1-NN over the 12 Office-Caltech pairs, beside a bare script that does the same.

The reference is what somebody would write by hand for one figure a pair: normalised arrays at hand, scikit-learn's 1-NN
and metrics, and the predictions in a file; no vault, no splits, no record.
"""

import os
import time
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from sklearn import metrics
from sklearn.neighbors import KNeighborsClassifier

from zoo.bench.jobs import View
from zoo.bench.run import Benchmark

LIMIT = (
    1.5  # times the bare script, a cell's wall clock; about 0.8 before strangers had a process of their own, and since
)
DATA = Path(os.environ.get("ZOO_DATA") or Path(__file__).parents[3] / "shared" / "data")
DOMAINS = ("Caltech10", "amazon", "webcam", "dslr")


class Clock(View):
    """Notes when each record was stored."""

    def __init__(self):
        self.ends = []

    def record(self, record):
        self.ends.append(time.perf_counter())


def harness(folder):
    """Seconds a cell, from the first record to the last: what comes before is the start's cost, not a cell's."""
    clock = Clock()
    options = {"methods": ["source_only"], "data_root": DATA, "workers": 1}
    Benchmark("office_caltech", out=folder, **options).run(clock)
    return (clock.ends[-1] - clock.ends[0]) / (len(clock.ends) - 1)


def bare(folder):
    """Seconds a pair of the bare script."""
    folder.mkdir()
    found = {}
    for name in DOMAINS:
        file = loadmat(DATA / "office_caltech" / f"{name}_SURF_L10.mat")
        X = file["fts"] / file["fts"].sum(1, keepdims=True)
        found[name] = (X - X.mean(0)) / X.std(0).clip(1e-12), file["labels"].ravel()
    start = time.perf_counter()
    pairs = list(permutations(found, 2))
    for source, target in pairs:
        (Xs, ys), (Xt, yt) = found[source], found[target]
        scores = KNeighborsClassifier(1).fit(Xs, ys).predict_proba(Xt)
        said = scores.argmax(1) + 1
        metrics.accuracy_score(yt, said)
        metrics.balanced_accuracy_score(yt, said)
        metrics.f1_score(yt, said, average="macro")
        metrics.roc_auc_score(yt, scores, multi_class="ovr")
        np.savez(folder / f"{source}-{target}.npz", scores=scores.astype(np.float16), said=said)
    return (time.perf_counter() - start) / len(pairs)


@pytest.mark.skipif(not (DATA / "office_caltech").is_dir(), reason="needs ZOO_DATA")
def test_cost_per_cell(tmp_path, figure):
    """The least ratio of five turns, each of both."""
    turns = [(harness(tmp_path / f"run{i}"), bare(tmp_path / f"bare{i}")) for i in range(5)]
    own, by_hand = min(turns, key=lambda t: t[0] / t[1])
    print(f"\nharness: {1000 * own:.0f} ms a cell, {own / by_hand:.2f} times the bare script's {1000 * by_hand:.0f} ms")
    figure(own / by_hand, LIMIT)
