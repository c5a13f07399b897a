"""zoo: a domain-adaptation algorithm zoo with one benchmark harness.

>>> import zoo
>>> results = zoo.run("quickstart", methods=["kmm", "dann"])  # doctest: +SKIP
>>> print(results.table("md"))  # doctest: +SKIP
>>> zoo.estimator("coral", reg=0.1)
Coral(reg=0.1)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where each is. No file may bear the name of one: importing it would put the module in its place.
_LAZY = {
    "run": "zoo.bench.run",
    "Results": "zoo.results",
    "Task": "zoo.task",
    "estimator": "zoo.estimators",
}


def __getattr__(name: str) -> Any:
    """``zoo.run`` and the others, imported when asked for, so that the command starts at once."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
