from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from zoo.bench.executors import Executor, _wire

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Processes(Executor):
    """Runs each cell in a worker process behind the label vault (the default).

    A server process imports torch and scikit-learn once, never sees data and never touches CUDA, and forks a worker on
    request in some 40 ms; where there is no fork, each worker is a fresh interpreter. It is not a `multiprocessing`
    fork server because that runs the caller's ``__main__`` again, so scripts would need a guard.
    """

    def __init__(self, workers: int) -> None:
        self.width = workers
        self.server = _Server() if hasattr(os, "fork") else None

    def open(self) -> _Worker:
        ours, theirs = socket.socketpair()
        process = self.server.fork(theirs) if self.server else _start(theirs, "serve")
        theirs.close()
        return _Worker(Connection(ours.detach()), process)

    def wait(self, channels: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        ready = wait([c.connection for c in channels], timeout)
        return [c for c in channels if c.connection in ready]

    def shutdown(self) -> None:
        if self.server:
            self.server.close()


class _Worker:
    def __init__(self, connection: Connection, process: Any) -> None:
        self.connection, self.process = connection, process

    def send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a dead worker is met at `receive`
            _wire.send(self.connection, message)

    def receive(self) -> dict[str, Any]:
        try:
            return _wire.receive(self.connection)
        except (ConnectionResetError, EOFError) as error:
            raise EOFError from error

    def close(self) -> None:
        self.process.kill()
        self.connection.close()

    def obituary(self) -> str:
        code = self.process.wait(timeout=10)
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            hint = ", perhaps out of memory" if name == "SIGKILL" else ""
            return f"the worker was killed by {name}{hint}"
        return f"the worker ended by itself with exit code {code}"


class _Server:
    """The driver's side of the fork server: asks for a worker, learns its pid, and later how it ended."""

    def __init__(self) -> None:
        self.line, theirs = socket.socketpair()
        self.process = _start(theirs, "fork_server")
        theirs.close()
        self.unread = b""
        self.ended: dict[int, int] = {}

    def fork(self, end: socket.socket) -> _Forked:
        socket.send_fds(self.line, [b"f"], [end.fileno()])
        while True:
            news = self.read()
            if "pid" in news:
                return _Forked(self, news["pid"])

    def read(self, timeout: float | None = None) -> dict[str, int]:
        """The server's next line: a worker it has forked, or one that has ended."""
        self.line.settimeout(timeout)
        while b"\n" not in self.unread:
            data = self.line.recv(4096)
            if not data:
                raise RuntimeError(f"the fork server ended with exit code {self.process.wait()}")
            self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        news = json.loads(line)
        if "ended" in news:
            self.ended[news["ended"]] = news["code"]
        return news

    def close(self) -> None:
        self.line.close()
        self.process.kill()  # its workers have been closed before
        self.process.wait()


class _Forked:
    """A worker that is the server's child, not ours; looks like a Popen."""

    def __init__(self, server: _Server, pid: int) -> None:
        self.server, self.pid = server, pid

    def kill(self) -> None:
        if self.pid not in self.server.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float) -> int | None:
        with contextlib.suppress(TimeoutError):
            while self.pid not in self.server.ended:
                self.server.read(timeout)
        return self.server.ended.get(self.pid)


def _start(end: socket.socket, role: str) -> subprocess.Popen[bytes]:
    """A fresh interpreter that inherits one socket and neither the caller's environment of data nor its folder."""
    env = {k: v for k, v in os.environ.items() if k not in ("ZOO_DATA", "PWD", "OLDPWD")} | dict.fromkeys(THREADS, "1")
    env.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # a fresh worker faults all its pages in; fewer, then
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
        f"from zoo.bench.executors._forks import {role}; {role}(int(sys.argv[1]))"
    )
    path = json.dumps([os.path.abspath(p) for p in sys.path])
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(end.fileno()), path],
        pass_fds=[end.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=env,
        cwd=os.path.abspath(os.sep),
        start_new_session=True,  # Ctrl-C is the driver's to handle
    )
