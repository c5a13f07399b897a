"""zoo: a domain-adaptation algorithm zoo with one benchmark harness.

>>> import zoo
>>> results = zoo.run("quickstart", methods=["kmm", "dann"])  # doctest: +SKIP
>>> print(results.table("md"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``zoo.run`` and ``zoo.Results``, imported when asked for, so that the command starts at once."""
    if name in ("run", "Results"):
        from zoo.bench import run as module

        return getattr(module, name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
