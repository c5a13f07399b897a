"""Gains, intervals and tests of `zoo compare` against SciPy, on the records of a published run."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from zoo import records
from zoo.records import Run
from zoo.report import compare
from zoo.report.lines import lines

RUN = Path(__file__).parents[1] / "results" / "amazon_reviews_holdout"


@pytest.fixture(scope="module")
def run():
    return records.read(RUN)


@pytest.fixture(scope="module")
def gains(run):
    return compare.gains(run)


@pytest.fixture(scope="module")
def coral(gains):
    return next(row for row in gains[1] if row.label == "coral")


def differences(run, label):
    """Of each pair, by seed."""
    found = {line.label: line for line in lines(run)[0] if line.learner == "logistic"}
    own, other = found[label], found["source_only"]
    return {
        p: [own.values(p, "accuracy")[s] - other.values(p, "accuracy")[s] for s in range(5)] for p in run.meta["pairs"]
    }


def test_intervals_of_a_pair_are_those_of_a_paired_t_test(run, coral):
    for pair, d in differences(run, "coral").items():
        interval = stats.ttest_1samp(d, 0).confidence_interval(0.95)
        assert coral.pairs[pair].mean == pytest.approx(np.mean(d))
        assert (coral.pairs[pair].low, coral.pairs[pair].high) == pytest.approx((interval.low, interval.high))


def test_the_interval_over_pairs_is_that_of_a_paired_t_test(run, coral):
    means = [np.mean(d) for d in differences(run, "coral").values()]
    found = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert coral.overall.mean == pytest.approx(np.mean(means))
    assert (coral.overall.low, coral.overall.high) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize("n", [2, 3, 6, 12])
def test_the_interval_over_few_pairs_covers_the_mean(n):
    """Of normal gains 95 % of the intervals hold the mean; a bootstrap over 2 pairs held it in half of the cases."""
    draws = np.random.default_rng(n).normal(0.3, 1.0, size=(4000, n))
    found = [compare.student(list(d)) for d in draws]
    assert np.mean([g.low <= 0.3 <= g.high for g in found]) == pytest.approx(0.95, abs=0.015)


def test_p_is_wilcoxons_after_holm(gains):
    _, rows, smallest = gains
    raw = {row.label: stats.wilcoxon([g.mean for g in row.pairs.values()]).pvalue for row in rows}
    assert smallest == pytest.approx(len(rows) * 2.0**-11)
    lowest = min(rows, key=lambda row: raw[row.label])
    assert lowest.p == pytest.approx(min(1, len(rows) * raw[lowest.label]))
    assert all(row.p >= raw[row.label] for row in rows)


def test_where_too_few_pairs_allow_no_test_none_is_shown(run):
    few = Run(run.meta | {"pairs": run.meta["pairs"][:4]}, run.records)
    assert all(row.p is None for row in compare.gains(few)[1])
    assert "above .05, so no test is shown" in compare.render(few)


def test_the_command(zoo):
    quickstart = RUN.with_name("quickstart")
    done = zoo("compare", quickstart)
    assert done.code == 0
    assert done.out.startswith("quickstart: gain in accuracy over source_only of the same learner")
    assert {row["label"] for row in zoo("compare", quickstart, "--json").json["rows"]} >= {"coral", "kmm"}


def test_another_row_as_the_reference(zoo, run):
    few = Run(run.meta | {"pairs": run.meta["pairs"][:4]}, run.records)
    over_coral = {row.label: row for row in compare.gains(few, reference="coral")[1]}
    over_source = {row.label: row for row in compare.gains(few)[1]}
    assert "source_only" in over_coral
    assert "coral" not in over_coral
    for pair, gain in over_coral["kmm"].pairs.items():
        assert gain.mean == pytest.approx(over_source["kmm"].pairs[pair].mean - over_source["coral"].pairs[pair].mean)
    done = zoo("compare", RUN, "--reference", "nobody")
    assert (done.code, done.out) == (2, "")
    assert "unknown reference 'nobody': the run has " in done.err
