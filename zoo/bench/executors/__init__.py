"""Executors, one file each: where cells run. A public subclass of `Executor` in a file is found by the file's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol


class Channel(Protocol):
    """A line to one worker; ``server_died`` where it ended because its server did, through no fault that is known."""

    @property
    def server_died(self) -> bool: ...

    @property
    def blame(self) -> float:
        """What the worker's death counts against its cell, which runs again until it has come to 1."""
        ...

    def send(self, message: dict[str, Any]) -> None: ...

    def receive(self) -> dict[str, Any]:
        """The answer that `Executor.wait` has announced.

        Raises
        ------
        EOFError
            The worker has died.
        Malformed
            What came is no message of numbers, texts and arrays.
        """
        ...

    def expect(self, arrays: int) -> None:
        """How many bytes of arrays the next answer may hold."""
        ...

    def close(self) -> None:
        """End the worker, whatever it is doing."""
        ...

    def obituary(self) -> str:
        """Why a worker that died did so."""
        ...


class Executor:
    """Opens workers and waits for their answers; ``width`` is how many work at once, at most.

    Attributes
    ----------
    keeps_apart : whether a stranger's fit has a process of its own here
    takes : the settings of a run that its constructor takes beside the workers and what is hidden
    """

    width: int = 1
    keeps_apart: bool = False
    takes: Sequence[str] = ()

    @property
    def room(self) -> int:
        """How many can work now; at least 1."""
        return self.width

    def bring(self, path: Path, files: Mapping[str, bytes]) -> None:
        """Have a plugin's file, and those it loads by their names from its folder, where its workers will be."""

    def hide(self, paths: Iterable[Path]) -> None:
        """Keep further files from the plugins that are opened from now on, where that can be."""

    def open(self, stranger: bool = False) -> Channel:
        """A fresh worker; for a plugin one that is confined and answers for one fit."""
        raise NotImplementedError

    def wait(self, channels: Sequence[Channel], timeout: float | None) -> Sequence[Channel]:
        """Those channels that have an answer (or have died), waiting for the first; none where there is more room."""
        raise NotImplementedError

    def shutdown(self) -> None:
        """End everything."""
