"""Executors, one file each: where cells run. A public subclass of `Executor` in a file is found by the file's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Channel(Protocol):
    """A line to one worker."""

    def send(self, message: dict[str, Any]) -> None: ...

    def receive(self) -> dict[str, Any]:
        """The answer; EOFError where the worker has died."""
        ...

    def close(self) -> None:
        """End the worker, whatever it is doing."""
        ...

    def obituary(self) -> str:
        """Why a worker that died did so."""
        ...


class Executor:
    """Opens workers and waits for their answers; ``width`` is how many work at once."""

    width: int = 1

    def open(self) -> Channel:
        """A fresh worker."""
        raise NotImplementedError

    def wait(self, channels: Sequence[Channel], timeout: float | None) -> Sequence[Channel]:
        """Those channels that have an answer (or have died), waiting for the first."""
        raise NotImplementedError

    def shutdown(self) -> None:
        """End everything."""
