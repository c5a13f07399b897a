"""The contract tests of plugins that are no methods: a kind a file, each tried in processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zoo.bench.executors.processes import Processes
from zoo.check.subject import Outcome
from zoo.errors import BadInput, one_line
from zoo.infos import FileInfo


class Wrong(Exception):
    """It breaks a promise."""


def tried(tests: Sequence[Callable[[Any], str]], subject: Any) -> list[Outcome]:
    """What tests of a subject give, each in words; where the first fails, no other can say anything."""
    found: list[Outcome] = []
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            found.append(Outcome(name, True, test(subject)))
        except (Wrong, BadInput) as error:
            found.append(Outcome(name, False, said(error, subject.info)))
        if not found[0].ok:
            break
    return found


def said(error: Exception, info: FileInfo) -> str:
    """What went wrong, without that it is this plugin."""
    return one_line(str(error).removeprefix(f"plugin {info.path} cannot be used: "))


class Tried:
    """A plugin that is tried, and the processes in which it is."""

    def __init__(self, info: Any, limit: float) -> None:
        self.info, self.limit = info, limit
        self.executor = Processes(1)

    def run(self, tests: Sequence[Callable[[Any], str]]) -> list[Outcome]:
        """Try all, and end the processes."""
        try:
            return tried(tests, self)
        finally:
            self.executor.shutdown()
