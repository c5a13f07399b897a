"""A suite says what is compared under which protocol: a YAML file, checked before anything runs."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from zoo import discover, document, plain, streams
from zoo.bench import foreign, guests
from zoo.bench.own import MANY, Own, beside
from zoo.errors import BadInput
from zoo.label_sets import OPEN
from zoo.tasks import Problem, parted, problem
from zoo.tasks._options import based, joined

if TYPE_CHECKING:
    from zoo.data.base import Dataset
    from zoo.infos import NetInfo
    from zoo.kinds.base import Kind

# Keys that matter only to a network, only to a base classifier, and to no single cell.
BUDGET_KEYS = frozenset(
    {
        "steps",
        "batch_size",
        "learning_rate",
        "optimiser",
        "momentum",
        "nesterov",
        "weight_decay",
        "schedule",
        "backbone_rate",
        "target_weight",
        "precision",
        "augment",
        "compile",
        "deterministic",
    }
)
BACKBONE_KEYS = frozenset({"weights", "trainable", "bottleneck"})
NET_KEYS = BUDGET_KEYS | BACKBONE_KEYS | {"net"}
BASE_KEYS = frozenset({"base", "features"})
KIND_KEYS = frozenset({"examples", "negative_ratio", "window", "step", "rate"})  # of kinds that say so
STREAM_KEYS = frozenset({"order", "stream_batch"})  # of a stream
TABLE_KEYS = frozenset(  # or are in the data
    ["name", "pairs", "methods", "seeds", "trials", "reference", "classes", "sources"]
)
BACKBONE_RATE = 0.1  # of a pretrained backbone that is trained, unless the suite says otherwise: the field's
DICT = Path("the suite given as a dict")
BOTTLENECK = 256  # of torchvision's models, unless the suite says otherwise: the field's usual width


class Sides(BaseModel):
    """The classes that samples of each side of a pair are of; none said: all."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    source: tuple[str, ...] = ()
    target: tuple[str, ...] = ()


