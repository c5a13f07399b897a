"""Classes of several domains, matched by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.kinds.base import Domain


def instead(domains: dict[str, Domain], classes: list[str]) -> str:
    """What would run where no pair's target has the classes of its source alone."""
    shared = set.intersection(*(set(d.y.tolist()) for d in domains.values()))
    if len(shared) < 2:
        named = "; ".join(f"{d.name} has {', '.join(classes[c] for c in np.unique(d.y)[:5])}" for d in domains.values())
        return f": {named}"
    return f"; classes: shared runs it on the {len(shared)} classes that all domains have"


def shared(suite: Suite, raw: dict[str, Any]) -> dict[str, Any]:
    """Domains without the samples of classes that not all of them have; those without a label stay."""
    common = set.intersection(*({str(c) for c in labels} for _, labels in raw.values())) - {""}
    if len(common) < 2:
        raise BadInput(f"classes: shared: the domains of {suite.dataset} share {len(common)} classes, which is too few")
    kept = {name: np.array([str(c) in common or not c for c in labels]) for name, (_, labels) in raw.items()}
    return {
        name: (X, labels) if kept[name].all() else (X[kept[name]], labels[kept[name]])
        for name, (X, labels) in raw.items()
    }


def named(some: set[int], classes: list[str]) -> str:
    names = [classes[c] for c in sorted(some)]
    what = "class" if len(names) == 1 else f"any of {len(names)} classes:"
    return f"{what} {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"


def natural(name: str) -> tuple[int, int, str]:
    return (0, int(name), "") if name.isdigit() else (1, 0, name)
