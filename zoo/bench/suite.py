"""A suite says what is compared under which protocol: a YAML file, checked before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from zoo import discover
from zoo.errors import BadInput

# Keys that matter only to a network, only to a base classifier, and to no single cell.
BUDGET_KEYS = frozenset(
    {
        "steps",
        "batch_size",
        "learning_rate",
        "optimiser",
        "momentum",
        "weight_decay",
        "schedule",
        "target_weight",
        "precision",
    }
)
NET_KEYS = BUDGET_KEYS | {"net"}
BASE_KEYS = frozenset({"base", "features"})
TABLE_KEYS = frozenset(["name", "pairs", "methods", "seeds", "trials", "reference"])


class Suite(BaseModel):
    """A resolved suite; DESIGN section 5 and the README list its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    dataset: str
    normalise: tuple[Literal["l1", "l2", "zscore"], ...] = ()
    normalise_by: Literal["domain", "source"] = "domain"
    pairs: tuple[str, ...] = ()
    protocol: Literal["holdout", "transductive"] = "holdout"
    base: Literal["1nn", "logistic", "linear_svm"] = "logistic"
    net: str = ""
    reference: str = "source_only"
    labels: int | Literal["all"] = 0
    features: Literal["raw", "source"] = "raw"
    steps: int = Field(1000, ge=1)
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    optimiser: Literal["adam", "sgd"] = "adam"
    momentum: float = Field(0.0, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    target_weight: float = Field(1.0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    methods: tuple[str | dict[str, dict[str, Any]], ...] = ()
    seeds: int = Field(5, ge=1)
    trials: int = Field(0, ge=0, le=0, description="search over parameters comes with validators")

    @field_validator("labels")
    @classmethod
    def _not_negative(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 0:
            raise ValueError("labels are a number of samples per class, 0 or more, or 'all'")
        return value

    @property
    def net_budget(self) -> dict[str, Any]:
        """The fields of `zoo.train.Budget`."""
        return {k: getattr(self, k) for k in sorted(BUDGET_KEYS)}

    def cell_keys(self, *, net: bool, base: bool) -> dict[str, Any]:
        """What of the suite a cell depends on: the keys of its own learner, and those of the protocol."""
        drop = TABLE_KEYS | (frozenset() if net else NET_KEYS) | (frozenset() if base else BASE_KEYS)
        return {k: v for k, v in self.model_dump(mode="json").items() if k not in drop}


def load(name: str, overrides: dict[str, Any]) -> Suite:
    """Read a suite by its name or file, command line over file over defaults.

    Raises
    ------
    BadInput
        Unknown suite, malformed YAML (line named), unknown or wrong key (line and key named).
    """
    known = discover.suites()
    path = Path(name) if name.endswith((".yaml", ".yml")) else known[name].path if name in known else None
    if path is None:
        raise discover.unknown("suite", name, known)
    if not path.is_file():
        raise BadInput(f"suite file {path} is not there")
    keys, lines = _read(path)
    given = {"name": path.stem} | keys | {k: v for k, v in overrides.items() if v is not None}
    try:
        suite = Suite.model_validate(given)
    except ValidationError as error:
        raise BadInput(_explain(error, path, lines, overrides)) from None
    datasets = discover.datasets()
    if suite.dataset not in datasets:
        raise discover.unknown("dataset", suite.dataset, datasets)
    if suite.labels == "all" and suite.protocol != "holdout":
        raise BadInput("labels: all needs protocol: holdout (in transductive the test would be empty)")
    net = suite.net or ("cnn" if datasets[suite.dataset].images else "mlp")
    if net not in (nets := discover.nets()):
        raise discover.unknown("net", net, nets)
    return suite.model_copy(update={"net": net})


def scalar(text: str) -> Any:
    """A YAML 1.2 scalar, where 1e-3 is a number and no is text.

    >>> scalar("1e-3"), scalar("no"), scalar("true")
    (0.001, 'no', True)
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return text


def _read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8")
        keys = YAML(typ="safe", pure=True).load(text)
        marked = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = (error.problem or error.context or "malformed").split("\n")[0]
        where, word = (f"{path}:{mark.line + 1}", _word(text, mark.line)) if mark else (str(path), "")
        raise BadInput(f"{where}: malformed YAML{word}: {problem}") from None
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path}: cannot be read as YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(keys, dict):
        raise BadInput(f"{path}:1: a suite is a mapping of keys to values, such as 'dataset: office_caltech'")
    keys = {str(k): v for k, v in keys.items()}
    return keys, {str(k): marked.lc.key(k)[0] + 1 for k in marked}


def _word(text: str, line: int) -> str:
    """The key at or above a line, for an error that only knows the line."""
    for row in reversed(text.splitlines()[: line + 1]):
        key = row.split(":")[0].strip(" -")
        if key and not key.startswith("#"):
            return f" at key '{key}'"
    return ""


def _explain(error: ValidationError, path: Path, lines: dict[str, int], overrides: dict[str, Any]) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    flag = overrides.get(key) is not None
    where = (
        f"--{key.replace('_', '-')}" if flag else f"{path}:{lines[key]}: {key}" if key in lines else f"{path}: {key}"
    )
    if first["type"] == "extra_forbidden":
        return f"{path}:{lines.get(key, 1)}: " + str(discover.unknown("key", key, Suite.model_fields))
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "missing" else f", got {first['input']!r}"
    return f"{where}: {message[0].lower()}{message[1:]}{given}"
