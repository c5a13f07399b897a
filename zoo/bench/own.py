"""The ``data:`` key of a suite: anyone's own data, which lie anywhere and mean what its keys say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from zoo import discover, plain
from zoo.kinds.base import PRETRAINED

MANY = 10**9  # of steps, samples and the like: more is a slip of the finger


class Own(BaseModel):
    """Anyone's own data: the ``data:`` key of a suite."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    format: str
    domains: dict[str, str | tuple[str, ...]] = {}
    file: str | tuple[str, ...] = ""
    by: str = ""
    x: str | dict[str, str] = ""
    y: str | dict[str, str] = ""
    size: int = Field(0, ge=0, le=4096)
    drop: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    impute: Literal["none", "mean", "median"] = "none"
    decimal: Literal[".", ","] = "."
    header: Literal["", "none", "first"] = ""
    channels: Literal["", "first", "last"] = ""
    id: str = ""
    time: str = ""
    window: str = ""
    step: str = ""
    rate: float = Field(0.0, ge=0, le=MANY)
    target: dict[str, str] = {}
    aliases: dict[str, tuple[str, ...]] = {}
    negatives: dict[str, Literal["given", "closed"]] = {}
    reflexive: bool = False

    @field_validator("format")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in (known := discover.names("data/formats")):
            raise ValueError(f"input should be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}")
        return value

    @field_validator("drop", "categories", "missing", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | int | float) else value

    @model_validator(mode="after")
    def _lies_somewhere(self) -> Own:
        if bool(self.domains) == bool(self.file):
            both = "domains and file" if self.file else "neither"
            raise ValueError(f"a target is needed: domains: NAME: PATH, or file: PATH and by: COLUMN; there are {both}")
        if self.by and not self.file:
            raise ValueError("by: says how one file: is split into domains; there is none")
        return self

    @property
    def paths(self) -> list[Path]:
        """Everything that domains are read from."""
        from zoo.data import _own

        return _own.paths([*self.domains.values(), *([self.file] if self.file else [])])

    @property
    def imputes(self) -> bool:
        return self.impute != "none"

    @field_validator("domains")
    @classmethod
    def _can_be_paired(cls, value: dict[str, Any]) -> dict[str, Any]:
        if wrong := [name for name in value if not name or name == PRETRAINED or set(name) & set(":+, ")]:
            raise ValueError(f"{wrong[0]!r} cannot be a domain's name: no ':', '+', ',' or blank, and not 'weights'")
        if unfit := [f"{name!r} {why}" for name in value if (why := plain.unfit_label(name))]:
            raise ValueError(f"a domain's name {unfit[0]}")
        return value


def beside(path: Path, data: Own | None) -> Own | None:
    """Own data with their paths, which are relative to the suite file."""
    if data is None:
        return None

    def lies(at: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(at, tuple):
            return tuple(str(lies(one)) for one in at)
        return str(path.parent / os.path.expanduser(os.path.expandvars(at))) if at else ""

    return data.model_copy(update={"domains": {k: lies(v) for k, v in data.domains.items()}, "file": lies(data.file)})
