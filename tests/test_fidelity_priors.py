"""Class priors against known ones and SciPy; boosting and weighting against loops and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from zoo.adapters.instance.balanced import Balanced
from zoo.adapters.instance.bbse import Bbse
from zoo.adapters.instance.mmd_tars import MmdTars
from zoo.adapters.instance.tradaboost import Tradaboost
from zoo.errors import BadInput
from zoo.ops import priors
from zoo.task import Task

SOURCE, TARGET = (0.5, 0.3, 0.2), (0.1, 0.3, 0.6)


def draw(shares, n: int, seed: int, spread: float = 1.0):
    g = torch.Generator().manual_seed(seed)
    y = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=g)
    return 2 * torch.eye(3, 4)[y] + spread * torch.randn(n, 4, generator=g), y


def label_shift(n: int = 2000) -> Task:
    """Classes look the same in both domains; only how many there are of each differs."""
    (Xs, ys), (Xt, _) = draw(SOURCE, n, 0), draw(TARGET, n, 1)
    return Task.from_arrays(Xs, ys, Xt)


@pytest.mark.parametrize(("method", "off"), [(Bbse(), 0.1), (MmdTars(floor=0.0), 0.1)])
def test_the_known_priors_of_a_target(method, off):
    task = label_shift()
    w = method.weights(task)
    found = torch.bincount(task.ys, weights=w, minlength=3)
    found = found / found.sum()
    assert float((found - torch.tensor(TARGET)).abs().sum()) < off
    naive = task.learner.fit(task.Xs, task.ys, 3).predict(task.Xt).mean(0)  # what predictions alone would say
    assert float((naive - torch.tensor(TARGET)).abs().sum()) > off


@pytest.mark.parametrize("method", [Bbse, MmdTars])
def test_a_class_has_one_weight_and_no_shift_changes_little(method):
    (Xs, ys), (Xt, _) = draw(SOURCE, 1500, 2), draw(SOURCE, 1500, 3)
    w = method().weights(Task.from_arrays(Xs, ys, Xt))
    for c in range(3):
        assert float(w[ys == c].std()) == pytest.approx(0, abs=1e-12)
    assert float((w / w.mean() - 1).abs().max()) < 0.25


@pytest.mark.reference(
    method="bbse",
    source="Lipton et al. 2018, eq. 3; numpy.linalg.solve",
    compared="class weights and condition number of a confusion matrix counted by a loop",
    differs="a ridge, 0 in this test; confusions are out of fold on the source, theirs on a held-out half",
)
def test_bbse_solves_the_confusion_equations():
    rng = np.random.default_rng(0)
    y = rng.choice(3, 500, p=SOURCE)
    scores = np.eye(3)[y] + rng.normal(scale=0.6, size=(500, 3))
    predicted = rng.choice(3, 400, p=TARGET)
    C = np.zeros((3, 3))
    for i in range(500):
        C[scores[i].argmax(), y[i]] += 1 / 500
    mu = np.bincount(predicted, minlength=3) / 400
    w, condition = priors.confusion_ratio(
        torch.from_numpy(scores), torch.from_numpy(y), torch.from_numpy(predicted), 0.0
    )
    np.testing.assert_allclose(w, np.linalg.solve(C, mu).clip(0), atol=1e-7)
    assert condition == pytest.approx(np.linalg.cond(C))


def test_out_of_fold_scores_are_from_learners_that_did_not_see_the_sample():
    X, y = draw(SOURCE, 53, 4)

    class Memory:
        """Scores 1 for the class of a sample it was trained on, else uniform."""

        def fit(self, X, y, n_classes):
            known = {tuple(x.tolist()): int(c) for x, c in zip(X, y, strict=True)}
            self.predict = lambda Z: torch.stack(
                [
                    torch.eye(n_classes)[known[k]] if (k := tuple(z.tolist())) in known else torch.full((3,), 1 / 3)
                    for z in Z
                ]
            )
            return self

    found = priors.out_of_fold(Memory(), X, y, 3)
    torch.testing.assert_close(found, torch.full((53, 3), 1 / 3, dtype=torch.float64), atol=1e-6, rtol=0)


def test_em_maximises_the_likelihood():
    g = torch.Generator().manual_seed(5)
    posterior = torch.randn(300, 3, generator=g, dtype=torch.float64).mul(2).softmax(1)
    source = torch.tensor(SOURCE, dtype=torch.float64)
    found = priors.most_likely_priors(posterior, source, steps=20000, tol=1e-13).numpy()
    ratio = (posterior / source).numpy()

    def loss(p):
        return -np.log(ratio @ p).mean()

    best = minimize(
        loss,
        np.full(3, 1 / 3),
        method="SLSQP",
        bounds=[(1e-9, 1)] * 3,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-14},
    )
    assert loss(found) <= best.fun + 1e-8
    np.testing.assert_allclose(found, best.x, atol=1e-3)


def test_calibration_lowers_the_loss_to_its_minimum():
    g = torch.Generator().manual_seed(6)
    y = torch.randint(3, (400,), generator=g)
    over = (torch.eye(3)[y] * 3 + 4 * torch.randn(400, 3, generator=g)).double()
    scores = over.softmax(1)
    t, b = priors.calibrate(scores, y)

    def loss(v):
        logits = scores.clamp_min(1e-12).log().numpy() * v[0] + v[1:]
        log_z = np.log(np.exp(logits).sum(1))
        fit = (log_z - logits[np.arange(400), y.numpy()]).mean()
        return fit + 1e-6 * ((v[0] - 1) ** 2 + (v[1:] ** 2).sum())

    best = minimize(loss, np.array([1.0, 0, 0, 0]), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose([float(t), *b], best.x, atol=1e-4)
    assert float(t) < 0.9  # the scores were overconfident


def test_matched_priors_solve_the_programme():
    rng = np.random.default_rng(7)
    F = rng.normal(size=(6, 4))
    A, b = F.T @ F, rng.normal(size=4)
    found = priors.matched_priors(torch.from_numpy(A), torch.from_numpy(b), torch.full((4,), 0.25).double()).numpy()
    best = minimize(
        lambda p: p @ A @ p - 2 * b @ p,
        np.full(4, 0.25),
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-14},
    )
    np.testing.assert_allclose(found, best.x, atol=1e-5)
    assert found.sum() == pytest.approx(1)


def few_shot(seed: int = 0) -> Task:
    """Target classes turned against the source's: source samples of one class mislead."""
    (Xs, ys), (Xl, yl) = draw((0.34, 0.33, 0.33), 300, seed), draw((0.34, 0.33, 0.33), 30, seed + 1)
    return Task.from_arrays(Xs, (ys + (ys == 0) * (torch.arange(300) % 2)), None, Xl, yl)


