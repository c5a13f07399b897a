from __future__ import annotations

from collections.abc import Mapping

from zoo import discover
from zoo.infos import FileInfo
from zoo.plugged.base import Plugged, function, of_function, takes_one
from zoo.source import File, refuse

NAME = "render"


class Format(Plugged):
    """A format: ``render(table)`` is the text of a table."""

    group = "zoo.formats"
    by_class = False

    def known(self) -> Mapping[str, FileInfo]:
        return discover.formats()

    def holds(self, file: File) -> bool:
        return function(file, NAME) is not None

    def read(self, file: File) -> FileInfo:
        if (node := function(file, NAME)) is None:
            refuse(file, 1, "no function render(table) in this file")
        takes_one(file, node, "render(table)")
        return FileInfo(**of_function(file, node, "format"))
