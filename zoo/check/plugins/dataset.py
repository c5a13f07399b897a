"""The contract tests of data sets: what every one promises, each domain loaded twice, in a process for each."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from zoo import discover, machine
from zoo.bench.foreign import Foreign
from zoo.check.plugins import Tried, Wrong
from zoo.check.subject import LIMIT, Outcome
from zoo.infos import DatasetInfo

FEW = 5  # samples of a class, below which splits cannot be drawn


def run(info: DatasetInfo, limit: float = LIMIT) -> list[Outcome]:
    """Try all promises of a data set."""
    return Loaded(info, limit).run([loads, labels, fits_together, repeats, citation])


class Loaded(Tried):
    """A data set that is tried: its domains as loaded."""

    @cached_property
    def root(self) -> Any:
        """The data root, where one is known."""
        return machine.data_root(None)

    @cached_property
    def domains(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Samples and labels of each domain."""
        return {name: self.load(name) for name in self.info.domains}

    def load(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A domain, loaded in a process of its own."""
        source = Foreign(self.info)
        source.executor = self.executor
        return source.load(name, self.root)


def loads(t: Loaded) -> str:
    """Each domain gives finite samples of the promised type and shape, and a label for each."""
    return "; ".join(f"{name}: {'×'.join(map(str, X.shape))}" for name, (X, _) in t.domains.items())


def labels(t: Loaded) -> str:
    """Each domain has two classes and more, each of enough samples to be split; or values that vary."""
    found: list[str] = []
    for name, (_, y) in t.domains.items():
        if y.dtype.kind == "f":
            if np.ptp(y[~np.isnan(y)]) == 0:
                raise Wrong(f"domain {name}: all labels are {y[0]:g}: there is nothing to predict")
            found.append(f"{name}: values")
            continue
        names, counts = np.unique(y[y != ""], return_counts=True)
        if len(names) < 2:
            raise Wrong(
                f"domain {name} has one class, where two are needed" if len(names) else f"domain {name} has none"
            )
        if few := [f"{c} ({n})" for c, n in zip(names, counts, strict=True) if n < FEW]:
            raise Wrong(f"domain {name}: class {few[0]} has fewer than {FEW} samples, too few to be split")
        found.append(f"{name}: {len(names)} classes")
    return "; ".join(found)


def fits_together(t: Loaded) -> str:
    """Domains hold samples of one shape, and share their classes by name."""
    (first, (X, y)), *others = t.domains.items()
    for name, (other, labels) in others:
        if other.shape[1:] != X.shape[1:]:
            raise Wrong(f"samples of {name} have shape {list(other.shape[1:])}, those of {first} {list(X.shape[1:])}")
        if (labels.dtype.kind == "f") != (y.dtype.kind == "f"):
            raise Wrong(f"{name} and {first}: one has classes, the other values")
        if y.dtype.kind != "f" and len(shared := set(y.tolist()) & set(labels.tolist())) < 2:
            raise Wrong(f"{name} and {first} share {len(shared)} classes by name: is one spelt otherwise?")
    return ""


def repeats(t: Loaded) -> str:
    """A domain is the same whenever it is loaded: what it draws, it seeds itself."""
    for name, (X, y) in t.domains.items():
        again, labels = t.load(name)
        if not (np.array_equal(X, again) and np.array_equal(y, labels, equal_nan=y.dtype.kind == "f")):
            what = "samples" if np.array_equal(y, labels, equal_nan=y.dtype.kind == "f") else "labels"
            raise Wrong(f"load({name!r}) gives other {what} when it is called again: seed what it draws")
    return ""


def citation(t: Loaded) -> str:
    """Its citations are in ``zoo/refs.bib``."""
    known = discover.references()
    for key in filter(None, (key.strip() for key in t.info.cite.split(","))):
        if key not in known:
            raise Wrong(str(discover.unknown("reference in zoo/refs.bib", key, known)))
    return t.info.cite or "none given"
