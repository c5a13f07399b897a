"""The contract: what an adapter of each family has to say, and nothing else.

An adapter is one public class in one file. Its class attributes are literals and its constructor only stores, with a
literal default for every parameter, because both are read without importing the file.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.errors import BadInput
from zoo.ops.resample import systematic
from zoo.ops.rows import taken

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch


class Adapter:
    """Fits on a Task, predicts class scores.

    Attributes
    ----------
    needs : set of field names of `zoo.task.Task`
        All it will ever be given.
    family : {'baseline', 'instance', 'feature', 'parameter', 'relational'}
        What it transfers; stated by plugins on plain `Adapter` only, otherwise the folder or the base class says it.
    learner : {'base', 'net', 'both', 'own'}
        Which learner it trains in the end.
    deterministic : bool
        Nothing in it draws random numbers.
    transductive_only : bool
        It has no rule for samples that it was not fitted on.
    source_model : dict
        How its `model` is trained, where not as source_only's is: ``label_smoothing`` of the source's labels;
        ``weight_norm``, whether the classifier's rows are a direction times a length. Methods of equal needs share one.
    tasks : set of files of ``zoo/tasks/``
        What it can predict; in regression `predict` gives [n, 1].
    label_sets : set of {'closed', 'partial', 'open', 'universal'}
        How the target's classes may lie to the source's. One that names open or universal scores `unknown` in a last
        column, ``task.columns`` in all; for others that are closed the harness does, by their entropy.
    sparse : bool
        Sparse samples come to it as sparse CSR tensors; to others dense, where these are of a reasonable size.
    stream : bool
        It has ``observe(X)``, which sees the next batch, may adapt, and returns its scores. Its `needs` may name Xt: a
        fit for a stream is not granted it, and asks ``task.has("Xt")``.
    predicts : {'before', 'after'}
        Of a stream method: whether the scores of a batch are those before the step that it gives, or after.
    title : str
        As papers write its name, where that is not the file's with spaces; it is no part of a cell.
    cite : key in ``zoo/refs.bib``
    space : search ranges, ``{"reg": ("log", 1e-3, 10)}``
    certificate_ : dict of floats, optional
        Set by `fit`: what the method knows about its own result (a duality gap, a residual); goes into the record.
    """

    needs: ClassVar[set[str]] = {"Xs", "ys", "Xt"}
    family: ClassVar[str] = ""
    learner: ClassVar[str] = "own"
    deterministic: ClassVar[bool] = True
    transductive_only: ClassVar[bool] = False
    tasks: ClassVar[set[str]] = {"classification"}
    label_sets: ClassVar[set[str]] = {"closed"}
    stream: ClassVar[bool] = False
    predicts: ClassVar[str] = ""
    sparse: ClassVar[bool] = False
    host_sync: ClassVar[bool] = False
    source_model: ClassVar[dict[str, Any]] = {}
    title: ClassVar[str] = ""
    cite: ClassVar[str] = ""
    space: ClassVar[dict[str, tuple[Any, ...]]] = {}
    model_: Any

    def fit(self, task: Task) -> Adapter:
        """Learn from what the task grants; returns self."""
        raise NotImplementedError

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        """Class scores [n, n_classes] of target samples; rows sum to 1 and do not depend on one another.

        In regression values [n, 1] in the unit of ``task.ys``, which the harness has standardised.

        Where `needs` name graphs, X are numbers of nodes of the target graph A.
        """
        return self.model_.predict(X)

    def predict_source(self, X: Tensor) -> Tensor:
        """Class scores of source samples that were held out (source validation)."""
        return self.predict(X)

    def observe(self, X: Tensor) -> Tensor:
        """Class scores of the next batch of a stream, of 2 samples and more, to which it may adapt."""
        raise NotImplementedError

    def get_params(self) -> dict[str, Any]:
        """The constructor's parameters as stored."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"


class Reweighting(Adapter):
    """Instance family: a method only says `weights`; the base classifier is trained on the source under them.

    With a 1-NN base, where duplicates change nothing, the source is resampled by the weights instead, systematically,
    so that uniform weights keep every row once; with any base where its parameter `how`, if it has one, is 'resample'
    rather than 'weight'.
    """

    family = "instance"
    learner = "base"
    tasks: ClassVar[set[str]] = {"classification", "regression"}

    def weights(self, task: Task) -> Tensor:
        """Non-negative weights [n_s] of the source samples; rescaled to mean 1 by `fit`."""
        raise NotImplementedError

    def fit(self, task: Task) -> Reweighting:
        how = getattr(self, "how", "weight")
        if how not in ("weight", "resample"):
            raise BadInput(f"{type(self).__module__.rpartition('.')[2]}: how is 'weight' or 'resample', got {how!r}")
        w = self.weights(task)
        if not bool(torch.isfinite(w).all()) or bool((w < 0).any()) or float(w.sum()) <= 0:
            raise FloatingPointError("weights are not finite, non-negative and somewhere positive")
        self.weights_ = w * (len(w) / w.sum())
        if task.learner.weighted and how == "weight":
            self.model_ = task.learner.fit(task.Xs, task.ys, task.n_classes, self.weights_)
        else:
            # On the CPU, so that the draw does not depend on the device.
            g = torch.Generator().manual_seed(task.generator.initial_seed())
            offset = float(torch.rand((), generator=g, dtype=torch.float64))
            rows = systematic(self.weights_.cpu(), offset).to(w.device)
            self.model_ = task.learner.fit(taken(task.Xs, rows), task.ys[rows], task.n_classes)
        return self


