"""What a suite predicts, one file a task: its labels, learners, loss and metrics.

A public subclass of `Problem` in a file here is found by the file's name, which a suite's ``task:`` says. The driver
asks a problem for labels, splits, scale and metrics; a worker for estimators, losses and what scores have to be.
"""

from __future__ import annotations

import ast
import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor


class Problem:
    """What is predicted, and what follows from that.

    Attributes
    ----------
    metric : what tables show unless told otherwise
    bases : the base learners, the standard one first
    options : what may be said of some of them, with its default
    resampled : those of them that cannot use weights, so that samples are drawn by them instead
    classes : whether labels are numbers of classes
    """

    metric: ClassVar[str]
    bases: ClassVar[tuple[str, ...]]
    options: ClassVar[dict[str, dict[str, float]]] = {}
    resampled: ClassVar[tuple[str, ...]]
    classes: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def option(self, text: str) -> tuple[str, dict[str, Any]]:
        """A base learner's name and all its options."""
        name, given = parted(text)
        return name, self.options.get(name, {}) | given

    def resamples(self, text: str) -> bool:
        """Whether a base learner cannot use weights."""
        return parted(text)[0] in self.resampled

    # Of the driver ----------------------------------------------------------------------------------------------------

    def encoded(self, labels: dict[str, np.ndarray], where: dict[str, str]) -> tuple[dict[str, np.ndarray], list[str]]:
        """Labels of each domain, as a loader gives them, in numbers; and what the numbers stand for, if for classes.

        `where` says of each domain where it lies, for messages.

        Raises
        ------
        BadInput
            Labels that this task cannot have, with the domain.
        """
        raise NotImplementedError

    def remark(self, labels: dict[str, np.ndarray], classes: list[str]) -> str:
        """What is odd about labels that the task can have; empty if nothing is."""
        return ""

    def scale(self, y: np.ndarray) -> tuple[float, float]:
        """The place and the spread of labels that a pair's training part has, in whose unit methods get theirs."""
        return 0.0, 1.0

    def handed(self, y: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
        """Labels as methods get them."""
        return y

    def given(self, scores: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
        """Scores in the unit of the file's labels."""
        return scores

    def metrics(self, scores: np.ndarray, y: np.ndarray, classes: np.ndarray | None = None) -> dict[str, float | None]:
        """Metrics of scores [n, columns] in the unit of the labels y [n]; those of each class over some classes."""
        raise NotImplementedError

    # Of either side ---------------------------------------------------------------------------------------------------

    def fault(self, scores: np.ndarray) -> str:
        """Why finite numbers are no scores of this task; empty if they are."""
        return ""

    # Of a worker ------------------------------------------------------------------------------------------------------

    def constant(self, y: Tensor, columns: int) -> Tensor:
        """The best scores [columns] that know no features."""
        raise NotImplementedError

    def estimator(self, base: str, y: np.ndarray) -> Any:
        """The scikit-learn estimator that stands behind a base learner's name, for labels y."""
        raise NotImplementedError

    def scores(self, estimator: Any, rows: Any, columns: int) -> np.ndarray:
        """What a fitted estimator says of rows, as scores [n, columns]."""
        raise NotImplementedError

    def losses(self, outputs: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
        """The loss [n] of a network's outputs [n, columns]."""
        raise NotImplementedError

    def agreement(self, scores: Tensor, y: Tensor) -> float:
        """How well scores [n, columns] tell labels, the higher the better."""
        raise NotImplementedError

    def activated(self, outputs: Tensor) -> Tensor:
        """A network's outputs as scores."""
        raise NotImplementedError


def parted(text: str) -> tuple[str, dict[str, Any]]:
    """A base learner's name, and the options in brackets behind it.

    >>> parted("svc(C=10.0, gamma=0.01)")
    ('svc', {'C': 10.0, 'gamma': 0.01})

    Raises
    ------
    BadInput
        What stands in the brackets is no list of options.
    """
    name, bracket, inside = text.partition("(")
    if not bracket:
        return name, {}
    try:
        (call,) = ast.parse(f"f({inside}").body
        keywords = call.value.keywords if isinstance(call, ast.Expr) and isinstance(call.value, ast.Call) else []
        found = {str(k.arg): ast.literal_eval(k.value) for k in keywords}
    except (SyntaxError, ValueError):
        keywords, found = [], {}
    if not found or len(found) < len(keywords):
        how = f"write {name}, or {name} with its options, each once and finite, as in base: {{svc: {{C: 10}}}}"
        raise BadInput(f"base: {text!r}: {how}")
    return name, found


@cache
def problem(name: str) -> Problem:
    """The problem of a task's name, which is a file here.

    >>> problem("classification").bases
    ('logistic', '1nn', 'knn', 'linear_svm', 'svc')
    """
    module = importlib.import_module(f"{__name__}.{name}")
    (cls,) = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]
    found: Problem = cls()
    return found
