from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.bench.executors import Executor
from zoo.vault import confine, mapped, wire

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PATIENCE = 120.0  # seconds that a server may take to import and to fork before it is taken for dead
MARK = "ZOO_SERVER"  # the variable by which what a dead server left behind is found
HEARD = 1 << 20  # bytes of a stranger's JSON: far more than any certificate, curve and reason


class Processes(Executor):
    """Runs each cell in a worker process behind the label vault (the default).

    A server process imports torch and scikit-learn once, never sees data and never touches CUDA, and forks a worker on
    request in some 40 ms; another, started when the first plugin comes, forks confined ones for strangers. Where there
    is no fork, each worker is a fresh interpreter. It is not a `multiprocessing` fork server because that runs the
    caller's ``__main__`` again, so scripts would need a guard.

    Parameters
    ----------
    workers : how many work at once
    hidden : files and folders that no plugin may read: the data and the run folder
    """

    keeps_apart = True

    def __init__(self, workers: int, hidden: Sequence[Path] = ()) -> None:
        self.width = workers
        self.hidden = [os.path.abspath(p) for p in hidden]
        self.servers: dict[bool, Server] = {}
        self.shelf = mapped.Shelf()
        self.server(False)  # its imports run beside the loading of the data

    def server(self, strangers: bool) -> Server:
        """The server of the zoo's own workers, or of strangers; a new one where it has died."""
        server = self.servers.get(strangers)
        if server is None or server.dead:
            server = self.servers[strangers] = Apart(self.server(False), self.hidden) if strangers else Main()
        return server

    def hide(self, paths: Iterable[Path]) -> None:
        """Keep further files from strangers: those that come are forked by another server."""
        if more := [p for p in map(os.path.abspath, paths) if p not in self.hidden]:
            self.hidden += more
            if server := self.servers.pop(True, None):
                server.close()

    def open(self, stranger: bool = False) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            for _ in range(3):  # a server that was killed is met here for the first time
                with contextlib.suppress(OSError, EOFError):
                    server = self.server(stranger)
                    try:
                        pid = server.fork(theirs)
                        if stranger:
                            return Worker(ours, server, pid, wire.Limits(HEARD))
                        return Worker(ours, server, pid, None, self.shelf)
                    except (OSError, EOFError):
                        server.bury()
                        raise
        ours.close()
        raise RuntimeError("the server that forks workers dies again and again; its last words are above")

    def wait(self, channels: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            if ready := [c for c in channels if c.ready]:
                return ready
            left = None if end is None else end - time.monotonic()
            if left is not None and left < 0:
                return []
            self._poll(channels, left)

    def _poll(self, channels: Sequence[Worker], timeout: float | None) -> None:
        """Move what can be moved on all lines, waiting for the first."""
        poll = select.poll()
        by_fd = {c.line.fileno(): c for c in channels}
        lines = {s.line.fileno(): s for s in self.servers.values() if not s.dead}
        for fd, channel in by_fd.items():
            poll.register(fd, select.POLLIN | (select.POLLOUT if channel.unsent else 0))
        for fd in lines:
            poll.register(fd, select.POLLIN)
        for fd, event in poll.poll(None if timeout is None else 1000 * timeout):
            if fd in lines:
                lines[fd].hear()
            else:
                by_fd[fd].move(event)

    def shutdown(self) -> None:
        for _, server in sorted(self.servers.items(), reverse=True):  # strangers first: theirs is the other's child
            server.close()
        self.servers = {}


class Worker:
    """The driver's end of a worker's pipe; it never blocks, whatever the worker does.

    Parameters
    ----------
    shelf : the files of large arrays, for a worker that gets them so
    """

    blame = 1.0  # its end is its cell's doing, unless its server ended

    def __init__(
        self,
        line: socket.socket,
        server: Server,
        pid: int,
        limits: wire.Limits | None,
        shelf: mapped.Shelf | None = None,
    ) -> None:
        self.line, self.server, self.pid, self.shelf = line, server, pid, shelf
        line.setblocking(False)
        self.reader = wire.Reader(limits)
        self.unsent: deque[tuple[memoryview, list[mapped.File]]] = deque()  # with files, which go with its first byte
        self.wrong: Exception | None = None  # why nothing more can be read

    @property
    def ready(self) -> bool:
        """Whether `receive` has something to give or to raise."""
        if not self.reader.whole and self.wrong is None and (self.server.dead or self.pid in self.server.ended):
            self._read()  # what it wrote before it ended
            self.wrong = self.wrong or EOFError()
        return bool(self.reader.whole) or self.wrong is not None

    @property
    def server_died(self) -> bool:
        return self.server.dead and self.pid not in self.server.ended

    def expect(self, arrays: int) -> None:
        self.reader.limits = wire.Limits(self.reader.limits.header, arrays)

    def send(self, message: dict[str, Any]) -> None:
        files: list[mapped.File] = []

        def file_of(array: np.ndarray) -> int | None:
            if self.shelf is None or len(files) == mapped.MOST or (file := self.shelf.file(array)) is None:
                return None
            files.append(file)
            return len(files) - 1

        self.pass_on(wire.encode(message, file_of), files)

    def pass_on(self, parts: Iterable[memoryview], files: Sequence[mapped.File] = ()) -> None:
        """Send a message that another has written, or a part of it."""
        for part in parts:
            self.unsent.append((part, [*files]))
            files = ()
        self._write()

    def move(self, event: int) -> None:
        if event & select.POLLOUT:
            self._write()
        if event & ~select.POLLOUT:
            self._read()

    def receive(self) -> dict[str, Any]:
        if self.reader.whole:
            return self.reader.whole.popleft()
        raise self.wrong or EOFError()

    def close(self) -> None:
        self.server.end(self.pid)
        self.line.close()

    def obituary(self) -> str:
        code = self.server.code(self.pid)
        if code is None:
            return "the server that forks workers died under it"
        if code < 0:
            name = signal.Signals(-code).name
            hint = ", perhaps out of memory" if name == "SIGKILL" else ""
            return f"the worker was killed by {name}{hint}"
        return f"the worker ended by itself with exit code {code}"

    def _write(self) -> None:
        try:
            while self.unsent:
                part, files = self.unsent[0]
                sent = socket.send_fds(self.line, [part], [f.fd for f in files]) if files else self.line.send(part)
                self.unsent[0] = part[sent:], []
                if sent == part.nbytes:
                    self.unsent.popleft()
        except BlockingIOError:
            return
        except OSError:  # a dead worker is met at `receive`
            self.unsent.clear()

    def _read(self) -> None:
        """Read what is there, up to the end of a message."""
        if self.wrong:
            return
        try:
            while not self.reader.fill(self.line.recv_into):
                pass
        except BlockingIOError:
            return
        except (OSError, EOFError):
            self.wrong = EOFError()
        except wire.Malformed as error:
            self.wrong = error


class Server:
    """The driver's side of a server: asks for workers, learns their pids, and later how they ended."""

    def __init__(self) -> None:
        self.line, self.theirs = socket.socketpair()
        self.unread = b""
        self.pids: deque[int] = deque()
        self.ended: dict[int, int] = {}
        self.dead = False

    def fork(self, end: socket.socket, what: bytes = b"f") -> int:
        """The pid of a new process on the other end of a socket; OSError or EOFError where the server has died."""
        socket.send_fds(self.line, [what], [end.fileno()])
        deadline = time.monotonic() + PATIENCE
        while not self.pids:
            if not select.select([self.line], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            self.hear()
            if self.dead:
                raise EOFError
        return self.pids.popleft()

    def hear(self) -> None:
        """Take the server's news: a process that it has forked, or one that has ended."""
        try:
            data = self.line.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.bury()
            return
        *whole, self.unread = (self.unread + data).split(b"\n")
        for text in whole:
            news = json.loads(text)
            if "ended" in news:
                self.ended[news["ended"]] = news["code"]
            else:
                self.ended.pop(news["pid"], None)  # of an earlier process: numbers come round
                self.pids.append(news["pid"])

    def end(self, pid: int) -> None:
        """Have a worker and all that it started ended."""
        if pid not in self.ended and not self.dead:
            try:
                self.line.sendall(pid.to_bytes(8, "big"))
            except OSError:
                self.bury()

    def code(self, pid: int) -> int | None:
        """How a process ended; None where the server died before it could tell."""
        for _ in range(3):
            deadline = time.monotonic() + 5
            while pid not in self.ended and not self.dead:
                if not select.select([self.line], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    break
                self.hear()
            self.end(pid)  # its pipe is closed; if it lives, it lives for nothing
        if pid not in self.ended:
            self.bury()  # it does not answer any more
        return self.ended.get(pid)

    def bury(self) -> None:
        """The server has died, or does not answer: end it and what it leaves behind."""
        self.dead = True
        self.close()

    def close(self) -> None:
        """Let the server end its workers and itself; end it where it does not."""
        with contextlib.suppress(OSError):
            self.line.shutdown(socket.SHUT_RDWR)
        self.line.close()


class Main(Server):
    """The server of the zoo's own methods: a fresh interpreter."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = secrets.token_hex(16)
        self.process = _start(self.theirs, "fork_server", self.mark)
        self.theirs.close()

    def bury(self) -> None:
        """Find what it leaves behind, wherever that has gone, by the mark in its environment."""
        if not self.dead:
            super().bury()
            for entry in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                        os.kill(int(entry.name), signal.SIGKILL)

    def close(self) -> None:
        super().close()
        if not self.dead:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        self.process.kill()
        self.process.wait()


class Apart(Server):
    """The server of strangers: a child of the main one, which adopts and ends what it leaves behind."""

    def __init__(self, main: Server, hidden: Sequence[str]) -> None:
        super().__init__()
        self.main = main
        self.pid = main.fork(self.theirs, b"s")
        self.theirs.close()
        self.line.sendall(json.dumps({"hidden": list(hidden), "landlock": confine.abi()}).encode() + b"\n")

    def bury(self) -> None:
        if not self.dead:
            self.main.end(self.pid)
            super().bury()

    def close(self) -> None:
        super().close()
        if not self.dead:
            self.main.code(self.pid)


def _start(end: socket.socket, role: str, mark: str) -> subprocess.Popen[bytes]:
    """A fresh interpreter that inherits one socket and neither the caller's environment of data nor its folder."""
    away = ("ZOO_DATA", "ZOO_CACHE", "PWD", "OLDPWD")
    ours = {k: v for k, v in os.environ.items() if k not in away and not k.startswith("RAY_")}  # a cluster's secrets
    env = ours | dict.fromkeys(THREADS, "1") | {MARK: mark}
    env.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # a fresh worker faults all its pages in; fewer, then
    code = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
        f"from zoo.vault.server import {role}; {role}(int(sys.argv[1]))"
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
