"""A network that is a plugin: every cell that makes it is a stranger's, whoever's method trains it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import discover, plugged
from zoo.errors import BadInput
from zoo.infos import MethodInfo, NetInfo
from zoo.vault import plugins

if TYPE_CHECKING:
    from zoo.bench.executors import Executor
    from zoo.bench.suite import Suite


def known(files: Iterable[str | Path] = ()) -> dict[str, NetInfo]:
    """All networks: the zoo's, installed ones, and those in plugin files."""
    return plugged.found("net", files)


def placed(suite: Suite, nets: dict[str, NetInfo]) -> Suite:
    """A suite with its network as it is among those given, where that is a plugin's."""
    info = nets.get(suite.net)
    return suite.model_copy(update={"network": info}) if info and info.plugin else suite


def of(suite: Suite) -> NetInfo | None:
    """The suite's network where it is a plugin's."""
    return suite.network if suite.network is not None and suite.network.plugin else None


def tried(suite: Suite, executor: Executor, hidden: Iterable[Path]) -> Suite:
    """The suite with its plugin's network imported, in a process of its own, and known by the files that this loads.

    Raises
    ------
    BadInput
        It cannot be imported.
    """
    if (info := of(suite)) is None:
        return suite
    files = plugins.loaded(executor, info, None, hidden)
    return suite.model_copy(update={"network": replace(info, files=files)})


def kept(suite: Suite) -> list[tuple[NetInfo, str, tuple[Path, ...]]]:
    """What a run folder keeps of a plugin's network: what is known of it, the hash of its code, and its files."""
    return [(info, code(suite), info.files)] if (info := of(suite)) else []


def place(suite: Suite) -> dict[str, str]:
    """Where a run folder keeps a plugin's network, for run.json."""
    return {"net": f"plugins/{code(suite)[:16]}/{info.path.name}"} if (info := of(suite)) else {}


def code(suite: Suite) -> str:
    """The hash of a plugin's network; '' of the zoo's own and of torchvision's."""
    info = of(suite)
    return plugins.judged(discover.code_hash(info.path), info, info.files) if info else ""


def makes(suite: Suite, info: MethodInfo, use: str) -> bool:
    """Whether a method's cells make a plugin's network, or are given a model of it."""
    return of(suite) is not None and (use == "net" or suite.features == "source" or "model" in info.needs)


def name(suite: Suite, foreign: bool) -> str:
    """How workers call the network: the file of a plugin's only where it may be run."""
    info = of(suite)
    return info.made_by if info and foreign else suite.net


def shown(suite: Suite, foreign: bool) -> dict[str, Any]:
    """What a worker that makes it may read, wherever it lies."""
    info = of(suite)
    return {"shown": [info.path, *info.files]} if info and foreign else {}


def refuse(suite: Suite, command: str) -> None:
    """Refuse a plugin's network where nothing would be run in a process of its own.

    Raises
    ------
    BadInput
        It is one.
    """
    if info := of(suite):
        raise BadInput(f"{command}: net {info.name}: a plugin's net is run by zoo run alone")


def stamps(suite: Suite, cell: Any, opened: Iterable[str]) -> dict[str, str]:
    """Hashes of the files that a cell's process has opened, under the plugin's name."""
    guest, info = of(suite), cell.row.info
    own = {str(info.path), str(guest.path) if guest else ""}
    return plugins.stamps(info if info.plugin or not guest else guest, [f for f in opened if f not in own])
