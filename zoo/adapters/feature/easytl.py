from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.ops.coral import coral
from zoo.ops.kernels import sq_dists
from zoo.ops.subspaces import spectrum

if TYPE_CHECKING:
    from zoo.task import Task


def programme(D: Tensor) -> Tensor:
    """The class of each of n samples by the linear programme of EasyTL, exactly, from distances [n, C].

    ``min Σ D_jc M_jc`` with ``Σ_c M_jc = 1``, ``Σ_j M_jc >= 1`` and ``0 <= M <= 1`` is a transportation problem, so a
    vertex of 0s and 1s is optimal. In one, each class holds a sample of its own, and all others are best off with the
    nearest class. So what is left is which sample each class keeps, at the cost of its regret ``D_jc - min_c D_jc``: an
    assignment of C classes to n samples, O(C² n), and needed only where the nearest classes leave one empty. With fewer
    samples than classes the second constraint cannot be met, and is dropped.

    >>> programme(torch.tensor([[0.0, 1.0], [0.0, 0.5], [0.0, 2.0]])).tolist()
    [0, 1, 0]
    """
    nearest, found = D.min(1)
    n, C = D.shape
    if n >= C and len(found.unique()) < C:
        from scipy.optimize import linear_sum_assignment

        classes, samples = linear_sum_assignment((D - nearest[:, None]).T.cpu().numpy())
        found[torch.as_tensor(samples, device=D.device)] = torch.as_tensor(classes, device=D.device)
    return found


class Easytl(Adapter):
    """EasyTL: aligned by CORAL, target samples take the classes whose centres are nearest, no class left empty.

    New points take the class of the nearest centre: softmax of minus the squared distance, in units of what is usual
    among Xt. The scores of Xt are the programme's 0s and 1s.

    Parameters
    ----------
    align : {'coral', 'none'}
        What comes before: CORAL, as in the paper's main results, or nothing.
    reg : float
        CORAL's; added to the diagonals of both covariances.
    centre : bool
        CORAL's: the source around its mean, and then around the target's. The authors' features are z-scored in each
        domain, where this changes nothing. Where class priors differ between the domains, centring costs.

    A class is its centre, and that is too little where classes have several shapes.

    Source: Wang et al. (2019), equations 1 to 6.
    """

    learner = "own"
    title = "EasyTL"
    cite = "wang2019easy"
    space = {"reg": ("log", 1e-3, 10)}

    def __init__(self, align: str = "coral", reg: float = 1.0, centre: bool = True) -> None:
        self.align, self.reg, self.centre = align, reg, centre

    def fit(self, task: Task) -> Easytl:
        if self.align not in ("coral", "none"):
            raise BadInput(f"easytl: align is 'coral' or 'none', got {self.align!r}")
        if self.reg < 0:
            raise BadInput(f"easytl: reg is at least 0, got {self.reg}")
        if self.align == "coral":
            self.from_, self.to_ = task.shared(spectrum, "Xs"), task.shared(spectrum, "Xt")
        Y = one_hot(task.ys, task.n_classes).double()
        size = Y.sum(0)
        self.seen_, self.n_classes_ = size > 0, task.n_classes
        # CORAL is affine: the centres of the aligned samples are the aligned centres.
        centres = (Y.T @ task.Xs.flatten(1).double()) / size.clamp_min(1)[:, None]
        self.centres_ = self._aligned(centres[self.seen_])
        squared = sq_dists(task.Xt.flatten(1), self.centres_)
        D = squared.sqrt()
        classes = programme(D)
        nearest, cost = D.min(1).values.mean(), D.gather(1, classes[:, None]).mean()
        usual = 2 * squared.min(1).values.mean() / self.centres_.shape[1]
        self.usual_ = torch.where(usual > 0, usual, 1)
        self.scores_ = self._all(one_hot(classes, D.shape[1]).double())
        moved = (classes != D.argmin(1)).sum()
        self.certificate_ = {"cost": float(cost), "nearest": float(nearest), "moved": float(moved)}
        return self

    def _aligned(self, X: Tensor) -> Tensor:
        return coral(X, self.from_, self.to_, self.reg, centre=self.centre) if self.align == "coral" else X

    def _all(self, scores: Tensor) -> Tensor:
        """Scores of all classes from those that the source has."""
        out = scores.new_zeros(len(scores), self.n_classes_)
        out[:, self.seen_] = scores
        return out

    def scores_t(self) -> Tensor:
        """Scores of the fitted Xt."""
        return self.scores_

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return self._all(torch.softmax(-sq_dists(X.flatten(1), self.centres_) / self.usual_, 1))

    def predict_source(self, X: Tensor) -> Tensor:
        return self.predict(self._aligned(X.flatten(1).double()))
