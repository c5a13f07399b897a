from __future__ import annotations

from pathlib import Path

from zoo import discover
from zoo.classes import public
from zoo.plugged.base import Plugged
from zoo.source import File


class Method(Plugged):
    """A method, which `zoo.discover` reads."""

    group = "zoo.adapters"

    def known(self) -> dict[str, discover.MethodInfo]:  # type: ignore[override]
        return discover.methods()

    def holds(self, file: File) -> bool:
        return bool(public(file, "zoo.adapters.base", "Adapter"))

    def read(self, file: File) -> discover.MethodInfo:  # type: ignore[override]
        return next(i for i in discover.methods([Path(file.shown)]).values() if i.path == file.path)
