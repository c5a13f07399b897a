"""Every method as a scikit-learn estimator: ``zoo.estimator("coral", reg=0.1).fit(Xs, ys, Xt).predict(X)``.

A class is made for each method when it is first asked for, with the method's parameters in its signature, so that
`clone`, `GridSearchCV`, pickle and `repr` see nothing unusual: ``zoo.estimators.Coral`` is one of them.
"""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from zoo import arrays, discover
from zoo.access import trained
from zoo.discover import MethodInfo
from zoo.errors import BadInput
from zoo.estimable import refusal
from zoo.parameters import cast
from zoo.seeds import derive
from zoo.task import Task
from zoo.tasks import problem
from zoo.tasks._options import based
from zoo.train import Budget, seeded

# Of a network; a method's own parameter comes before one of them. Smoothing is for source models that ask for it.
BUDGET = {f.name: f.default for f in fields(Budget) if f.name != "label_smoothing"}


def estimator(name: str, **parameters: Any) -> Estimator:
    """A method as a scikit-learn classifier.

    Parameters
    ----------
    name : a method of ``zoo list methods``
    **parameters : the method's own (``zoo info METHOD``); ``base`` of methods that train a base classifier; ``net``,
        ``steps``, ``batch_size``, ``learning_rate`` and the other fields of `zoo.train.Budget` of those that train a
        network; ``learner="net"`` has a baseline train the network; ``seed``; ``device``

    Raises
    ------
    BadInput
        No such method or parameter, with those that were perhaps meant; or a method that arrays do not suffice for.

    Examples
    --------
    >>> import numpy as np, zoo
    >>> rng = np.random.default_rng(0)
    >>> ys = np.where(np.arange(80) % 2, "ill", "well")
    >>> Xs = rng.normal(size=(80, 3)) + 3 * (ys == "ill")[:, None]
    >>> coral = zoo.estimator("coral", reg=0.1).fit(Xs, ys, Xt=2 * Xs + 5)
    >>> coral.predict(2 * Xs[:3] + 5).tolist(), coral.classes_.tolist()
    (['well', 'ill', 'well'], ['ill', 'well'])
    >>> zoo.estimator("corral")
    Traceback (most recent call last):
    zoo.errors.BadInput: unknown method 'corral': did you mean 'coral' ...?
    """
    return _class(name)(**parameters)