class Suite(BaseModel):
    """A resolved suite; DESIGN section 5 and docs/suites.md list its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    dataset: str = ""
    data: Own | None = None
    normalise: tuple[Literal["l1", "l2", "zscore"], ...] = ()
    normalise_by: Literal["domain", "source"] = "domain"
    pairs: tuple[str, ...] = ()
    sources: Literal["pooled", "each"] = "pooled"
    protocol: Literal["", "holdout", "transductive", "folds", "stream"] = ""
    order: Literal["", "shuffled", "by_class", "by_domain"] = ""
    stream_batch: int = Field(0, ge=0, le=MANY)
    task: str = "classification"
    label_sets: Literal["closed", "partial", "open", "universal"] = "closed"
    reject: Literal["", "entropy"] = ""
    base: str = ""
    net: str = ""
    weights: str = ""
    trainable: str = Field("", pattern="^(|all|head|top:[1-9][0-9]{0,5})$")
    bottleneck: int = Field(-1, ge=-1, le=65536)
    augment: Literal["none", "crop_flip"] = "none"
    reference: str = ""
    labels: int | Literal["all"] = 0
    classes: Literal["", "shared"] | Sides = ""
    examples: int = Field(0, ge=0, le=MANY)
    negative_ratio: int = Field(2, ge=1, le=MANY)
    window: str = Field("", coerce_numbers_to_str=True)
    step: str = Field("", coerce_numbers_to_str=True)
    rate: float = Field(0.0, ge=0, le=MANY)
    features: Literal["", "raw", "source", "frozen", "tfidf"] = ""
    steps: int = Field(1000, ge=1, le=MANY)
    batch_size: int = Field(64, ge=2, le=MANY)
    learning_rate: float = Field(1e-3, gt=0)
    optimiser: Literal["adam", "sgd"] = "adam"
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "constant", "annealed"] = "cosine"
    backbone_rate: float | None = Field(None, gt=0)
    target_weight: float = Field(1.0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    deterministic: bool = True
    methods: tuple[str | dict[str, dict[str, Any]], ...] = ()
    seeds: int = Field(5, ge=1, le=1000)
    trials: int = Field(1, ge=1, le=1000)  # of each method, its defaults counted

    @field_validator("name")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        if why := plain.unfit_name(value):
            raise ValueError(f"{value!r} {why}")
        return value

    @field_validator("methods", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | dict) else value

    @field_validator("pairs", mode="before")
    @classmethod
    def _one_pair_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("base", mode="before")
    @classmethod
    def _with_options(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) == 1:
            (name, options), *_ = value.items()
            if isinstance(name, str) and isinstance(options, dict | None):
                value = joined(name, options or {})
        if not isinstance(value, str):
            raise ValueError("expected one learner, such as svc, or one with its options, such as {svc: {C: 10}}")
        known = {base for task in discover.names("tasks") for base in problem(task).bases}
        if value and ":" not in (name := parted(value)[0]) and name not in known:  # others' are looked up later
            raise ValueError(str(discover.unknown("base learner", name, known)))
        return value

    @field_validator("classes", mode="before")
    @classmethod
    def _of_either_side(cls, value: Any) -> Any:
        sides = isinstance(value, Mapping) and set(value) <= set(Sides.model_fields)
        if value in ("", "shared") or isinstance(value, Sides) or (sides and all(map(_is_list, value.values()))):
            return value
        raise ValueError("write shared, or the classes of each side, as in {source: [a, b], target: [a]}")

    @field_validator("stream_batch")
    @classmethod
    def _has_a_variance(cls, value: int) -> int:
        if value == 1:
            raise ValueError("batches of a stream are of 2 samples and more")
        return value

    @field_validator("labels")
    @classmethod
    def _not_negative(cls, value: int | str) -> int | str:
        if isinstance(value, int) and not 0 <= value <= MANY:
            raise ValueError("labels are a number of samples per class, 0 or more, or 'all'")
        return value

    @property
    def net_budget(self) -> dict[str, Any]:
        """The fields of `zoo.train.Budget`."""
        return {k: getattr(self, k) for k in sorted(BUDGET_KEYS)}

    @property
    def backbone(self) -> dict[str, Any]:
        """The options of `zoo.nets.build`."""
        return {k: getattr(self, k) for k in sorted(BACKBONE_KEYS)}

    @cached_property
    def source(self) -> Dataset:
        """The data set, or one's own data."""
        if self.data is None:
            if self.dataset not in (known := foreign.known()):
                raise BadInput(f"{discover.unknown('dataset', self.dataset, known)}; a plugin's wants --plugin FILE.py")
            return foreign.made(known[self.dataset])
        from zoo.data import _own

        return _own.dataset(self.data.model_dump())

    @cached_property
    def kind(self) -> Kind:
        """What its domains are made of."""
        if (name := self.source.kind) not in (known := discover.kinds()):
            raise discover.unknown(f"kind of {self.dataset}:", name, known)
        return cast("Kind", discover.load(known[name])())

    @cached_property
    def network(self) -> discover.NetInfo | None:
        """What is known of its network; nothing of torchvision's."""
        return discover.nets().get(self.net)

    @property
    def problem(self) -> Problem:
        """What it predicts."""
        return problem(self.task)

    @property
    def sides(self) -> Sides | None:
        """The classes of each side of a pair, where they are said."""
        return self.classes if isinstance(self.classes, Sides) else None

    @property
    def open(self) -> bool:
        """Whether a target has classes that are unknown."""
        return self.label_sets in OPEN

    @property
    def metric(self) -> str:
        """What tables show unless told otherwise."""
        return "hos" if self.open else self.kind.metric or self.problem.metric

    @property
    def encodes(self) -> bool:
        """Whether its network is a pretrained encoder of texts."""
        return self.net.startswith("hf:")

    @property
    def convolves(self) -> bool:
        """Whether its network reads graphs."""
        return self.network is not None and self.network.graphs

    def cell_keys(self, *, net: bool, base: bool) -> dict[str, Any]:
        """What of the suite a cell depends on: the keys of its own learner, and those of the protocol.

        Paths are none of it: data are known by their content, and so are weights.
        """
        unused = NET_KEYS - ({"net", "weights"} if base and self.features == "frozen" else set())
        drop = TABLE_KEYS | {"data"} | (frozenset() if net else unused) | (frozenset() if base else BASE_KEYS)
        drop |= KIND_KEYS - self.kind.keys
        drop |= frozenset() if self.protocol == streams.NAME else STREAM_KEYS
        drop |= frozenset() if self.open else {"reject"}
        drop -= frozenset() if self.sides is None else {"classes"}  # a domain is not other data on another side
        said = self.model_dump(mode="json") | {"weights": self.pretrained}
        said |= {"net": self.source_of_net} if self.encodes else {}
        said |= {"impute": self.data.impute} if self.data is not None and self.data.imputes else {}
        return {k: v for k, v in said.items() if k not in drop}

    @property
    def pretrained(self) -> str:
        """What the weights are: the content of a file, torchvision's by their name, or none."""
        return self.weights if self.weights in ("", "default") or _is_member(self.weights) else _digest(self.weights)

    @property
    def source_of_net(self) -> str:
        """What an encoder is, wherever it lies."""
        found: str = importlib.import_module("zoo.nets._hf").content(self.net)
        return f"hf {found}"

    def recorded(self) -> dict[str, Any]:
        """The suite as run.json holds it: a file of weights by its name and content."""
        of_file = self.pretrained != self.weights
        weights = f"{Path(self.weights).name} ({self.pretrained})" if of_file else self.weights
        return self.model_dump(mode="json") | {"weights": weights}


