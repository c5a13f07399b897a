from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.task import Task


class Dasvm(Adapter):
    """Domain adaptation SVM: source samples are replaced, step by step, by target samples from inside the margin.

    One linear SVM a class against the rest (squared hinge). In each round the target samples nearest to the margin's
    bounds, from inside and on either side, join the training set under the label that the SVM gives them; those whose
    label changed leave it; the source samples farthest from the hyperplane go for good. It ends when no source sample
    is left and at most a share beta of the target still joins or changes. New points get the softmax of the margins.

    Parameters
    ----------
    C : float
        The SVM's constant, for inputs centred and divided by their pooled root mean square (z-scores stay as they are).
    rho : float
        Share of the target's samples that may join a side in a round, and of a side's source samples that go.
    beta : float
        Share of the target at which it counts as converged; the paper has 0.03.
    T : int
        Largest number of rounds.

    The paper removes as many source samples as joined, which takes n_s/n_t times as many rounds where the source is
    larger; and lets C fall for the source and rise for the target, where here it is one. A side that no target sample
    falls on keeps its source samples. It may lose 15 points to plain logistic regression where features outnumber
    samples (SURF): what joined is then fitted exactly, so that no label, right or wrong, ever changes; and as many
    samples join a class as join the rest, however small the class is.

    Source: Bruzzone and Marconcini 2010, section 4; several classes one against all, section 4.4.
    """

    learner = "own"
    title = "DASVM"
    cite = "bruzzone2010domain"
    space = {"C": ("log", 1e-3, 100), "rho": ("log", 0.02, 0.5)}

    def __init__(self, C: float = 1.0, rho: float = 0.1, beta: float = 0.03, T: int = 50) -> None:
        self.C, self.rho, self.beta, self.T = C, rho, beta, T

    def fit(self, task: Task) -> Dasvm:
        if self.C <= 0 or not 0 < self.rho <= 1 or not 0 <= self.beta < 1 or self.T < 1:
            raise BadInput(
                "dasvm: C is above 0, 0 < rho <= 1, 0 <= beta < 1 and T is at least 1, "
                f"got {self.C}, {self.rho}, {self.beta} and {self.T}"
            )
        Xs, Xt = (X.flatten(1).detach().cpu().numpy() for X in (task.Xs, task.Xt))
        # In an order of the rows' own: liblinear's result depends on it by its tolerance.
        Xt = Xt[np.argsort(np.ascontiguousarray(Xt).view(f"V{Xt.itemsize * Xt.shape[1]}").ravel(), kind="stable")]
        pooled = np.concatenate([Xs, Xt]).astype(np.float64)
        centre = pooled.mean(0)
        pooled -= centre
        scale = math.sqrt(np.square(pooled).mean()) or 1.0
        pooled /= scale
        ys = task.ys.cpu().numpy()
        self.seen_, self.n_classes_ = np.unique(ys), task.n_classes
        sides = self.seen_[{1: 1, 2: 1}.get(len(self.seen_), 0) :]  # two classes are one machine
        self.machines_ = [
            Machine(pooled[: len(Xs)], np.where(ys == c, 1, -1), pooled[len(Xs) :]).run(
                self.C, self.rho, self.beta, self.T
            )
            for c in sides
        ]
        device = task.Xs.device
        self.centre_, self.scale_ = torch.as_tensor(centre, device=device), scale
        w = np.stack([m.w for m in self.machines_]) if self.machines_ else np.zeros((0, len(centre) + 1))
        self.w_ = torch.as_tensor(w, device=device)
        self.certificate_ = {
            "rounds": float(max((m.rounds for m in self.machines_), default=0)),
            "source_left": float(sum(m.kept.sum() for m in self.machines_)),
            "target_used": float(np.mean([(m.label != 0).mean() for m in self.machines_] or [0])),
            "converged": float(all(m.converged for m in self.machines_)),
        }
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        rows = (X.flatten(1).double() - self.centre_) / self.scale_
        f = rows @ self.w_[:, :-1].T + self.w_[:, -1]
        if len(self.seen_) < 3:
            f = torch.cat([-f, f], 1) if len(self.seen_) == 2 else f.new_zeros(len(f), 1)
        scores = f.new_zeros(len(f), self.n_classes_)
        scores[:, torch.as_tensor(self.seen_, device=f.device)] = torch.softmax(f, 1)
        return scores


class Machine:
    """One class against the rest: `w` [d + 1] with the intercept last, `kept` source samples, the target's `label`."""

    def __init__(self, Xs: np.ndarray, ys: np.ndarray, Xt: np.ndarray) -> None:
        self.Xs, self.ys, self.Xt = Xs, ys, Xt
        self.kept, self.label = np.ones(len(Xs), dtype=bool), np.zeros(len(Xt), dtype=np.int64)  # 0: not in training
        self.converged = False

    def run(self, C: float, rho: float, beta: float, T: int) -> Machine:
        few, step = math.ceil(beta * len(self.Xt)), math.ceil(rho * len(self.Xt))
        quota = {side: math.ceil(rho * int((self.ys == side).sum())) for side in (1, -1)}
        for self.rounds in range(1, T + 1):
            self._train(C, tol=0.1, passes=200)
            f = self.Xt @ self.w[:-1] + self.w[-1]
            now = np.where(f >= 0, 1, -1)
            changed = (self.label != 0) & (self.label != now)
            waiting = (self.label == 0) & (np.abs(f) < 1)
            self.converged = not self.kept.any() and max(int(changed.sum()), int(waiting.sum())) <= few
            label, kept = np.where(changed, 0, self.label), self.kept.copy()
            if self.converged or self.rounds == T:
                break
            margin = self.Xs @ self.w[:-1] + self.w[-1]
            for side in (1, -1):
                label[_largest(side * f, waiting & (now == side), step)] = side
                if (label == side).any():
                    kept[_largest(side * margin, kept & (self.ys == side), quota[side])] = False
            if any(not (label == side).any() and not (kept & (self.ys == side)).any() for side in (1, -1)):
                break  # all of a side changed their label at once: the last SVM stands
            self.label, self.kept = label, kept
        self._train(C, tol=1e-3, passes=1000)
        return self

    def _train(self, C: float, tol: float, passes: int) -> None:
        """The rounds choose samples by rank, so that a coarse solution will do; the last one is solved properly."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC

        used = self.label != 0
        X = np.concatenate([self.Xs[self.kept], self.Xt[used]])
        y = np.concatenate([self.ys[self.kept], self.label[used]])
        # scikit-learn's rule (n < d) takes 45 times as long on 1,123 samples of 800 features.
        dual = len(X) < 10 * X.shape[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            svm = LinearSVC(C=C, tol=tol, dual=dual, random_state=0, max_iter=passes).fit(X, y)
        self.w = np.concatenate([svm.coef_[0], svm.intercept_])


def _largest(values: np.ndarray, among: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k largest values among those marked."""
    rows = np.flatnonzero(among)
    return rows[np.argsort(-values[rows], kind="stable")[:k]]
