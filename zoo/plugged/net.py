from __future__ import annotations

from typing import NoReturn

from zoo.classes import public
from zoo.plugged.base import Plugged
from zoo.source import File, refuse


class Net(Plugged):
    """A network, which is no plugin yet: the zoo's own methods would run it, in workers that are trusted."""

    def holds(self, file: File) -> bool:
        return bool(public(file, "zoo.nets", "Net"))

    def read(self, file: File) -> NoReturn:
        why = "workers that are trusted would run it; put the file into zoo/nets/, or build it in a method's setup"
        refuse(file, 1, f"a network is no plugin: {why}")
