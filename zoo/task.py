"""The nouns: a Domain is a set of samples, a Task is what one method may see of one pair.

Nothing here imports torch, so that the driver, which holds the labels, stays light.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from zoo.access import FIELDS
from zoo.errors import LeakError, Unsupported
from zoo.kinds.base import Domain as Domain
from zoo.seeds import derive

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class Task:
    """What one method may see of one source→target pair.

    Fields (torch tensors on `device`): ``Xs, ys`` labelled source; ``Xt`` unlabelled target; ``Xl, yl`` the
    few labelled target samples; ``As, At`` graphs; ``Fs, Ft`` facts; ``model`` a trained source model; ``yt``
    labels of Xt (oracle only); ``ds`` the source domain of each source sample, 0 to ``n_sources`` - 1, all zeros where
    there is one; and the nouns of other kinds of data. Always there: ``learner``, ``n_classes``, ``columns`` (how many
    scores a sample gets), ``device``, ``seed``, ``generator``.

    Raises
    ------
    LeakError
        On reading a field that `needs` does not name.
    Unsupported
        On reading a field that `needs` names but this task was not granted.
    """

    learner: Any
    classes: Any  # the labels that the numbers stand for, of a task made by hand

    def __init__(
        self,
        fields: Mapping[str, Any],
        *,
        needs: Iterable[str],
        learner: Any,
        n_classes: int,
        columns: int | None = None,
        device: Any = "cpu",
        seed: int = 0,
        n_sources: int | None = None,
        memo: Callable[..., Any] = lambda function, *arguments, **options: function(*arguments, **options),
    ) -> None:
        self.needs = frozenset(needs)
        # What was not declared is not in the object, so that no walk over it can find it.
        self.__dict__.update({k: v for k, v in fields.items() if k in self.needs and v is not None})
        self.learner, self.n_classes, self.device, self.seed = learner, n_classes, device, seed
        self.columns = n_classes if columns is None else columns  # one more, for `unknown`, under open label sets
        self.memo = memo
        if n_sources is not None and "ds" in self.needs:
            self.n_sources = n_sources  # said, where the device holds no numbers

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("needs", ()):  # which is not there yet where a copy is made
            raise Unsupported(f"needs {name}, which this task does not grant")
        if name not in FIELDS:
            raise AttributeError(f"a Task has no field {name!r}; it has {', '.join(FIELDS)}")
        raise LeakError(f"task.{name} was read, but the adapter's needs do not name {name!r}")

    def has(self, name: str) -> bool:
        """Whether a field is granted here; asking is never a leak."""
        return name in self.__dict__

    def shared(self, function: Callable[..., T], *fields: str, **options: Hashable) -> T:
        """``function(task.Xs, ..., **options)`` for the fields named, computed once for all methods that see them.

        The function is a module's own, draws no random numbers, and its result is not written into. What it took is
        recorded as ``shared_s`` of every cell that asks for it.

        Examples
        --------
        >>> import numpy as np
        >>> from zoo.ops.kernels import sq_dists
        >>> task = Task.from_arrays(np.eye(2), [0, 1], 3 * np.eye(2))
        >>> task.shared(sq_dists, "Xs", "Xt").tolist()
        [[4.0, 10.0], [10.0, 4.0]]
        """
        arguments = [getattr(self, name) for name in fields]  # a read like any other: undeclared ones are leaks
        return self.memo(function, *arguments, **options)

    @cached_property
    def n_sources(self) -> int:
        """How many source domains `ds` numbers.

        Raises
        ------
        LeakError, Unsupported
            As on reading `ds`.
        """
        return int(self.ds.max()) + 1

    def alone(self, source: int) -> Task:
        """The same task with one of its source domains alone.

        >>> task = Task.from_arrays([[0.0], [1.0], [2.0]], [0, 1, 0], [[3.0]], ds=[1, 0, 1])
        >>> task.alone(1).Xs.tolist(), task.alone(1).n_sources
        ([[0.0], [2.0]], 1)
        """
        from zoo.ops.rows import taken

        rows = self.ds == source
        own = {"Xs": taken(self.Xs, rows), "ys": self.ys[rows], "ds": self.ds[rows] - source}
        how = {name: getattr(self, name) for name in ("needs", "learner", "n_classes", "columns", "device", "seed")}
        return type(self)({**self.__dict__, **own}, **how)

    @cached_property
    def generator(self) -> torch.Generator:
        """The method's own random numbers, seeded by the cell's seed; None on the meta device."""
        import torch

        if torch.device(self.device).type == "meta":
            return None  # type: ignore[return-value]
        return torch.Generator(self.device).manual_seed(derive("method", self.seed))

    @classmethod
    def from_arrays(
        cls,
        Xs: Any,
        ys: Any,
        Xt: Any = None,
        Xl: Any = None,
        yl: Any = None,
        *,
        ds: Any = None,
        model: Any = None,
        base: str = "",
        net: str = "mlp",
        seed: int = 0,
        classes: Any = None,
        task: str = "classification",
        **budget: Any,
    ) -> Task:
        """Make a task by hand, to use an adapter without the harness.

        Labels are numbered in the order of the task's ``classes``, which are those of `ys` and `yl`, sorted.

        Parameters
        ----------
        Xs, ys, Xt, Xl, yl : array-likes
            Source samples [n_s, ...] and labels [n_s], target samples, labelled target samples and labels: numbers of
            any type and byte order, data frames, sparse matrices, tensors; labels of any kind.
        ds : array-like, optional
            The source domain of each source sample, by any kind of label; not said: there is one.
        model : Net, optional
            A trained source model.
        base, net : str
            Names of the base learner (default: the task's) and of the network that deep adapters and tunings train.
        classes : array-like, optional
            All classes, where `ys` and `yl` lack some.
        task : str
            What is predicted, a file of ``zoo/tasks/``. Real values are handed over as they are: standardise them.
        **budget
            Fields of `zoo.train.Budget`, such as ``steps=300``.

        Raises
        ------
        BadArray
            NaN, text, unequal widths or lengths, one class only: what, where, and what would be right.

        >>> from zoo.adapters.feature.coral import Coral
        >>> import numpy as np; rng = np.random.default_rng(0)
        >>> y = np.arange(60) % 2; X = rng.normal(size=(60, 3)) + 3 * y[:, None]
        >>> task = Task.from_arrays(X, y, 2 * X)
        >>> Coral().fit(task).predict(task.Xt).shape
        torch.Size([60, 2])
        """
        import numpy as np
        import torch

        from zoo import arrays
        from zoo.learners import Learner
        from zoo.tasks import problem
        from zoo.tasks._options import based
        from zoo.train import Budget

        solved = problem(task)
        found = arrays.given(Xs, ys, Xt, Xl, yl, classes=classes, values=not solved.classes)
        fields = {k: getattr(found, k) for k in ("Xs", "ys", "Xt", "Xl", "yl")}
        fields["ds"] = np.unique(
            np.zeros(len(found.ys)) if ds is None else arrays.labels(ds, "ds", len(found.ys)), return_inverse=True
        )[1].astype(np.int64)
        given = {k: None if v is None else torch.from_numpy(v) for k, v in fields.items()}
        made = cls(
            {**given, "model": model},
            needs=(*given, "model"),
            learner=Learner(task=task, base=based(solved, base), net=net, budget=Budget(**budget), seed=seed),
            n_classes=max(len(found.classes), 1),
            seed=seed,
        )
        made.classes = found.classes
        return made