class Mapping(Adapter):
    """Fixed-feature family: a method only says the maps; the base classifier is trained on the mapped source."""

    family = "feature"
    learner = "base"
    tasks: ClassVar[set[str]] = {"classification", "regression"}

    def fit_map(self, task: Task) -> None:
        """Learn the maps from ``task.Xs`` [n_s, d] and ``task.Xt`` [n_t, d]."""
        raise NotImplementedError

    def source(self, X: Tensor) -> Tensor:
        """Mapped source samples; unchanged by default."""
        return X

    def target(self, X: Tensor) -> Tensor:
        """Mapped target samples; unchanged by default."""
        return X

    def fit(self, task: Task) -> Mapping:
        self.fit_map(task)
        self.model_ = task.learner.fit(self.source(task.Xs), task.ys, task.n_classes)
        return self

    def predict(self, X: Tensor, A: Any = None) -> Tensor:
        return self.model_.predict(self.target(X))

    def predict_source(self, X: Tensor) -> Tensor:
        return self.model_.predict(self.source(X))


class DeepAdapter(Adapter):
    """Learned-feature family: a method only says its Ω; the training loop minimises L_s + λ·L_t + Ω.

    A method with several optimisers overrides ``step(net, opt, b)``, where `b` holds inputs only and
    `zoo.train.forward` fills features and logits.

    Attributes
    ----------
    forward : {'separate', 'joint'}
        Whether source and target pass the network one after the other, or as one batch.
    views : int
        2: batches hold a distorted view of target samples too.
    balanced : bool
        Source batches hold as many samples of each class as of any other.
    rates : dict of floats
        Multiples of the suite's rate for the parts: ``features`` (f1), ``head`` (f2) and ``extra`` (what `setup`
        returns). The suite's `backbone_rate` multiplies the first where a pretrained backbone is trained.
    label_smoothing : float
        Of the source's labels.
    beta1 : float
        Of Adam, where the suite's optimiser is that.
    ema : float
        Decay of the running mean of the parameters that the network ends with; 0: none. In its first steps t the decay
        is ``(1 + t) / (10 + t)`` if that is less, so that a short run does not end near its first weights.
    passes : int
        Training ends after so many passes over the target, if the suite's steps are more; 0: never.
    """

    family = "feature"
    learner = "net"
    deterministic = False
    forward: ClassVar[str] = "separate"
    views: ClassVar[int] = 1
    refresh_every: ClassVar[int] = 0
    balanced: ClassVar[bool] = False
    rates: ClassVar[dict[str, float]] = {"features": 1.0, "head": 1.0, "extra": 1.0}
    label_smoothing: ClassVar[float] = 0.0
    beta1: ClassVar[float] = 0.9
    ema: ClassVar[float] = 0.0
    passes: ClassVar[int] = 0

    def setup(self, net: Net, task: Task) -> nn.Module | None:
        """Extra modules that train along (a discriminator), if any; the engine moves them to the device."""
        return None

    def omega(self, b: Batch) -> Tensor:
        """The scalar Ω of a batch; `zoo.train.Batch` names its fields."""
        raise NotImplementedError

    def refresh(self, net: Net, task: Task) -> None:
        """Called every `refresh_every` steps, every pass over the target where that is -1: pseudo-labels, centroids."""

    def fit(self, task: Task) -> DeepAdapter:
        self.model_ = task.learner.train(task, self)
        return self


class Tuning(Adapter):
    """Parameter family: a method only says what moves, at which rate, and the penalty against the source's θ.

    The loop minimises ``L_t + Ω(θ, θ_source) + Ω`` of a batch, on the labelled target samples.
    """

    needs: ClassVar[set[str]] = {"model", "Xl", "yl"}
    family = "parameter"
    learner = "net"
    deterministic = False

    def setup(self, net: Net, task: Task) -> nn.Module | None:
        """Change the copy of the source model, and make extra modules that train along, if any."""
        return None

    def groups(self, net: Net) -> list[dict[str, Any]]:
        """Optimiser groups ``{"params": [...], "rate": multiple of the suite's rate}``; the rest is frozen.

        A group with a ``start`` between 0 and 1 is frozen until that share of the steps, where a new schedule begins
        for all. Extra modules that no group names have the suite's rate."""
        return [{"params": list(net.parameters()), "rate": 1.0}]

    def omega(self, net: Net, source: Net) -> Tensor:
        """Penalty against the source's parameters; 0 by default."""
        return next(net.parameters()).new_zeros(())

    def omega_batch(self, b: Batch, source: Net) -> Tensor:
        """Penalty of a batch ``xl yl zl ll``; 0 by default."""
        return b.ll.new_zeros(())

    def fit(self, task: Task) -> Tuning:
        self.model_ = task.learner.tune(task, self)
        return self
