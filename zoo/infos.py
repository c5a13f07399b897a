"""What is known of things that are one file each without importing them: methods, data sets, nets, plots, formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.access import setting_of


@dataclass(frozen=True)
class FileInfo:
    """A thing that is one file: a net, an executor, a suite, a plot, a format. `cls` is its class, if it is one.

    Attributes
    ----------
    module : of an installed plugin; others are imported by their file
    plugin : whether it is not the zoo's
    """

    name: str
    summary: str
    path: Path
    cls: str = ""
    module: str = ""
    plugin: bool = False

    def to_json(self) -> dict[str, Any]:
        """One row of ``zoo list --json``."""
        return {"name": self.name, "summary": self.summary}


@dataclass(frozen=True)
class DatasetInfo(FileInfo):
    """What `zoo list datasets` and the planner know of a data set: the literals of its class."""

    domains: tuple[str, ...] = ()
    kind: str = "samples"
    photographs: bool = False
    cite: str = ""
    origin: str = ""
    licence: str = ""
    folder: str = ""

    def to_json(self) -> dict[str, Any]:
        """One row of ``zoo list datasets --json``."""
        texts = {"summary": self.summary, "cite": self.cite}
        return {"name": self.name, "domains": list(self.domains), "images": self.kind == "images"} | texts


@dataclass(frozen=True)
class KindInfo(FileInfo):
    """What is known of a kind of data without importing it: the fields of a task that are its nouns."""

    nouns: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetInfo(FileInfo):
    """What the planner knows of a network: the literals of its class.

    Attributes
    ----------
    files : of a plugin, what importing it loads beside its own file
    """

    batch: int = 0
    smallest: int = 0
    shortest: int = 0
    graphs: bool = False
    domains: tuple[int, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def made_by(self) -> str:
        """The name by which `zoo.nets.build` makes it: of a plugin its class and where that is."""
        return f"file:{self.cls}:{self.module}:{self.path}" if self.plugin else self.name


@dataclass(frozen=True)
class PlotInfo(FileInfo):
    """What is known of a plot that is not the zoo's: whether it draws several runs."""

    several: bool = False


@dataclass(frozen=True)
class MethodInfo:
    """What is known of a method without importing it.

    Attributes
    ----------
    kind : its base class (a value of `KINDS`); for plain adapters the family, where that says more, or 'adapter'
    forward : of deep adapters: 'separate' or 'joint'
    parameters : the constructor's parameters and their defaults
    module : of an installed plugin; others are imported by their file
    title : how papers write its name
    wraps, library : of what another library has: its dotted name there; that library by name, with its version
    """

    name: str
    family: str
    kind: str
    learner: str
    needs: frozenset[str]
    cite: str
    space: dict[str, tuple[Any, ...]]
    source_model: dict[str, Any]
    deterministic: bool
    transductive_only: bool
    tasks: frozenset[str]
    label_sets: frozenset[str]
    stream: bool
    predicts: str
    sparse: bool
    forward: str
    summary: str
    doc: str
    parameters: dict[str, Any]
    path: Path
    cls: str
    plugin: bool
    module: str = ""
    title: str = ""
    wraps: str = ""
    library: dict[str, str] = field(default_factory=dict)

    @property
    def setting(self) -> str:
        """The label access that its needs amount to."""
        return setting_of(self.needs)

    def to_json(self) -> dict[str, Any]:
        """One row of ``zoo list methods --json``."""
        names = ("name", "family", "setting", "learner", "needs", "kind", "summary", "cite", "parameters")
        return {k: sorted(self.needs) if k == "needs" else getattr(self, k) for k in names}
