"""Gains, intervals and tests of `zoo compare` against SciPy, on the records of a published run."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from zoo import records
from zoo.records import Run
from zoo.report import compare, compared
from zoo.report.lines import lines
from zoo.report.statistics import hierarchical, paired, ranks

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
    found = [paired.student(list(d)) for d in draws]
    assert np.mean([g.low <= 0.3 <= g.high for g in found]) == pytest.approx(0.95, abs=0.015)


def test_p_is_wilcoxons_after_holm(gains):
    _, rows, smallest = gains
    nearest = sorted(rows, key=lambda row: row.p)[:4]  # SciPy takes seconds where there are ties
    raw = {row.label: stats.wilcoxon([g.mean for g in row.pairs.values()]).pvalue for row in nearest}
    assert smallest == pytest.approx(len(rows) * 2.0**-11)
    lowest = min(nearest, key=lambda row: raw[row.label])
    assert lowest.p == pytest.approx(min(1, len(rows) * raw[lowest.label]))
    assert all(row.p >= raw[row.label] for row in nearest)


@pytest.mark.parametrize("n", [2, 3, 7, 9])
@pytest.mark.parametrize("digits", [0, 1, 9], ids=["many ties", "some ties", "no ties"])
def test_p_is_scipys_over_all_signs(n, digits):
    for seed in range(3):
        d = np.random.default_rng(seed).normal(0.4, 1, n).round(digits)
        every = stats.permutation_test(
            (d,), lambda d, axis: _signed(d, axis), permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert paired.wilcoxon(list(d)) == pytest.approx(every.pvalue if d.any() else 1.0)


def _signed(d, axis):
    """The sum of the positive ranks, less its mean; zeros have rank 0."""
    magnitudes = np.where(d == 0, np.inf, np.abs(d))
    ranks = np.where(d == 0, 0.0, stats.rankdata(magnitudes, axis=axis))
    return (np.sign(d) * ranks).sum(axis)


def test_where_too_few_pairs_allow_no_test_none_is_shown(run):
    few = Run(run.meta | {"pairs": run.meta["pairs"][:4]}, run.records)
    assert all(row.p is None for row in compare.gains(few)[1])
    assert "above .05, so no test is shown" in compared.render(few)


def test_the_command(zoo):
    quickstart = RUN.with_name("quickstart")
    done = zoo("compare", quickstart)
    assert done.code == 0
    assert done.out.startswith("quickstart: gain in accuracy over source_only of the same learner")
    assert "no test is made of them" in done.out
    assert "significantly better" not in done.out
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


def accuracies(run):
    """Rows and the array [pairs, rows] of their means, by the records alone."""
    rows = [line for line in lines(run)[0] if not line.oracle]
    full = [r for r in rows if all(r.values(p, "accuracy") for p in run.meta["pairs"])]
    return full, np.array([[np.mean(list(r.values(p, "accuracy").values())) for r in full] for p in run.meta["pairs"]])


def test_friedman_and_nemenyi_are_those_of_scikit_posthocs(run):
    import scikit_posthocs

    rows, pairs, found = compare.ranked(run)
    names, values = accuracies(run)
    assert ([r.label for r in rows], pairs) == ([r.label for r in names], run.meta["pairs"])
    assert found.friedman == pytest.approx(stats.friedmanchisquare(*np.round(values, 12).T).pvalue)
    theirs = scikit_posthocs.posthoc_nemenyi_friedman(-np.round(values, 12)).to_numpy()
    np.testing.assert_allclose(found.apart, theirs, atol=1e-6)
    k, n = values.shape[1], len(values)
    assert found.difference == pytest.approx(3.543799 * np.sqrt(k * (k + 1) / 6 / n), rel=1e-3)  # Demšar's q of k = 20


def test_the_hierarchical_test_is_that_of_importance_sampling():
    """Prior draws weighted by the likelihood, in which means and deviations of the pairs are integrated out."""
    rng = np.random.default_rng(0)
    x = rng.normal([[0.02], [0.03], [-0.01], [0.05], [0.0], [0.04]], 0.02, size=(6, 5))
    n, rho = 5, 0.2
    inner, mean = ((x - x.mean(1, keepdims=True)) ** 2).sum(1) / (1 - rho), x.mean(1)
    draws, far, grid = 8000, np.abs(x).max(), np.linspace(-0.3, 0.3, 601)
    mu0, sigma0 = rng.uniform(-far, far, draws), rng.uniform(0, 0.2, draws)
    nu = rng.gamma(rng.uniform(0.5, 5, draws), 1 / rng.uniform(0.05, 0.15, draws)).clip(0.5, 200)
    log = np.zeros(draws)
    for i in range(6):
        likelihood = (inner[i] + n * (mean[i] - grid) ** 2 / (1 + (n - 1) * rho)) ** (-(n - 1) / 2)
        kept = likelihood > 1e-4 * likelihood.max()
        density = stats.t.pdf(grid[kept][:, None], nu, mu0, sigma0)
        log += np.log(likelihood[kept] @ density / likelihood.sum() + 1e-300)
    weight = np.exp(log - log.max())
    chosen = rng.choice(draws, 4000, p=weight / weight.sum())
    theirs = hierarchical.of_draws(np.stack([mu0, sigma0, nu], 1)[chosen], 0.01)
    ours = hierarchical.posterior(list(x), rope=0.01, rho=rho)
    assert (ours.worse, ours.same, ours.better) == pytest.approx((theirs.worse, theirs.same, theirs.better), abs=0.04)
    assert 0.85 < ours.better < 0.98


def test_it_tells_equivalence_from_ignorance():
    """Many pairs within the region: the same. Few and wild ones: undecided, though Wilcoxon says 1 of both."""
    rng = np.random.default_rng(1)
    equal = hierarchical.posterior(list(rng.normal(0, 0.002, size=(12, 5))), rope=0.01, rho=0.2)
    wild = hierarchical.posterior(list(rng.normal(0, 0.1, size=(4, 5))), rope=0.01, rho=0.2)
    assert equal.same > 0.95
    assert max(wild.worse, wild.same, wild.better) < 0.95


def test_exact_differences_have_no_deviation_over_seeds():
    found = hierarchical.samples([[0.03], [0.05], [0.04], [0.02]] * 3, rho=0.0)
    assert found[:, 0].mean() == pytest.approx(0.035, abs=0.003)
    assert np.median(found[:, 1]) == pytest.approx(0.011, abs=0.004)


def test_one_seed_of_what_draws_is_never_called_significant(run):
    few = Run(run.meta, [r for r in run.records if r["seed"] in (0, None)])
    text = compared.render(few)
    assert "one seed of what draws random numbers, so not called significant: " in text
    assert "significantly" not in text.replace("differs significantly", "")
    assert not any(row.trusted for row in compare.gains(few)[1])


def test_each_two_rows_on_request(run):
    kept = Run(run.meta, [r for r in run.records if r["method"] in ("coral", "kmm", "source_only", "tca")])
    rows, values = accuracies(kept)
    at = {compare.name(r): i for i, r in enumerate(rows)}
    found = compare.every_two(kept)
    assert len(found) == len(rows) * (len(rows) - 1) / 2
    raw = [stats.wilcoxon(values[:, at[a]] - values[:, at[b]]).pvalue for a, b, *_ in found]
    assert min(p for *_, p in found) == pytest.approx(min(1, min(raw) * len(raw)))
    for a, b, gain, _ in found:
        assert gain == pytest.approx((values[:, at[a]] - values[:, at[b]]).mean())


def test_runs_of_ranks_overlap_and_are_largest():
    assert ranks.cliques([1.0, 2.0, 3.0, 9.0], 2.5) == [[0, 1, 2]]
    assert ranks.cliques([1.0, 2.0, 3.0, 4.0], 1.5) == [[0, 1], [1, 2], [2, 3]]


def test_latex_and_json_say_the_same(zoo):
    found = zoo("compare", RUN, "--json", "--every-two").json
    tex = zoo("compare", RUN, "--format", "latex").out
    assert len(found["said"]) == 7
    assert found["ranks"]["rows"][0].keys() >= {"label", "mean", "low", "high"}
    assert tex.count(r"\begin{table}") == tex.count(r"\end{table}") == 2
    assert zoo("compare", RUN).out == zoo("compare", RUN).out
    done = zoo("compare", RUN, "--format", "xml")
    assert (done.code, done.err.count("\n")) == (2, 1)
