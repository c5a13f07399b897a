from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.bandwidth import bandwidth
from zoo.ops.kernels import sq_dists
from zoo.ops.priors import class_weights, matched_priors, source_priors
from zoo.ops.ratios import ess, evened
from zoo.ops.rows import blocks, flat, sparse, taken

if TYPE_CHECKING:
    from zoo.task import Task

CHUNK = 512  # sparse source rows whose distances are held at once


class MmdTars(Reweighting):
    """Target shift by kernel means: the class priors under which the source classes' kernel means add up to the target.

    ``min |sum_c p_c mu_c - mu_t|²`` over the simplex in a Gaussian kernel's space: a programme in C variables.
    Right where only the priors shift; where the classes move, the nearest class takes the mass of all that moved
    towards it. Source: Zhang et al. (2013), section 4, with one kernel mean a class in place of their smoothed
    conditional embedding.

    Parameters
    ----------
    gamma : float
        The kernel is ``exp(-gamma |x - x'|²)``; 0: by the likelihood of left-out target samples under the ratio that
        the weights of the others make, as kmm.
    floor : float
        Least target prior of a class, as a share of its source prior, so that no class is lost.
    ess : float
        Where the effective sample size is below this share of n_s, the weights are mixed with uniform ones, as far as
        it takes; 0 leaves them.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.
    """

    title = "Target shift (KMM)"
    cite = "zhang2013domain"
    tasks = {"classification"}
    sparse = True
    space = {"gamma": ("log", 1e-3, 10), "ess": ("float", 0.1, 0.9)}

    def __init__(self, gamma: float = 0.0, floor: float = 0.1, ess: float = 0.3, how: str = "weight") -> None:
        self.gamma, self.floor, self.ess, self.how = gamma, floor, ess, how

    def weights(self, task: Task) -> Tensor:
        if self.gamma < 0 or not 0 <= self.floor <= 1:
            raise BadInput(f"mmd_tars: gamma is at least 0, floor in [0, 1], got {self.gamma} and {self.floor}")
        if not 0 <= self.ess <= 1:
            raise BadInput(f"mmd_tars: ess is in [0, 1], got {self.ess}")
        Xs, Xt = flat(task.Xs), flat(task.Xt)

        def weigh(s: Tensor, t: Tensor, gamma: float) -> Tensor:
            ys, n_classes, own = task.ys[s], task.n_classes, taken(Xs, s)
            target = self._priors([(sq_dists(own), sq_dists(own, taken(Xt, t)))], ys, n_classes, gamma)
            return class_weights(ys, target, source_priors(ys, n_classes))

        gamma, score = (self.gamma, 0.0) if self.gamma else bandwidth(Xs, Xt, weigh)
        source = source_priors(task.ys, task.n_classes)
        apart: Iterable[tuple[Tensor, Tensor]]
        if sparse(Xs):
            apart = ((sq_dists(rows, Xs), sq_dists(rows, Xt)) for rows in blocks(Xs, CHUNK))
        else:
            apart = [(task.shared(sq_dists, "Xs"), task.shared(sq_dists, "Xs", "Xt"))]
        target = self._priors(apart, task.ys, task.n_classes, gamma)
        w, uniform = evened(class_weights(task.ys, target, source), self.ess)
        moved = float((target - source).abs().sum()) / 2
        self.certificate_ = {"total_variation": moved, "ess": ess(w), "uniform": uniform, "gamma": gamma}
        self.certificate_["held_out"] = score
        return w

    def _priors(self, apart: Iterable[tuple[Tensor, Tensor]], ys: Tensor, n_classes: int, gamma: float) -> Tensor:
        """The target's priors from squared distances within the source and across, some source rows at a time."""
        source = source_priors(ys, n_classes)
        seen = source > 0
        member = one_hot(ys, n_classes).double()[:, seen]
        member = member / member.sum(0)
        found = [((-gamma * D).exp_() @ member, (-gamma * cross).exp_().mean(1)) for D, cross in apart]
        means, b = torch.cat([means for means, _ in found]), member.T @ torch.cat([mean for _, mean in found])
        p = matched_priors(member.T @ means, b, source[seen])
        target = source.clone()
        target[seen] = self.floor * source[seen] + (1 - self.floor) * p
        return target
