from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.graphs import neighbours
from zoo.ops.joint import Ridge, cosine_laplacian, mmd_root, on_simplex, unit_rows
from zoo.ops.kernels import gaussian
from zoo.ops.subspaces import joint_spectrum, landmarks

if TYPE_CHECKING:
    from zoo.task import Task

EXACT = 3000  # samples of both domains up to which the kernel is whole
GAMMA = 0.5  # one over twice the squared bandwidth, which is the mean squared length of rows, hence 1


class Manifold(Adapter):
    """Adaptation regularisation (ARTL): kernel least squares, joint distributions matched, smooth along a graph.

    A function per class in the Gaussian kernel's space is fitted to the source's one-hot labels. It is small; its
    means over source and target agree, over all samples and class by class; and it varies little between neighbours
    of the graph of both domains. Closed form, solved again with the target labels that it gives until none changes;
    those it starts from are 1-NN's. Works on principal components of both domains together, rows at length 1. New
    points: the kernel expansion. With more than 3000 samples the kernel is of low rank (Nyström); the share of its
    trace that is left out is in the certificate. The graph is sparse throughout.

    Parameters
    ----------
    d : int
        Joint principal components; 0 takes all.
    sigma, reg, gamma : float
        Weights of the function's size, of the matching (the paper's lambda) and of its smoothness.
    p : int
        Neighbours (cosine) in the graph.
    T : int
        Largest number of solutions.
    landmarks : int
        Samples that carry the approximate kernel.

    Source: Long et al. (2014), ARRLS, eq. 12 to 17, and the authors' code (the MMD matrix over its Frobenius norm, its
    marginal part times the number of classes). Office-Caltech SURF, 12 pairs, transductive: 52.5 %.
    """

    learner = "own"
    cite = "long2014adaptation"
    space = {"sigma": ("log", 1e-2, 1), "reg": ("log", 1, 100), "gamma": ("log", 1e-2, 10), "d": ("int", 10, 100)}

    def __init__(
        self,
        d: int = 20,
        sigma: float = 0.1,
        reg: float = 10.0,
        gamma: float = 1.0,
        p: int = 10,
        T: int = 10,
        landmarks: int = 1000,
    ) -> None:
        self.d, self.sigma, self.reg, self.gamma = d, sigma, reg, gamma
        self.p, self.T, self.landmarks = p, T, landmarks

    def fit(self, task: Task) -> Manifold:
        if self.d < 0 or min(self.p, self.T, self.landmarks) < 1:
            raise BadInput(
                f"manifold: d is at least 0, p, T and landmarks at least 1, got {self.d}, {self.p}, {self.T} and "
                f"{self.landmarks}"
            )
        if min(self.reg, self.gamma) < 0 or self.sigma <= 0:
            raise BadInput(
                f"manifold: sigma is above 0, reg and gamma at least 0, got {self.sigma}, {self.reg} and {self.gamma}"
            )
        joint = task.shared(joint_spectrum, "Xs", "Xt")
        if not len(joint.values):
            raise FloatingPointError("all samples are equal, so that there are no components")
        self.centre_, self.basis_ = joint.mean, joint.vectors[:, : self.d or None]
        n_s, n_t, C = len(task.Xs), len(task.Xt), task.n_classes
        X = self._embed(torch.cat([task.Xs, task.Xt]))
        K = self._kernel(X)
        labelled = torch.cat([X.new_ones(n_s), X.new_zeros(n_t)])
        Y = torch.cat([one_hot(task.ys, C).double(), X.new_zeros(n_t, C)])
        L = cosine_laplacian(X, self.p)
        ridge = Ridge(K, labelled, L, Y, self.gamma, self.sigma, low_rank=self.root_ is not None)
        yt = task.ys[neighbours(X[n_s:], X[:n_s], 1)[1][:, 0]]
        for step in range(self.T):
            E = mmd_root(task.ys, yt, n_t, C, C, 1)
            self.alpha_, F = ridge.solve(self.reg**0.5 * E)
            new = F[n_s:].argmax(1)
            changed = int((new != yt).sum())
            self.certificate_.update(iterations=step + 1.0, changed=float(changed))
            yt = new
            if not changed:
                break
        return self

    def _embed(self, X: Tensor) -> Tensor:
        return unit_rows((X.flatten(1).double() - self.centre_) @ self.basis_)

    def _kernel(self, X: Tensor) -> Tensor:
        """The kernel [n, n], or a factor of its approximation; keeps what new points need."""
        self.rows_, self.root_, self.certificate_ = X, None, {"nystrom_error": 0.0}
        if len(X) <= EXACT:
            return gaussian(X, gamma=GAMMA)
        self.rows_, self.root_, error = landmarks(X, min(self.landmarks, len(X)), GAMMA)
        self.certificate_ = {"nystrom_error": error}
        return gaussian(X, self.rows_, gamma=GAMMA) @ self.root_

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        K = gaussian(self._embed(X), self.rows_, gamma=GAMMA)
        return on_simplex((K if self.root_ is None else K @ self.root_) @ self.alpha_)