class Estimator(ClassifierMixin, BaseEstimator):
    """What the estimators of all methods share.

    Attributes
    ----------
    classes_ : the labels of the source and of labelled target samples, sorted
    n_features_in_, feature_names_in_ : as scikit-learn has them
    adapter_ : the fitted method
    weights_ : [n_s], of reweightings: the weights of the source samples in the order given, of mean 1
    transduction_ : labels of the fitted `Xt`, of methods that have a rule of their own for these
    """

    info: ClassVar[MethodInfo]
    adapter_: Any
    classes_: np.ndarray

    def fit(self, X: Any, y: Any = None, Xt: Any = None, Xl: Any = None, yl: Any = None, *, domain: Any = None) -> Any:
        """Fit on labelled source samples and what else the method takes.

        Parameters
        ----------
        X, y : source samples [n_s, d] and their labels, of any kind
        Xt : target samples [n_t, d], without labels
        Xl, yl : the few labelled target samples, of methods that take them
        domain : [n], in place of the last three: for each row of `X` ``source``, ``target`` or ``labelled`` (a target
            sample whose label may be used), or 0 and 1 for the first two. Labels of ``target`` rows are never looked at

        Raises
        ------
        BadArray
            What is wrong with the arrays, in one line.
        """
        parameters = self._parameters()
        if domain is not None:
            if not (Xt is None and Xl is None and yl is None):
                raise arrays.BadArray("domain: it tells the rows of X apart, so leave Xt, Xl and yl out")
            wanted = {"Xs": "source", "Xt": "target", "Xl": "labelled"}
            needed = [role for field, role in wanted.items() if field in {*self.info.needs, "Xs"}]
            given = arrays.parted(X, y, domain, needed, self.info.name)
        else:
            if y is None:
                arrays.labels(y, "y")
            given = arrays.given(X, y, self._target(X, Xt), Xl, yl, warn=True)
        self._refuse(given)
        validate_data(self, X, skip_check_array=True)
        self._fit(given, parameters)
        return self

    def predict(self, X: Any, *, domain: Any = None) -> np.ndarray:
        """The class of each row, as one of `classes_`; see `predict_proba`."""
        scores = self.predict_proba(X, domain=domain)
        return self.classes_[scores.argmax(1)]

    def predict_proba(self, X: Any, *, domain: Any = None) -> np.ndarray:
        """Scores [n, n_classes] of target samples, which sum to 1.

        Parameters
        ----------
        domain : as for `fit`: rows of the source are then scored by the method's rule for these
        """
        X = self._seen(X)
        found = np.empty((len(X), len(self.classes_)))
        for rows, rule in self._ruled(X, domain, self.adapter_.predict, self.adapter_.predict_source):
            found[rows] = self._asked(rule, X[rows])
        return found

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, domain: Any = None) -> float:
        """Accuracy; each row by the rule of its `domain`, which is the target's unless said."""
        from sklearn.metrics import accuracy_score

        known = arrays.labels(y, "y", arrays.length(X, "X"))
        return float(accuracy_score(known, self.predict(X, domain=domain), sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = self.info.learner == "net"
        return tags

    def _parameters(self) -> dict[str, Any]:
        """The values that were set, of their defaults' types."""
        defaults = _defaults(self.info)
        given = {k: v.item() if isinstance(v, np.generic) else v for k, v in self.get_params(deep=False).items()}
        found = {k: cast(f"{self.info.name}.{k}", v, defaults[k]) for k, v in given.items()}
        found |= {"base": based(problem("classification"), found["base"])} if "base" in found else {}
        for key, known in (
            ("learner", LEARNERS),
            ("net", [name for name, net in discover.nets().items() if not net.graphs]),
        ):
            if key in found and found[key] not in known:
                raise discover.unknown(key, found[key], known)
        return found

    def _target(self, X: Any, Xt: Any) -> Any:
        """The target; of methods that adapt to one where none is given, the source itself, and it is said."""
        if Xt is None and "Xt" in self.info.needs:
            warnings.warn(
                f"{self.info.name}: no target was given, so the source is taken for it and nothing is adapted to: "
                "fit(Xs, ys, Xt), or fit(X, y, domain=...)",
                UserWarning,
                stacklevel=3,
            )
            return X
        return Xt

    def _refuse(self, given: arrays.Given) -> None:
        """Say what the method lacks, or would leave unread."""
        info = self.info
        if "Xl" in info.needs and given.Xl is None:
            raise arrays.BadArray(f"{info.name} needs labelled target samples: fit(Xs, ys, Xl=..., yl=...)")
        if given.Xl is not None and not self._takes_labelled:
            raise arrays.BadArray(f"{info.name} takes no labelled target samples: leave Xl and yl out")
        if self._flat and given.Xs.ndim > 2:
            raise arrays.BadArray(
                f"Found array with dim {given.Xs.ndim}, while dim <= 2 is required: {info.name} takes rows of features"
            )

    @property
    def _takes_labelled(self) -> bool:
        """Labelled target samples join the loss of every deep adapter: λ·L_t."""
        return "Xl" in self.info.needs or self.info.kind == "deep"

    @property
    def _use(self) -> str:
        return "net" if self.info.learner == "net" else getattr(self, "learner", "base")

    @property
    def _flat(self) -> bool:
        return self._use != "net" and "model" not in self.info.needs

    def _fit(self, given: arrays.Given, parameters: dict[str, Any]) -> None:
        """As a worker of the harness does it; see `zoo.vault.session`."""
        import torch

        from zoo import machine
        from zoo.learners import Learner

        info, device, seed = self.info, machine.device(parameters["device"]), parameters["seed"]
        self.classes_ = given.classes
        codes = {name: getattr(given, name) for name in ("Xs", "ys", "Xt", "Xl", "yl")}
        granted: dict[str, Any] = {k: torch.from_numpy(v).to(device) for k, v in codes.items() if v is not None}
        budget = Budget(**{k: v for k, v in parameters.items() if k in BUDGET and k not in info.parameters})
        options: dict[str, Any] = {"base": parameters.get("base", "logistic"), "net": parameters.get("net", "mlp")}
        options |= {"budget": budget, "seed": seed, "device": device}
        source, model = None, None
        if "model" in info.needs:
            own, backbone = trained(info.source_model)
            trainer = Learner(**(options | {"budget": replace(budget, **own), "backbone": backbone}), use="net")
            model = trainer.fit(granted["Xs"], granted["ys"], len(given.classes)).eval()
            source = (granted["Xs"], granted["ys"], model) if "Xs" in info.needs else None
        needs = set(info.needs) | ({"Xl", "yl"} & granted.keys() if self._takes_labelled else set())
        with _seeded(seed):
            task = Task(
                granted | {"ds": torch.zeros_like(granted["ys"]), "model": model},
                needs=needs,
                learner=Learner(**options, use=self._use, source=source),
                n_classes=len(given.classes),
                device=device,
                seed=seed,
            )
            method = discover.load(info)(**{k: v for k, v in parameters.items() if k in info.parameters})
            self.adapter_ = method.fit(task)
        self._shape = given.Xs.shape[1:]
        if hasattr(self.adapter_, "weights_"):
            self.weights_ = self.adapter_.weights_.detach().cpu().numpy()
        if hasattr(self.adapter_, "scores_t") and given.Xt is not None:
            self.transduction_ = self.classes_[self._asked(lambda X: self.adapter_.scores_t(), given.Xt).argmax(1)]

    def _seen(self, X: Any) -> np.ndarray:
        """Samples to predict or map, checked against those of the fit."""
        check_is_fitted(self)
        found = arrays.samples(X, "X")
        validate_data(self, X, reset=False, skip_check_array=True)
        if found.shape[1:] != self._shape:
            raise arrays.BadArray(f"X has samples of shape {found.shape[1:]}, but the fit had {self._shape}")
        return found

    def _ruled(self, X: np.ndarray, domain: Any, target: Any, source: Any) -> Iterator[tuple[Any, Any]]:
        if domain is None:
            yield slice(None), target
            return
        role = arrays.roles(domain, len(X))
        for rows, rule in ((role != "source", target), (role == "source", source)):
            if rows.any():
                yield rows, rule

    def _asked(self, rule: Any, X: np.ndarray) -> np.ndarray:
        """What a rule of the adapter says of rows, as a float64 array that is finite."""
        import torch

        from zoo import machine

        if self.info.transductive_only and rule == self.adapter_.predict:
            raise BadInput(
                f"{self.info.name} has no rule for new samples: see transduction_ for those of the fitted Xt"
            )
        device = machine.device(self.device)  # type: ignore[attr-defined]
        with torch.no_grad(), _seeded(int(self.seed)):  # type: ignore[attr-defined]
            found = rule(torch.from_numpy(np.ascontiguousarray(X)).to(device))
        found = found.detach().double().cpu().numpy()
        if not np.isfinite(found).all():
            raise FloatingPointError(f"{self.info.name} gave values that are NaN or infinite: look at the scale of X")
        return found


class Reweighted(Estimator):
    """A reweighting: `weights_` are those of the source samples."""

    weights_: np.ndarray


class Mapped(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator):
    """A mapping: `transform` gives what its classifier sees, so that another may follow in a pipeline."""

    def transform(self, X: Any, *, domain: Any = None) -> np.ndarray:
        """Mapped target samples [n, d]; with `domain`, rows of the source by the source's map."""
        X = self._seen(X)
        rules = self._ruled(X, domain, self.adapter_.target, self.adapter_.source)
        parts = [(rows, self._asked(rule, X[rows])) for rows, rule in rules]
        found = np.empty((len(X), parts[0][1].shape[1]))
        for rows, mapped in parts:
            found[rows] = mapped
        return found

    def fit_transform(self, X: Any, y: Any = None, Xt: Any = None, *, domain: Any = None) -> np.ndarray:
        """Fit, then map the rows of `X`: the source's, or with `domain` each by its own map."""
        self.fit(X, y, Xt, domain=domain)
        return self.transform(X, domain=np.zeros(arrays.length(X, "X"), int) if domain is None else domain)

    @property
    def _n_features_out(self) -> int:
        return int(self.transform(np.zeros((1, *self._shape), np.float32)).shape[1])


def expected_failed_checks(estimator: Estimator) -> dict[str, str]:
    """Checks of `sklearn.utils.estimator_checks.check_estimator` that have no meaning for a method, with the reason.

    >>> from sklearn.utils.estimator_checks import check_estimator
    >>> checked = estimator("source_only")
    >>> _ = check_estimator(checked, expected_failed_checks=expected_failed_checks(checked), on_skip=None)
    """
    return dict(FAILS.get(estimator.info.name, {}))


ROUNDS = "its rounds are bounded by max_iter, and not counted"
APART = "source and target are mapped apart: what fit_transform makes of the source is not what transform makes of it"
EQUAL = "rows of one column have equal unit vectors, which it says in its own words"
MOVED = dict.fromkeys(("check_transformer_data_not_an_array", "check_transformer_general"), APART)
COUNTED = dict.fromkeys(("check_non_transformer_estimators_n_iter", "check_transformer_n_iter"), ROUNDS)
COLUMN = {"check_fit2d_1feature": EQUAL}
FAILS: dict[str, dict[str, str]] = {
    "dummy": {"check_classifiers_train": "it scores by class frequencies, so no accuracy can be asked of it"},
    "jdot": COUNTED,
    "wjdot": COUNTED | {"check_classifiers_train": "its early stopping cannot tell which of two classes is which"},
    "ot_class": COUNTED | MOVED,
    "ot_sinkhorn": COUNTED | MOVED,
    "jgsa": MOVED | COLUMN,
    "tjm": COLUMN,
    "jda": COLUMN,
    "bda": COLUMN,
}
LEARNERS = ("base", "net")
MIXINS = {"mapping": Mapped, "reweighting": Reweighted}


@cache
def _class(name: str) -> type[Estimator]:
    """The estimator's class of a method."""
    known = discover.methods()
    if name not in known:
        raise discover.unknown("method", name, known)
    info = known[name]
    if why := refusal(info):
        raise BadInput(f"{name} {why}")
    defaults = _defaults(info)

    def __init__(self: Any, **given: Any) -> None:
        if odd := given.keys() - defaults.keys():
            raise discover.unknown(f"parameter of {name}:", min(odd), defaults)
        for key, default in defaults.items():
            setattr(self, key, given.get(key, default))

    keyword = inspect.Parameter.KEYWORD_ONLY
    listed = [inspect.Parameter(k, keyword, default=v) for k, v in defaults.items()]
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = inspect.Signature([me, *listed])  # type: ignore[attr-defined]
    says = {"__init__": __init__, "__doc__": info.doc, "__module__": __name__, "info": info}
    return type(_camel(name), (MIXINS.get(info.kind, Estimator),), says)


def _defaults(info: MethodInfo) -> dict[str, Any]:
    """Parameters of a method's estimator with their defaults: the method's own first."""
    found: dict[str, Any] = dict(info.parameters)
    if info.learner in ("base", "both"):
        found.setdefault("base", "logistic")
    if info.learner == "both":
        found.setdefault("learner", "base")
    if info.learner in ("net", "both") or "model" in info.needs:
        found = {"net": "mlp", **BUDGET} | found
    return dict(info.parameters) | found | {"seed": 0, "device": "cpu"}


def _camel(name: str) -> str:
    return name.title().replace("_", "")


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global generators under the seed, as in a worker; left as they were."""
    kept, other, number = np.random.get_state(), random.getstate(), derive("global", seed)
    with seeded("global", seed):
        np.random.seed(number % 2**32)
        random.seed(number)
        try:
            yield
        finally:
            np.random.set_state(kept)
            random.setstate(other)


def __getattr__(name: str) -> type[Estimator]:
    """The class of a method by its name, such as ``Coral``: what pickle looks for."""
    if not name.startswith("_"):
        for method in discover.methods():
            if _camel(method) == name:
                return _class(method)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
