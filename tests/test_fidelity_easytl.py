"""EasyTL against linear programmes and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from tests.test_fidelity_subspaces import mapped
from zoo.adapters.feature.coral import Coral
from zoo.adapters.feature.easytl import Easytl, programme
from zoo.task import Task

# EasyTL ---------------------------------------------------------------------------------------------------------------


def dense_programme(D: np.ndarray) -> float:
    n, C = D.shape
    one_class, no_class_empty = np.kron(np.eye(n), np.ones(C)), np.kron(np.ones(n), np.eye(C))
    found = linprog(D.ravel(), -no_class_empty, -np.ones(C), one_class, np.ones(n), bounds=(0, 1))
    assert found.status == 0
    return found.fun


def starved(n: int, C: int, seed: int) -> np.ndarray:
    """Distances under which the first two classes are nearest to nobody."""
    D = np.random.default_rng(seed).random((n, C))
    D[:, :2] += 1
    return D


@pytest.mark.parametrize(("n", "C", "seed"), [(12, 4, 0), (40, 10, 1), (10, 10, 2), (7, 6, 3)])
def test_programme_reaches_linprogs_optimum(n, C, seed):
    D = starved(n, C, seed)
    classes = programme(torch.from_numpy(D)).numpy()
    assert set(classes) == set(range(C))
    assert (classes != D.argmin(1)).sum() >= 2  # the constraint binds
    assert D[np.arange(n), classes].sum() == pytest.approx(dense_programme(D), abs=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_programme_equals_trying_all_assignments(seed):
    D = starved(6, 3, seed)
    best = min(
        (a for a in itertools.product(range(3), repeat=6) if len(set(a)) == 3),
        key=lambda a: sum(D[j, c] for j, c in enumerate(a)),
    )
    assert programme(torch.from_numpy(D)).tolist() == list(best)


def test_programme_with_fewer_samples_than_classes_is_the_nearest():
    D = torch.rand(3, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(programme(D), D.argmin(1))


def blobs(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    ys = np.arange(60) % 3
    return rng.normal(size=(60, 5)) + 4 * np.eye(3, 5)[ys], ys, rng.normal(size=(20, 5)) + 4 * np.eye(3, 5)[0]


def test_easytl_fills_the_class_that_nothing_is_near():
    Xs, ys, Xt = blobs()  # a target of one class
    method = Easytl(align="none").fit(Task.from_arrays(Xs, ys, Xt))
    fitted, plain = method.scores_t().argmax(1), method.predict(torch.from_numpy(Xt)).argmax(1)
    assert set(fitted.tolist()) == {0, 1, 2}
    assert int((fitted != plain).sum()) == method.certificate_["moved"] == 2
    centres = np.stack([Xs[ys == c].mean(0) for c in range(3)])
    assert plain.tolist() == np.linalg.norm(Xt[:, None] - centres, axis=2).argmin(1).tolist()


def test_easytl_aligns_the_centres_as_coral_does_the_samples():
    Xs, ys, Xt = blobs()
    task = Task.from_arrays(Xs, ys, 3 * Xt)
    moved = mapped(Coral(reg=0.5), task.Xs.numpy(), task.Xt.numpy())[0]
    method = Easytl(reg=0.5).fit(task)
    expected = np.stack([moved[ys == c].mean(0) for c in range(3)])
    np.testing.assert_allclose(method.centres_.numpy(), expected, atol=1e-6)
    assert torch.equal(
        method.predict_source(task.Xs).argmax(1), method.predict(torch.from_numpy(moved)).argmax(1)
    )  # source samples are aligned first


def test_easytl_never_predicts_a_class_that_the_source_lacks():
    Xs, ys, Xt = blobs()
    method = Easytl().fit(
        Task.from_arrays(Xs, np.where(ys == 1, 4, ys), Xt, classes=range(5))
    )  # classes 0, 2 and 4 of five
    for scores in (method.scores_t(), method.predict(torch.from_numpy(Xt))):
        assert scores.shape == (20, 5)
        assert bool((scores[:, [1, 3]] == 0).all())
