from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn.functional import one_hot

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops.kernels import inverse_scale, sq_dists
from zoo.ops.priors import class_weights, matched_priors, source_priors

if TYPE_CHECKING:
    from zoo.task import Task


class MmdTars(Reweighting):
    """Target shift by kernel means: the class priors under which the source classes' kernel means add up to the target.

    ``min |sum_c p_c mu_c - mu_t|²`` over the simplex in a Gaussian kernel's space: a programme in C variables.
    Right where only the priors shift; where the classes move, the nearest class takes the mass of all that moved
    towards it. Source: Zhang et al. (2013), section 4, with one kernel mean a class in place of their smoothed
    conditional embedding.

    Parameters
    ----------
    gamma : float
        The kernel is ``exp(-gamma |x - x'|²)``; 0 stands for one over the mean squared distance of the pooled samples.
    floor : float
        Least target prior of a class, as a share of its source prior, so that no class is lost.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.
    """

    cite = "zhang2013domain"
    space = {"gamma": ("log", 1e-3, 10)}

    def __init__(self, gamma: float = 0.0, floor: float = 0.1, how: str = "weight") -> None:
        self.gamma, self.floor, self.how = gamma, floor, how

    def weights(self, task: Task) -> Tensor:
        if self.gamma < 0 or not 0 <= self.floor <= 1:
            raise BadInput(f"mmd_tars: gamma is at least 0, floor in [0, 1], got {self.gamma} and {self.floor}")
        gamma = self.gamma or float(inverse_scale(task.Xs.flatten(1), task.Xt.flatten(1)))
        source = source_priors(task.ys, task.n_classes)
        seen = source > 0
        member = one_hot(task.ys, task.n_classes).double()[:, seen]
        member = member / member.sum(0)
        means = (-gamma * task.shared(sq_dists, "Xs")).exp_() @ member
        b = member.T @ (-gamma * task.shared(sq_dists, "Xs", "Xt")).exp_().mean(1)
        p = matched_priors(member.T @ means, b, source[seen])
        target = source.clone()
        target[seen] = self.floor * source[seen] + (1 - self.floor) * p
        self.certificate_ = {"total_variation": float((target - source).abs().sum()) / 2}
        return class_weights(task.ys, target, source)
