"""Class priors of an unlabelled target: three estimators, and the source predictions that they rest on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.ops.rows import taken

FOLDS = 5


def out_of_fold(learner: Any, X: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Scores [n, C] of source samples by learners that were not trained on them; folds spread every class evenly.

    Real values are one class here.

    Rows come in an order that tells nothing, so that every fifth sample of a class is a random fifth.
    """
    strata = torch.zeros_like(y, dtype=torch.int64) if y.is_floating_point() else y
    fold = torch.zeros_like(strata)
    for c in range(n_classes):
        rows = (strata == c).nonzero()[:, 0]
        fold[rows] = torch.arange(len(rows), device=y.device) % FOLDS
    scores = torch.zeros(len(X), n_classes, dtype=torch.float64, device=X.device)
    for k in range(FOLDS):
        held = fold == k
        if bool(held.any()) and not bool(held.all()):
            scores[held] = learner.fit(taken(X, ~held), y[~held], n_classes).predict(taken(X, held)).double()
        elif bool(held.any()):
            scores[held] = one_hot(strata[held], n_classes).double()
    return scores


def source_priors(y: Tensor, n_classes: int) -> Tensor:
    """Shares [C] of the classes in float64."""
    return torch.bincount(y, minlength=n_classes).double() / len(y)


def class_weights(y: Tensor, target: Tensor, source: Tensor) -> Tensor:
    """Weights [n] of samples: the ratio of the priors of their class."""
    return (target / torch.where(source > 0, source, 1))[y]


def confusion_ratio(scores: Tensor, y: Tensor, predicted: Tensor, reg: float) -> tuple[Tensor, float]:
    """The ratio of priors [C] that solves ``C w = mu`` (Lipton et al. 2018, eq. 3), and the condition number of C.

    C is the joint distribution of predicted and true class on the source, mu that of predictions on the target. Least
    squares with a ridge `reg` towards w = 1, as C of a weak classifier is near singular.
    """
    n_classes = scores.shape[1]
    hard = one_hot(scores.argmax(1), n_classes).double()
    C = hard.T @ one_hot(y, n_classes).double() / len(y)
    mu = torch.bincount(predicted, minlength=n_classes).double() / len(predicted)
    singular = torch.linalg.svdvals(C[:, C.sum(0) > 0])
    ridge = reg * float(singular[0]) ** 2
    eye = torch.eye(n_classes, dtype=C.dtype, device=C.device)
    one = torch.ones_like(mu)
    w = one + torch.linalg.solve(C.T @ C + max(ridge, 1e-12) * eye, C.T @ (mu - C @ one))
    return w.clamp_min(0), float(singular[0] / singular[-1].clamp_min(torch.finfo(C.dtype).tiny))


def calibrate(scores: Tensor, y: Tensor, steps: int = 100) -> tuple[Tensor, Tensor]:
    """Temperature and bias [C] of bias-corrected temperature scaling, ``softmax(log scores · t + b)``, by L-BFGS."""
    logits = scores.clamp_min(1e-12).log()
    t, b = logits.new_ones(()).requires_grad_(), logits.new_zeros(scores.shape[1]).requires_grad_()
    optimiser = torch.optim.LBFGS([t, b], max_iter=steps, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        # A slight pull towards no change, so that separable scores have a finite answer.
        loss = torch.nn.functional.cross_entropy(logits * t + b, y) + 1e-6 * ((t - 1).square() + b.square().sum())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimiser.step(closure)
    return t.detach(), b.detach()


def most_likely_priors(posterior: Tensor, source: Tensor, *, steps: int = 1000, tol: float = 1e-10) -> Tensor:
    """The target's priors [C] of largest likelihood, by EM (Saerens et al. 2002, eq. 2.9); the problem is concave."""
    prior = source.clone()
    safe = torch.where(source > 0, source, 1)
    for _ in range(steps):
        joint = posterior * (prior / safe)
        after = (joint / joint.sum(1, keepdim=True).clamp_min(torch.finfo(joint.dtype).tiny)).mean(0)
        after = after / after.sum()
        moved = float((after - prior).abs().sum())
        prior = after
        if moved < tol:
            break
    return prior


def simplex(v: Tensor) -> Tensor:
    """The nearest point of the probability simplex, exactly."""
    ordered = v.sort(descending=True).values
    excess = (ordered.cumsum(0) - 1) / torch.arange(1, len(v) + 1, dtype=v.dtype, device=v.device)
    return (v - excess[int((ordered > excess).nonzero()[-1])]).clamp_min(0)


def matched_priors(A: Tensor, b: Tensor, start: Tensor, *, steps: int = 5000, tol: float = 1e-12) -> Tensor:
    """The priors p on the simplex that minimise ``p'Ap - 2 b'p``: accelerated projected gradients; A is [C, C] only."""
    rate = 1 / (2 * float(torch.linalg.matrix_norm(A, 2)) + 1e-12)
    p, y, t = start, start, 1.0
    for _ in range(steps):
        new = simplex(y - rate * 2 * (A @ y - b))
        if float((y - new) @ (new - p)) > 0:
            y, t = new, 1.0
        else:
            after = (1 + (1 + 4 * t * t) ** 0.5) / 2
            y, t = new + (t - 1) / after * (new - p), after
        moved, p = float((new - p).abs().max()), new
        if moved < tol:
            break
    return p