def load(given: str | Path | Mapping[str, Any], overrides: dict[str, Any], plugins: Iterable[str | Path] = ()) -> Suite:
    """Read a suite by its name or file, or its keys as a dict; command line over file over defaults.

    Raises
    ------
    BadInput
        Unknown suite, malformed YAML (line named), unknown or wrong key (line and key named).
    """
    path, keys, lines = _keys(given)
    if empty := [k for k in ("methods", "pairs") if overrides.get(k) is not None and not overrides[k]]:
        raise BadInput(f"--{empty[0]}: names none; leave it out for those of the suite")
    name = keys.get("dataset") or "own" if path == DICT else path.stem
    whole = {"name": name} | keys | {k: v for k, v in overrides.items() if v is not None}
    try:
        suite = Suite.model_validate(whole)
    except ValidationError as error:
        raise BadInput(_explain(error, path, lines, overrides)) from None
    suite = suite.model_copy(update={"dataset": suite.dataset or "own", "data": beside(path, suite.data)})
    datasets = foreign.known(plugins)
    if suite.data is not None and suite.dataset in datasets:
        raise BadInput(f"{path}: dataset: {suite.dataset} is a known data set: give your own data: another name")
    if suite.data is None and suite.dataset not in datasets:
        if "dataset" not in keys:
            raise BadInput(
                f"{path}: dataset: missing; name a known data set (zoo list datasets) or give your own data:"
            )
        raise discover.unknown("dataset", suite.dataset, datasets)
    suite = _resolved(foreign.placed(suite, datasets), guests.known(plugins))
    suite.kind.check(suite)
    return suite


def _keys(given: str | Path | Mapping[str, Any]) -> tuple[Path, dict[str, Any], dict[str, int]]:
    """Where a suite stands, its keys, and their lines."""
    if isinstance(given, Mapping):
        return DICT, cast("dict[str, Any]", document.plainly(given, str(DICT))), {}
    known, name = discover.suites(), str(given)
    _is_suite(name)
    path = Path(name) if name.endswith((".yaml", ".yml")) else known[name].path if name in known else None
    if path is None:
        raise discover.unknown("suite", name, known)
    return path, *document.read(path)