@pytest.mark.reference(
    method="tradaboost",
    source="Dai et al. 2007, figure 1; scikit-learn's LogisticRegression",
    compared="votes and the source's share of the weight after four rounds, by a loop over samples",
    differs="more than two classes by SAMME's vote; errors are kept within bounds; weights scaled to mean 1",
)
def test_tradaboost_follows_the_papers_formulas():
    """Weights by a loop over samples, with scikit-learn's logistic regression."""
    task = few_shot()
    method = Tradaboost(rounds=4).fit(task)
    X = np.concatenate([task.Xs, task.Xl]).astype(float)
    y = np.concatenate([task.ys, task.yl])
    n, C = len(task.Xs), 3
    w = np.ones(len(X))
    beta = 1 / (1 + math.sqrt(2 * math.log(n) / 4))
    votes = []
    for _ in range(4):
        p = w / w.sum()
        h = LogisticRegression(C=1.0, max_iter=1000).fit(X, y, sample_weight=p * len(X)).predict(X)
        error = sum(p[i] for i in range(n, len(X)) if h[i] != y[i]) / p[n:].sum()
        error = min(max(error, 1e-3), (1 - 1 / C) * (1 - 1e-3))
        votes.append(math.log((1 - error) / error) + math.log(C - 1))
        for i in range(len(X)):
            if h[i] != y[i]:
                w[i] = p[i] * (beta if i < n else math.exp(votes[-1]))
            else:
                w[i] = p[i]
    assert [v for v, _ in method.voters_] == pytest.approx(votes[2:], rel=1e-4)
    assert method.certificate_["source_share"] == pytest.approx(w[:n].sum() / w.sum(), rel=1e-4)
    assert method.certificate_["source_share"] < n / len(X)
    scores = method.predict(task.Xl)
    torch.testing.assert_close(scores.sum(1), torch.ones(len(scores), dtype=torch.float64))


def test_tradaboost_forgets_a_misleading_source():
    """Half of a source class has another label in the target."""
    (X, y) = draw((0.34, 0.33, 0.33), 900, 50)
    task = few_shot()
    boosted = float((Tradaboost().fit(task).predict(X).argmax(1) == y).double().mean())
    source = float((task.learner.fit(task.Xs, task.ys, 3).predict(X).argmax(1) == y).double().mean())
    assert boosted > source + 0.02


@pytest.mark.reference(
    method="balanced",
    source="Wu and Dietterich 2004; scikit-learn's LogisticRegression with sample weights",
    compared="scores of the target",
    differs="their SVM is the suite's classifier; the share of one half is ours",
)
@pytest.mark.parametrize("gamma", [0.2, 0.7])
def test_balanced_is_weighted_logistic_regression(gamma):
    task = few_shot()
    n, m = len(task.Xs), len(task.Xl)
    w = np.r_[np.full(n, (1 - gamma) / n), np.full(m, gamma / m)] * (n + m)
    X, y = np.concatenate([task.Xs, task.Xl]).astype(float), np.concatenate([task.ys, task.yl])
    expected = LogisticRegression(C=1.0, max_iter=1000).fit(X, y, sample_weight=w).predict_proba(task.Xl.double())
    np.testing.assert_allclose(Balanced(gamma=gamma).fit(task).predict(task.Xl), expected, atol=1e-6)


@pytest.mark.parametrize(
    "bad",
    [
        Bbse(how="magic"),
        Bbse(reg=-1.0),
        MmdTars(gamma=-1.0),
        MmdTars(floor=2.0),
        Tradaboost(rounds=1),
        Balanced(gamma=1.0),
    ],
)
def test_refused(bad):
    with pytest.raises(BadInput, match="got "):
        bad.fit(few_shot())
