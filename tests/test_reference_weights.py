"""Weights of source samples against independent computations, on inputs where the defaults differed from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde, multivariate_normal, spearmanr

import zoo
from zoo.adapters.base import Reweighting
from zoo.adapters.instance.kernel_density import KernelDensity
from zoo.ops.resample import systematic
from zoo.task import Task

UNIFORM = '''\
"""Weights that change nothing."""

from zoo.adapters.base import Reweighting


class Uniform(Reweighting):
    """All samples weigh the same."""

    def weights(self, task):
        return task.Xs.new_ones(len(task.Xs))
'''


class Given(Reweighting):
    """The weights that it was given."""

    def __init__(self, w: np.ndarray) -> None:
        self.w = w

    def weights(self, task: Task) -> torch.Tensor:
        return torch.as_tensor(self.w)


# Resampling -----------------------------------------------------------------------------------------------------------


@pytest.mark.reference(
    method="Reweighting with 1-NN",
    source="Kitagawa 1996, systematic resampling (filterpy.monte_carlo.systematic_resample)",
    compared="number of times that each row is drawn, by a loop over the steps; the mean over many offsets",
    differs="nothing",
)
@pytest.mark.parametrize("seed", range(4))
def test_systematic_draws_by_a_loop(seed):
    rng = np.random.default_rng(seed)
    w = rng.gamma(0.3, size=37) * (rng.random(37) > 0.2)
    share, total = w / w.sum(), np.zeros(37)
    for offset in np.linspace(0, 1, 200, endpoint=False) + 1 / 400:
        drawn, j, end = [], 0, share[0]
        for i in range(37):
            while end < (i + offset) / 37:
                j += 1
                end += share[j]
            drawn.append(j)
        assert systematic(torch.from_numpy(w), offset).tolist() == drawn
        count = np.bincount(drawn, minlength=37)
        assert (np.abs(count - 37 * share) < 1).all()
        total += count
    np.testing.assert_allclose(total / 200, 37 * share, atol=0.01)


@pytest.mark.parametrize("value", [1.0, 0.3, 1 / 3, 1e-12, 7e9])
def test_equal_weights_keep_every_row_once_whatever_rounds(value):
    w = torch.full((20_011,), value, dtype=torch.float32)
    for offset in (1e-6, 0.37, 1 - 1e-6):
        assert torch.equal(systematic(w, offset), torch.arange(20_011))


def test_uniform_weights_keep_every_row_once():
    """1-NN on them is 1-NN on the source, whatever the seed; a class of no weight is never predicted."""
    rng = np.random.default_rng(0)
    Xs, ys, Xt = rng.normal(size=(90, 3)), rng.integers(0, 3, 90), rng.normal(size=(400, 3))
    for seed in range(5):
        task = Task.from_arrays(Xs, ys, Xt, base="1nn", seed=seed)
        plain = task.learner.fit(task.Xs, task.ys, 3).predict(task.Xt)
        assert torch.equal(Given(np.full(90, 0.3)).fit(task).predict(task.Xt), plain)
        assert set(Given((ys == 1) + 0.0).fit(task).predict(task.Xt).argmax(1).tolist()) == {1}


@pytest.mark.slow
def test_uniform_weights_are_source_only_on_all_pairs(office_caltech, tmp_path):
    (tmp_path / "uniform.py").write_text(UNIFORM)
    run = zoo.run(
        "office_caltech",
        methods=["source_only", "uniform"],
        plugins=[tmp_path / "uniform.py"],
        data_root=office_caltech,
        out=tmp_path / "run",
        seeds=2,
        workers=1,
    ).frame()
    run = run[run.learner == "1nn"]
    ours = run[run.label == "uniform"].groupby(["source", "target"]).accuracy.agg(["min", "max"])
    plain = run[run.label == "source_only"].set_index(["source", "target"]).accuracy
    assert len(ours) == 12
    for pair, (low, high) in ours.iterrows():
        assert low == high == plain[pair], pair


# Densities ------------------------------------------------------------------------------------------------------------


def gaussians(n: int, d: int, seed: int, shift: float, spread: float = 1.0) -> tuple[np.ndarray, ...]:
    """Source N(0, I), target N(shift, spread² I), and the true log-ratio at the source samples."""
    rng = np.random.default_rng(seed)
    Xs, Xt = rng.normal(size=(n, d)), shift + spread * rng.normal(size=(n, d))
    return Xs, Xt, (np.square(Xs) - np.square((Xs - shift) / spread)).sum(1) / 2 - d * np.log(spread)


@pytest.mark.reference(
    method="kernel_density",
    source="Sugiyama et al. 2008 (KDE); Scott 1992; scipy.stats.gaussian_kde",
    compared="log-ratio at 60 source samples, each density by a loop over Gaussians, the sample's own left out",
    differs="principal components; the sample is left out of its own density; flattened where the ESS is below 30 %",
)
def test_kernel_density_leaves_the_sample_out():
    rng = np.random.default_rng(0)
    Xs, Xt = rng.normal(size=(60, 4)).astype("f4").astype(float), (0.5 + rng.normal(size=(45, 4))).astype("f4")
    w = KernelDensity(ess=0.0).weights(Task.from_arrays(Xs, np.arange(60) % 2, Xt)).numpy()
    at_source, at_target = gaussian_kde(Xs.T).covariance, gaussian_kde(Xt.T.astype(float)).covariance
    expected = np.empty(60)
    for i, x in enumerate(Xs):
        others = [multivariate_normal(Xs[j], at_source).pdf(x) for j in range(60) if j != i]
        expected[i] = np.mean([multivariate_normal(t, at_target).pdf(x) for t in Xt]) / np.mean(others)
    np.testing.assert_allclose(w, expected * (w.sum() / expected.sum()), rtol=1e-5)


def test_kernel_density_finds_a_known_ratio_in_ten_dimensions():
    """A pure shift: with its own Gaussian, the source's density is nearly the same at all of its samples."""
    for seed in (0, 1):
        Xs, Xt, log_ratio = gaussians(1000, 10, seed, 0.3)
        w = KernelDensity(ess=0.0).weights(Task.from_arrays(Xs, np.arange(1000) % 2, Xt)).numpy()
        assert spearmanr(w, log_ratio).statistic >= 0.5
