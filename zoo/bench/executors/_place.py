"""What a Ray actor is: a place for one worker, which the servers of `processes` fork on its node."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo import machine, source
from zoo.bench.executors.processes import Processes, Worker
from zoo.vault import confine, wire

# Ray hands over in its calls what has less than 100 KiB, and 10 MiB a call; it puts what is larger into its store.
PIECE = 96 << 10


class Place:
    """Opens workers, one after the other, and passes on bytes between each and the driver; it reads none of them.

    Whoever kills the actor ends its servers, who see their lines close, and with them all that they have forked. All
    methods but `end` are called in the order in which the driver asks for them.

    Parameters
    ----------
    hidden : files and folders that no plugin may read
    plugins : the files of each folder that has plugins, by their names from there
    """

    def __init__(self, hidden: Sequence[Path], plugins: Sequence[Mapping[str, bytes]]) -> None:
        self.folder = tempfile.mkdtemp(prefix="zoo-plugins-") if plugins else ""
        for i, files in enumerate(plugins):
            for name, content in files.items():
                path = Path(self.folder, str(i), name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self.processes = Processes(1, hidden)
        self.worker: Worker | None = None
        self.number = self.over = self.given = 0  # of the worker at hand, of the last one to be ended; calls of `give`
        self.why = "it was ended"

    def ready(self) -> dict[str, Any]:
        """What the driver has to know of this node, once a first worker has been forked."""
        self.processes.open().close()
        import ray

        node = ray.get_runtime_context().get_node_id()
        return {"folder": self.folder, "node": node, "landlock": confine.abi(), **same()}

    def open(self, number: int, stranger: bool) -> None:
        """Fork the worker of a number; each has one larger than that of the last."""
        self._close()
        self.number, self.given = number, 0
        if number > self.over:
            try:
                self.worker = self.processes.open(stranger)
                self.worker.reader = Pieces()  # type: ignore[assignment]
            except RuntimeError as error:
                self.why = str(error)

    def give(self, *parts: Any) -> None:
        """Pass parts of a message on to the worker: bytes, and arrays [n] of them out of the store."""
        self.given += 1
        if self.worker:
            self.worker.pass_on(memoryview(p) for p in parts)

    def take(self, number: int, given: int, *last: Any) -> tuple[bytes, str]:
        """Pass the last parts on; returns what the worker says next, or nothing, and why, where it has ended.

        Parameters
        ----------
        given : how often `give` has been called; where fewer calls came, something of the store was lost on the way
        """
        if given != self.given:
            return b"", "an array was lost on its way through Ray's object store"
        if self.worker is None or number <= self.over:
            return b"", self.why
        self.worker.pass_on(memoryview(p) for p in last)
        self.processes.wait([self.worker], None)
        try:
            return self.worker.receive(), ""  # type: ignore[return-value]
        except EOFError:
            return b"", self.worker.obituary()

    def end(self, number: int) -> None:
        """End the worker of a number, whatever it is doing; this alone runs beside the other methods."""
        self.over = max(self.over, number)
        if (worker := self.worker) and self.number == number:
            worker.server.end(worker.pid)

    def leave(self) -> None:
        """End everything, and leave nothing behind."""
        self._close()
        self.processes.shutdown()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _close(self) -> None:
        if self.worker:
            self.worker.close()
        self.worker = None


class Pieces:
    """A `wire.Reader` that takes whatever comes, piece by piece."""

    def __init__(self) -> None:
        self.limits = wire.Limits()
        self.buffer = memoryview(bytearray(PIECE))
        self.whole: deque[bytes] = deque()

    def fill(self, read: Callable[[memoryview], int]) -> bool:
        got = read(self.buffer)
        if not got:
            raise EOFError
        self.whole.append(bytes(self.buffer[:got]))
        return True


def same() -> dict[str, Any]:
    """What has to be the same on all machines of a run: versions, and the code of the zoo."""
    code = hashlib.sha256()
    for path in sorted(source.ROOT.rglob("*.py")):
        code.update(str(path.relative_to(source.ROOT)).encode() + b"\0" + path.read_bytes())
    return {**machine.versions(), "code of zoo": code.hexdigest()[:16]}
