from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.adapters._expansion import Expanded
from zoo.errors import BadInput
from zoo.ops.subspaces import geodesic_flow, spectrum, subspace_pair

if TYPE_CHECKING:
    from zoo.task import Task


class Meda(Expanded):
    """Manifold embedded distribution alignment: a kernel classifier on geodesic-flow features, balanced and smooth.

    Least squares on the source, with marginals and class-conditionals aligned and a nearest-neighbour graph's
    Laplacian. Starts from 1-NN pseudo-labels. New points: the kernel expansion. With more than 3000 samples the kernel
    is approximated (Nyström); the share of its trace that is left out is in the certificate.

    Parameters
    ----------
    d : int
        Dimensions of the subspaces whose geodesic flow gives the features.
    reg : float
        Weight of the alignment, the paper's lambda.
    eta, rho : float
        Weights of the size and of the smoothness of the function.
    p : int
        Neighbours (cosine) in the graph.
    mu : float
        Weight of the conditional terms, 1 - mu of the marginal one. Fixed: the paper estimates it from classifiers that
        it trains on random splits to tell the domains apart, but 0.2, 0.5 and 0.8 differ by 0.3 points.
    T : int
        Largest number of iterations; stops when no pseudo-label changes.
    landmarks : int
        Samples that carry the approximate kernel.

    Source: Wang et al. (2018) and the authors' code (MMD matrix over its Frobenius norm, rows to
    length 1 on the manifold). Features are centred by the mean of both domains, which changes nothing after a z-score.
    Office-Caltech SURF, 12 pairs, transductive: 52.5 % (paper: 52.7).
    """

    title = "MEDA"
    cite = "wang2018visual"
    space = {"d": ("int", 10, 100), "reg": ("log", 1, 100), "eta": ("log", 1e-2, 1), "rho": ("log", 1e-2, 10)}

    def __init__(
        self,
        d: int = 20,
        reg: float = 10.0,
        eta: float = 0.1,
        rho: float = 1.0,
        p: int = 10,
        mu: float = 0.5,
        T: int = 10,
        landmarks: int = 1000,
    ) -> None:
        self.d, self.reg, self.eta, self.rho, self.p = d, reg, eta, rho, p
        self.mu, self.T, self.landmarks = mu, T, landmarks

    def fit(self, task: Task) -> Meda:
        if min(self.d, self.p, self.T, self.landmarks) < 1:
            raise BadInput(
                f"meda: d, p, T and landmarks are at least 1, got {self.d}, {self.p}, {self.T} and {self.landmarks}"
            )
        if self.reg < 0 or self.rho < 0 or self.eta <= 0 or not 0 <= self.mu <= 1:
            raise BadInput(
                f"meda: reg and rho are at least 0, eta above 0, mu between 0 and 1, "
                f"got {self.reg}, {self.rho}, {self.eta} and {self.mu}"
            )
        source, target = task.shared(spectrum, "Xs"), task.shared(spectrum, "Xt")
        n_s, n_t, C = len(task.Xs), len(task.Xt), task.n_classes
        self.expand(
            task,
            (n_s * source.mean + n_t * target.mean) / (n_s + n_t),
            geodesic_flow(*subspace_pair(source, target, self.d)),
            size=self.eta,
            smooth=self.rho,
            matching=self.reg,
            marginal=(1 - self.mu) * C,
            conditional=self.mu,
        )
        return self
