from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.adapters._expansion import Expanded
from zoo.errors import BadInput
from zoo.ops.subspaces import joint_spectrum

if TYPE_CHECKING:
    from zoo.task import Task


class Manifold(Expanded):
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

    title = "ARTL"
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
        self.expand(
            task,
            joint.mean,
            joint.vectors[:, : self.d or None],
            size=self.sigma,
            smooth=self.gamma,
            matching=self.reg,
            marginal=task.n_classes,
            conditional=1,
        )
        return self
