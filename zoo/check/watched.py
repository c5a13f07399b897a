"""A task that remembers what was read from it without being declared."""

from __future__ import annotations

from typing import Any

from zoo.errors import LeakError
from zoo.task import Task


class Watched(Task):
    """A task that remembers undeclared reads, also those whose LeakError the adapter swallows."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except LeakError:
            self.__dict__.setdefault("leaks", set()).add(name)
            raise
