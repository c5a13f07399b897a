"""Metrics against scikit-learn's, and None where they have no meaning."""

import numpy as np
import pytest
from sklearn import metrics as sk

from zoo.kinds.scores import metrics


def draw(seed, n=200, n_classes=5, digits=None):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(n_classes), n)
    y = np.array([rng.choice(n_classes, p=p) for p in (scores + 0.1) / (scores + 0.1).sum(1, keepdims=True)])
    if digits is not None:  # many ties
        scores = np.round(scores, digits) + 0.05
        scores /= scores.sum(1, keepdims=True)
    return scores, y


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize(("seed", "n_classes"), [(0, 5), (1, 2), (2, 10)])
def test_metrics_equal_scikit_learns(seed, n_classes, digits):
    scores, y = draw(seed, n_classes=n_classes, digits=digits)
    predicted = scores.argmax(1)
    each = [sk.roc_auc_score(y == c, scores[:, c]) for c in range(n_classes)]
    assert metrics(scores, y) == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
            "f1_macro": sk.f1_score(y, predicted, average="macro"),
            "auroc": np.mean(each),
            "nll": sk.log_loss(y, scores, labels=range(n_classes)),
            "ece": expected_ece(scores, y),
        },
        abs=1e-12,
    )
    if n_classes > 2 and digits is None:  # scikit-learn's own one-vs-rest insists on exact sums
        assert metrics(scores, y)["auroc"] == pytest.approx(sk.roc_auc_score(y, scores, multi_class="ovr"))


def expected_ece(scores, y):
    """The definition of Guo et al. (2017), bin by bin: (m - 1)/15 < top score <= m/15."""
    top, right = scores.max(1), scores.argmax(1) == y
    total = 0.0
    for m in range(1, 16):
        inside = (top > (m - 1) / 15) & (top <= m / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    return total


def test_scores_that_do_not_tell_classes_apart_have_auroc_one_half():
    scores, y = np.full((40, 4), 0.25), np.arange(40) % 4
    assert metrics(scores, y)["auroc"] == 0.5


def test_a_missing_class_has_no_auroc_and_does_not_count_as_recall():
    scores, y = draw(3)
    keep = y != 2
    scores, y = scores[keep], y[keep]
    found = metrics(scores, y)
    assert found["auroc"] is None
    recalls = [(scores.argmax(1)[y == c] == c).mean() for c in (0, 1, 3, 4)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert found["f1_macro"] == pytest.approx(sk.f1_score(y, scores.argmax(1), average="macro"))


def test_one_class_only():
    assert metrics(np.array([[0.6, 0.4], [0.3, 0.7]]), np.array([0, 0]))["auroc"] is None


def test_one_hot_scores_have_no_likelihood_and_no_calibration():
    y = np.array([0, 1, 2, 1])
    found = metrics(np.eye(3)[[0, 1, 2, 2]], y)
    assert (found["nll"], found["ece"], found["accuracy"]) == (None, None, 0.75)


def test_a_true_class_of_score_zero_has_no_likelihood():
    found = metrics(np.array([[1.0, 0.0], [0.4, 0.6]]), np.array([1, 1]))
    assert found["nll"] is None
    assert found["ece"] == pytest.approx((1.0 + 0.4) / 2)
