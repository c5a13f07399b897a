"""What a plugin file can hold, a kind a file here, found by being there: read from the source, never imported.

A plugin that is no method runs in a process of its own as methods do; see `zoo.bench.apart`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from zoo import discover, plain
from zoo.errors import BadInput
from zoo.plugged.base import Plugged
from zoo.source import read

METHOD = "method"


@cache
def kinds() -> dict[str, Plugged]:
    """The kinds of plugins; those that are classes first."""
    found: dict[str, Plugged] = {}
    for name in discover.names("plugged"):
        module = importlib.import_module(f"zoo.plugged.{name}")
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, Plugged) and cls is not Plugged:
                found[name] = cls()
    return dict(sorted(found.items(), key=lambda item: not item[1].by_class))


def of(path: Path) -> str:
    """The kind of a plugin file; that of methods where it is none, for it says what is wrong."""
    if plain.trouble(path, "file"):
        return METHOD
    file = read(Path(path).resolve(), "", str(path))
    return next((name for name, kind in kinds().items() if kind.holds(file)), METHOD)


def parted(plugins: Iterable[str | Path]) -> dict[str, list[Path]]:
    """Plugin files by their kind.

    Raises
    ------
    BadInput
        One is no Python, or of a kind that cannot be a plugin.
    """
    found: dict[str, list[Path]] = {name: [] for name in kinds()}
    for path in map(Path, plugins):
        found[of(path)].append(path)
    for name, paths in found.items():
        if not kinds()[name].group:
            for path in paths:
                kinds()[name].read(read(path.resolve(), "", str(path)))  # refuses
    return found


def found(kind: str, plugins: Iterable[str | Path] = ()) -> dict[str, Any]:
    """All of a kind by name: the zoo's, the installed ones, and those of the given files, whatever else these are.

    Raises
    ------
    BadInput
        One breaks a rule, or has a name that another has.
    """
    own = kinds()[kind]
    files = [(path, module, path) for module, path in discover.installed(own.group)]
    for path in parted(plugins)[kind]:
        if why := plain.trouble(path, "file"):
            raise BadInput(f"{path}:1: cannot be read: it {why}")
        files.append((path.resolve(), "", path))
    every: dict[str, Any] = dict(own.known())
    for path, module, shown in files:
        info = own.read(read(path, module, str(shown)))
        other = every.setdefault(info.name, info)
        if other.path != info.path:
            raise BadInput(f"{shown}:1: the {kind} {info.name!r} exists already, in {other.path}: rename this file")
    return every
