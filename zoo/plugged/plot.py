from __future__ import annotations

from collections.abc import Mapping

from zoo import discover
from zoo.infos import FileInfo, PlotInfo
from zoo.plugged.base import Plugged, function, of_function, takes_one
from zoo.source import File, refuse

NAME = "draw"


class Plot(Plugged):
    """A plot: ``draw(run)``, or ``draw(*runs)``, is a figure of a run's records."""

    group = "zoo.plots"
    by_class = False

    def known(self) -> Mapping[str, FileInfo]:
        return discover.plots()

    def holds(self, file: File) -> bool:
        return function(file, NAME) is not None

    def read(self, file: File) -> PlotInfo:
        if (node := function(file, NAME)) is None:
            refuse(file, 1, "no function draw(run), or draw(*runs), in this file")
        several = takes_one(file, node, "draw(run), or draw(*runs): a plugin's plot sees no more")
        return PlotInfo(**of_function(file, node, "plot"), several=several)
