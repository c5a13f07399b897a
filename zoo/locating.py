"""Where installed modules lie, without importing them."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def locate(module: str) -> Path | None:
    """File of an installed module; None where there is none."""
    # find_spec of a dotted name imports the parents; searching each parent's folders does not.
    top, *rest = module.split(".")
    spec: ModuleSpec | None = importlib.util.find_spec(top)
    for part in rest:
        spec = spec and PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.origin else None
