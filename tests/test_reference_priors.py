"""Methods that estimate the target's class priors, against their authors' formulas by scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from zoo.adapters.instance.mlls import Mlls
from zoo.task import Task

SOURCE, TARGET = (0.6, 0.3, 0.1), (0.1, 0.2, 0.7)


def draw(shares: tuple[float, ...], n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of one Gaussian each, which overlap."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=shares)
    return (1.5 * np.eye(3, 4)[y] + rng.normal(size=(n, 4))).astype("f4"), y


@pytest.mark.reference(
    method="mlls",
    source="Saerens et al. 2002, eqs. 2.4 and 2.9; Alexandari et al. 2020, abstention's TempScaling and EM",
    compared="the target's scores: scipy's calibration and maximum of the target's likelihood, then rescaled",
    differs="calibrated on 5 folds of the source for want of validation samples",
)
def test_mlls_rescales_the_posterior():
    (Xs, ys), (Xt, yt) = draw(SOURCE, 600, 0), draw(TARGET, 500, 1)
    fold, held = np.zeros(600, int), np.zeros((600, 3))
    for c in range(3):
        fold[ys == c] = np.arange((ys == c).sum()) % 5
    for k in range(5):
        model = LogisticRegression(max_iter=1000).fit(Xs[fold != k], ys[fold != k])
        held[fold == k] = model.predict_log_proba(Xs[fold == k])

    def unlikely(v: np.ndarray) -> float:
        return -log_softmax(held * v[0] + v[1:], 1)[np.arange(600), ys].mean()

    v = minimize(unlikely, np.array([1.0, 0, 0, 0]), method="BFGS", options={"gtol": 1e-9}).x
    source = softmax(held * v[0] + v[1:], 1).mean(0)
    plain = LogisticRegression(max_iter=1000).fit(Xs, ys)
    posterior = softmax(plain.predict_log_proba(Xt) * v[0] + v[1:], 1)
    target = minimize(
        lambda q: -np.log(posterior @ (q / source)).mean(),
        source,
        method="SLSQP",
        bounds=[(1e-9, 1)] * 3,
        constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
        options={"ftol": 1e-14},
    ).x
    expected = posterior * target / source
    expected /= expected.sum(1, keepdims=True)
    task = Task.from_arrays(Xs, ys, Xt)
    ours = Mlls().fit(task).predict(torch.from_numpy(Xt)).numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-3)
    before = (plain.predict(Xt) == yt).mean()
    assert (ours.argmax(1) == yt).mean() > before + 0.05  # what a classifier trained on reweighted samples gains, too
    np.testing.assert_allclose(target, TARGET, atol=0.08)


@pytest.mark.parametrize("base", ["1nn", "linear_svm"])
def test_mlls_of_scores_that_are_no_probabilities_and_of_a_class_that_the_source_lacks(base):
    (Xs, ys), (Xt, _) = draw(SOURCE, 200, 2), draw(TARGET, 100, 3)
    task = Task.from_arrays(Xs, ys + (ys == 2), Xt, base=base, classes=range(4))
    scores = Mlls().fit(task).predict(task.Xt)
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(scores.sum(1), torch.ones_like(scores[:, 0]))
    assert (scores[:, 2] < 1e-3).all()
