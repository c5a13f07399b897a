from __future__ import annotations

from collections.abc import Mapping

from zoo import discover
from zoo.classes import attributes, public, summary, where
from zoo.infos import FileInfo, NetInfo
from zoo.plugged.base import Plugged, named, only
from zoo.source import File, refuse

BASE = "zoo.nets"


class Net(Plugged):
    """A network; every cell that trains it, or a model of it, runs as a plugin's does."""

    group = "zoo.nets"

    def known(self) -> Mapping[str, FileInfo]:
        return discover.nets()

    def holds(self, file: File) -> bool:
        return bool(public(file, BASE, "Net"))

    def read(self, file: File) -> NetInfo:
        lineage = only(file, BASE, "Net", "net")
        said, name = attributes(lineage, BASE), named(file, "net")
        if said["graphs"]:
            refuse(*where(lineage, "graphs"), "graphs: a plugin's net reads samples; graphs are read by the zoo's own")
        if name["name"] in discover.torchvision_nets():
            refuse(file, 1, f"the net {name['name']!r} is torchvision's: rename this file")
        return NetInfo(**name, summary=summary(lineage[0][1]), cls=lineage[0][1].name, **said)
