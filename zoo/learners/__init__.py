"""Learners: what a method trains in the end, the same for every method of a suite."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from zoo.tasks import problem

if TYPE_CHECKING:
    from zoo.adapters.base import DeepAdapter, Tuning
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Budget, Watch


class Learner:
    """The suite's shared base classifier or network, with its budget and seed.

    Parameters
    ----------
    base : str
        The base classifier, from scikit-learn; of the task's `bases`.
    net : str
        The network, a file under ``zoo/nets/`` or a classification model of torchvision.
    backbone : dict, optional
        ``weights``, ``trainable`` and ``bottleneck`` of a torchvision model; see `zoo.nets.build`.
    use : {'base', 'net'}
        Which of them `fit` trains; `train` and `tune` are for networks whatever it says.
    device : optional
        Where networks train; default: where their data are.
    source : (Xs, ys, Net), optional
        The source model, where it has been trained already: fitting those samples again returns a copy of it.
    graphs : Graphs, optional
        The graphs that samples are nodes of, for a network on graphs.
    watch : Watch, optional
        Follows the training of networks: learning curves, checkpoints.
    task : str
        What is predicted, a file under ``zoo/tasks/``.
    """

    def __init__(
        self,
        *,
        base: str = "logistic",
        net: str = "mlp",
        budget: Budget,
        seed: int = 0,
        use: str = "base",
        device: Any = None,
        backbone: dict[str, Any] | None = None,
        source: tuple[torch.Tensor, torch.Tensor, Net] | None = None,
        graphs: Any = None,
        watch: Watch | None = None,
        task: str = "classification",
    ) -> None:
        self.base, self.net, self.use = base, net, use
        self.budget, self.seed, self.device, self.source = budget, seed, device, source
        self.backbone, self.graphs, self.watch = backbone or {}, graphs, watch
        self.problem = problem(task)
        self.unconverged = 0  # fits of the base classifier whose solver stopped early

    @property
    def weighted(self) -> bool:
        """Whether sample weights matter to it; to 1-NN duplicates change nothing, so there one resamples."""
        return self.use == "net" or not self.problem.resamples(self.base)

    def fit(self, X: torch.Tensor, y: torch.Tensor, n_classes: int, weight: torch.Tensor | None = None) -> Any:
        """Train on labelled samples; returns a model whose ``predict(X)`` gives class scores [n, n_classes]."""
        if self.use == "base":
            model = self._base(X, y, n_classes, weight)
            self.unconverged += not model.converged
            return model
        from zoo.learners.net import fit_net

        return fit_net(self, X, y, n_classes, weight)

    def _base(self, X: torch.Tensor, y: torch.Tensor, n_classes: int, weight: torch.Tensor | None) -> Any:
        """Fit the base classifier; warns as scikit-learn does where its solver stops early."""
        model = self.fitter(self.base, X, y, n_classes, weight, self.problem.name)
        if not model.converged:
            from sklearn.exceptions import ConvergenceWarning

            warnings.warn(f"{self.base} did not converge: scale the features", ConvergenceWarning, stacklevel=4)
        return model

    @property
    def fitter(self) -> Callable[..., Any]:
        """What fits its base classifier: `zoo.learners.base.fit_base`, or, of another library's, `fit_wrapped`."""
        from zoo.learners import base, wrapped

        return wrapped.fit_wrapped if ":" in self.base else base.fit_base

    def estimator(self, y: Any) -> Any:
        """Its base classifier, not fitted, for labels y."""
        from zoo.learners import wrapped

        return wrapped.estimator(self.base) if ":" in self.base else self.problem.estimator(self.base, y)

    def train(self, task: Task, method: DeepAdapter) -> Net:
        """Train a network by ``min L_s + λ·L_t + Ω`` with the Ω of `method`."""
        from zoo.learners.net import train_net

        return train_net(self, task, method)

    def tune(self, task: Task, method: Tuning) -> Net:
        """Train a copy of ``task.model`` by ``min L_t + Ω``, moving what `method` says."""
        from zoo.learners.net import tune_net

        return tune_net(self, task, method)
