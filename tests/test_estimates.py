"""How much time a run has left: from records of cells like it, and from what has been measured."""

from collections import Counter

import pytest

from zoo.bench.run import Benchmark
from zoo.bench.view.cost import Remaining, Work
from zoo.bench.view.estimate import estimate

DUMMY = Work(("dummy", "logistic", "none"), "baseline", "base", 0.02)
DANN = Work(("dann", "cnn", "unsupervised"), "deep", "net", 1.0)
MCC = Work(("mcc", "cnn", "unsupervised"), "deep", "net", 0.5)


def run(left, work, seconds, start=0.0):
    left.began(0, work, start)
    left.finished(0, seconds, start + seconds)
    return left.left(start + seconds)


def test_nothing_is_said_before_anything_is_known():
    left = Remaining(Counter({DUMMY: 1, DANN: 2}), 1)
    assert left.left(0.0) is None


def test_a_fast_classifier_says_nothing_of_networks():
    """Before: dummy took a twentieth of its rough cost, and "0:11 left" stood where three minutes were."""
    left = Remaining(Counter({DUMMY: 2, DANN: 10}), 1)
    assert run(left, DUMMY, 0.001) == pytest.approx(10.0, rel=0.01)


def test_what_was_measured_counts_for_its_group_and_its_kind():
    left = Remaining(Counter({DANN: 3, MCC: 4}), 1)
    assert run(left, DANN, 3.0) == pytest.approx(2 * 3.0 + 4 * 0.5 * 3.0)
    assert run(left, MCC, 1.0) == pytest.approx(2 * 3.0 + 3 * 1.0)


def test_records_of_cells_like_it_come_before_guesses():
    left = Remaining(Counter({DANN: 3, MCC: 2}), 2, {DANN.group: 4.0})
    assert left.left(0.0) == pytest.approx((3 * 4.0 + 2 * 0.5) / 2)


def test_what_runs_is_counted_down_and_never_below_nothing():
    left = Remaining(Counter({DANN: 1}), 1, {DANN.group: 4.0})
    left.began(0, DANN, 0.0)
    assert [left.left(t) for t in (0.0, 1.0, 9.0)] == pytest.approx([4.0, 3.0, 0.0])


def test_a_base_classifier_is_timed_and_not_taken_from_the_fit_before(tmp_path):
    """Before: the probe fitted the same samples twice, the second of which were shared, and all said 0.0 s."""
    plan = Benchmark("quickstart", methods=["source_only", "coral"], seeds=1, out=tmp_path / "run", executor="local")
    assert {r["label"]: r["seconds"] > 0 for r in estimate(plan).rows} == {"source_only": True, "coral": True}
