from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.adapters.base import Adapter
from zoo.errors import BadInput
from zoo.learners.base import fit_base
from zoo.ops.priors import most_likely_priors, source_priors

if TYPE_CHECKING:
    from zoo.task import Task


class DomainAggregation(Adapter):
    """Distribution-weighted combination: a classifier for each source, the nearer a sample is to it the more it says.

    The scores of a sample x are ``Σ_i z_i D_i(x) h_i(x) / Σ_j z_j D_j(x)``, of the sources' classifiers h_i and
    densities D_i (Mansour et al. 2008), which keeps every mixture of the sources near the error of the h_i where no
    fixed combination does. In place of densities, ratios: ``D_i(x)`` is proportional to ``q(i|x) / q(i)`` of a logistic
    regression q that tells the sources apart (Cortes et al. 2021). The mixture z is the one under which the target is
    most likely, by EM; it stands in the certificate as ``source_0`` and on. With one source it is source_only.

    Parameters
    ----------
    mixture : {'target', 'equal'}
        Whether z is of the target, or gives all sources the same.

    Cortes et al. choose z, without a target, such that the combination errs on each source alike; here there is one.

    Source: Mansour, Mohri and Rostamizadeh (2008), section 3; Cortes, Mohri, Suresh and Zhang (2021).
    """

    family = "instance"
    learner = "base"
    needs = {"Xs", "ys", "ds", "Xt"}
    title = "Distribution-weighted combination"
    cite = "mansour2008domain"
    sparse = True

    def __init__(self, mixture: str = "target") -> None:
        self.mixture = mixture

    def fit(self, task: Task) -> DomainAggregation:
        if self.mixture not in ("target", "equal"):
            raise BadInput(f"domain_aggregation: mixture is 'target' or 'equal', got {self.mixture!r}")
        k, self.domains_ = task.n_sources, None
        alone = [task.alone(i) for i in range(k)]
        self.models_ = [task.learner.fit(own.Xs, own.ys, task.n_classes) for own in alone]
        self.z_ = torch.full((k,), 1 / k, dtype=torch.float64, device=task.device)
        self.shares_ = source_priors(task.ds, k)
        if k > 1:
            self.domains_ = fit_base("logistic", task.Xs, task.ds, k)
            if self.mixture == "target":
                self.z_ = most_likely_priors(self.domains_.predict(task.Xt).double(), self.shares_)
        self.certificate_ = {f"source_{i}": float(z) for i, z in enumerate(self.z_)}
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        said = torch.stack([model.predict(X).double() for model in self.models_], 1)
        if self.domains_ is None:
            return said[:, 0]
        near = self.domains_.predict(X).double() * (self.z_ / self.shares_)
        total = near.sum(1, keepdim=True)  # 0 where only sources without a share are near
        near = torch.where(total > 0, near / torch.where(total > 0, total, 1), self.z_)
        return (near[..., None] * said).sum(1)
