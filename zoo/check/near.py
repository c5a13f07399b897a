"""The near side of the contract tests: asks a method's process, and believes only what it can check.

What does not come back, comes twice, late or malformed is a failure of the test at hand.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import time
from functools import lru_cache
from typing import Any

from zoo.check import far, wire
from zoo.errors import Diverged, LeakError, Unsupported

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
STARTING = 120.0  # seconds that the imports may take
STRAY = "the method's process sends what nobody asked for"


class Failure(Exception):
    """The adapter broke the contract."""


class Hung(Failure):
    """It gave no answer in time."""


class NotImported(Exception):
    """The file of the method cannot be imported."""


class Raised(Exception):
    """The method raised what is no answer of a known kind."""


ERRORS: dict[str, type[Exception]] = {
    "BadInput": NotImported,
    "Unsupported": Unsupported,
    "LeakError": LeakError,
    "Diverged": Diverged,
    "Broken": Failure,
    "FloatingPointError": FloatingPointError,
}


class Far:
    """A process that has nothing in it but the method; `ended` once it is gone."""

    def __init__(self) -> None:
        self.line, theirs = socket.socketpair()
        self.pid = _fork(theirs)
        theirs.close()
        self.ended, self.asked = False, 0
        self.printed = 0  # lines, by its own word

    def ask(self, op: str, deadline: float, **what: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises
        ------
        Failure
            No answer, or none that can be read.
        Exception
            The typed ones of `ERRORS`, or Raised: what the method raised.
        """
        if self.ended:
            raise Failure("the method's process had ended before")
        try:
            if select.select([self.line], [], [], 0)[0]:
                raise Failure(STRAY if self.line.recv(1, socket.MSG_PEEK) else "the method's process has ended")
            self.asked += 1
            request = pickle.dumps((self.asked, op, what))
            self.line.settimeout(max(deadline - time.monotonic(), 0.1))
            self.line.sendall(struct.pack("<Q", len(request)) + request)
            total, n = wire.sizes(self._read(wire.HEAD.size, deadline))
            answer = wire.decode(self._read(total, deadline), n)
            if answer.pop("number", None) != self.asked:
                raise Failure(STRAY)
            lines = answer.pop("printed", 0)
            self.printed = lines if type(lines) is int and 0 <= lines < 1 << 53 else self.printed
        except (wire.Malformed, OSError) as e:
            self.end()
            raise Failure(f"the method's process gives no answer that can be read: {e}") from None
        except BaseException:
            self.end()
            raise
        if (kind := answer.pop("error", "")) is None:
            return answer
        raise _error(kind, answer)

    def _read(self, n: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < n:
            patience = deadline - time.monotonic()
            if patience <= 0 or not select.select([self.line], [], [], patience)[0]:
                raise Hung("no answer in time")
            part = self.line.recv(min(n - len(found), 1 << 20))
            if not part:
                raise Failure("the method's process ended before it answered")
            found += part
        return bytes(found)

    def end(self) -> None:
        """Kill the process and the children that it leaves in its session."""
        if not self.ended:
            self.ended = True
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(self.pid, signal.SIGKILL)
            self.line.close()


def clean(text: Any, most: int = 300) -> str:
    """One printable line of what a stranger says."""
    return "".join(c if c.isprintable() else " " for c in " ".join(str(text)[: 10 * most].split()))[:most]


def _error(kind: Any, answer: dict[str, Any]) -> Exception:
    says, name, line = clean(answer.get("says", "")), clean(answer.get("type", "")), answer.get("line", 0)
    known = ERRORS.get(kind) if isinstance(kind, str) else None
    found = known(says) if known else Raised(f"{name}: {says}")
    found.line = line if type(line) is int else 0  # type: ignore[attr-defined]
    return found


@lru_cache(maxsize=1)
def _server() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """The process that forks, started when first asked for; it ends with ours, whose end of the line closes then."""
    ours, theirs = socket.socketpair()
    options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "start_new_session": True}
    env = {k: v for k, v in os.environ.items() if k != "ZOO_DATA"} | THREADS
    process = subprocess.Popen(far.start(theirs), pass_fds=[theirs.fileno()], env=env, **options)
    theirs.close()
    return process, ours


def _fork(end: socket.socket) -> int:
    """The process id of a new far side, by a server that is started again where a method has killed it."""
    for _ in range(2):
        _, line = _server()
        line.settimeout(STARTING)
        with contextlib.suppress(OSError):
            socket.send_fds(line, [b"f"], [end.fileno()])
            if len(answer := line.recv(4)) == 4:
                return int(struct.unpack("<I", answer)[0])
        _server()[0].kill()
        _server.cache_clear()
    raise RuntimeError("the process that runs methods cannot be started")