def _resolved(suite: Suite, nets: dict[str, NetInfo]) -> Suite:
    """The keys whose defaults hang on others: the protocol, the net, its options, and what base learners see."""
    kind = suite.kind
    if suite.task not in (tasks := discover.names("tasks")):
        raise discover.unknown("task", suite.task, tasks)
    base = based(suite.problem, suite.base)
    protocol, reference = suite.protocol or kind.protocols[0], suite.reference or kind.reference
    if suite.labels == "all" and protocol != "holdout":
        raise BadInput("labels: all needs protocol: holdout (in transductive the test would be empty)")
    net = suite.net or kind.net
    if suite.encodes and kind.name != "text":
        raise BadInput(f"net {net}: reads texts, which {suite.dataset} does not hold")
    torchvision = net not in nets and not suite.encodes
    if torchvision and net not in (known := discover.torchvision_nets()):
        raise discover.unknown("net", net, [*nets, *known])
    if torchvision and not suite.source.photographs:
        raise BadInput(f"net {net}: a torchvision model needs colour images from files, which {suite.dataset} is not")
    if suite.weights and not torchvision:
        raise BadInput(f"weights: {suite.weights}: only torchvision's models take weights, not net {net}")
    named = suite.weights in ("", "default") or _is_member(suite.weights)
    if not named and (why := plain.trouble(suite.weights, "file")):
        raise BadInput(f"weights: {suite.weights} {why}; give a file with a state dict of {net}, or default")
    pretrained = bool(suite.weights) or suite.encodes
    trainable = suite.trainable or ("head" if pretrained else "all")
    if trainable != "all" and not pretrained:
        raise BadInput(f"trainable: {trainable} needs weights: what is frozen must have been trained before")
    features = suite.features or kind.features(suite)
    if features == "frozen" and not pretrained:
        raise BadInput("features: frozen needs weights: FILE or default, of a torchvision net")
    if features != "frozen" and trainable == "head" and pretrained:
        raise BadInput(f"features: {features} needs trainable: all or top:N; of a frozen net nothing else is seen")
    bottleneck = suite.bottleneck if suite.bottleneck >= 0 else BOTTLENECK if torchvision else 0
    slow = BACKBONE_RATE if pretrained and trainable != "head" else 1.0
    rate = slow if suite.backbone_rate is None else suite.backbone_rate
    if suite.nesterov and not (suite.optimiser == "sgd" and suite.momentum > 0):
        raise BadInput("nesterov: true needs optimiser: sgd and a momentum above 0")
    found = {"net": net, "trainable": trainable, "features": features, "bottleneck": bottleneck, "backbone_rate": rate}
    if suite.reject and not suite.open:
        raise BadInput(f"reject: {suite.reject} needs label_sets: open or universal, where something is unknown")
    found |= streams.resolved(suite, protocol)
    found |= {"protocol": protocol, "reference": reference, "base": base, "reject": "entropy" if suite.open else ""}
    return guests.placed(suite.model_copy(update=found | kind.resolved(suite)), nets)


def _is_list(value: Any) -> bool:
    """Whether it is a list of names or numbers."""
    return isinstance(value, list | tuple) and all(isinstance(v, str | int) for v in value)


def _is_suite(name: str) -> None:
    """Refuse a file of data in a suite's place, which `zoo data inspect` makes a suite of."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or name in discover.suites() or plain.trouble(path):
        return
    if path.is_dir() or path.suffix:
        what = "folder" if path.is_dir() else "file"
        raise BadInput(f"{name} is a {what}, not a suite: zoo data inspect {name} > mine.yaml writes one for data")


def _is_member(weights: str) -> bool:
    """Whether it is written as a member of torchvision's enums, such as IMAGENET1K_V2, and is no file."""
    return weights.isupper() and weights.replace("_", "").isalnum() and plain.trouble(weights) != ""


@cache
def _digest(path: str) -> str:
    return "sha256 " + hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _explain(error: ValidationError, path: Path, lines: dict[str, int], overrides: dict[str, Any]) -> str:
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")  # a misspelt key is also a missing one
    key = str(first["loc"][0]) if first["loc"] else ""
    inner = [str(k) for k in first["loc"][1:] if k != "[key]"] if key == "data" else []
    flag = overrides.get(key) is not None
    where = (
        f"--{key.replace('_', '-')}" if flag else f"{path}:{lines[key]}: {key}" if key in lines else f"{path}: {key}"
    )
    if first["type"] == "extra_forbidden":
        known = Own.model_fields if inner else Suite.model_fields
        return f"{path}:{lines.get(key, 1)}: " + str(discover.unknown("key", [key, *inner][-1], known))
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "missing" else f", got {first['input']!r}"
    return f"{': '.join([where, *inner])}: {message[0].lower()}{message[1:]}{given}"
