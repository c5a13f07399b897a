from __future__ import annotations

from typing import NoReturn

from zoo.classes import public
from zoo.plugged.base import Plugged
from zoo.source import File, refuse


class Executor(Plugged):
    """An executor, which is no plugin: it opens the workers, in the driver, where the labels are."""

    def holds(self, file: File) -> bool:
        return bool(public(file, "zoo.bench.executors", "Executor"))

    def read(self, file: File) -> NoReturn:
        refuse(file, 1, "an executor is no plugin: it runs beside the labels; put the file into zoo/bench/executors/")
