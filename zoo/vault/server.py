"""The server: imports what is heavy once, forks a worker for every request, and tells how each ended.

The first is for the zoo's own methods. When a plugin comes it forks a second, for strangers alone, whose workers are
confined and live for one fit. Neither has ever seen data nor touched CUDA. It adopts every process whose parent
has ended, so that no child that a worker leaves behind outlives it, in whatever session it has put itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo.vault import confine

# What a first fit imports; an optimiser's first step imports dynamo, 900 modules.
HEAVY = [
    "torch",
    "torch._dynamo",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "ot",
    "zoo.vault.session",
    "zoo.vault.stranger",
    "zoo.learners.net",
]
SHOWN = 8192  # bytes of what strangers print that reach the user


@dataclass(frozen=True)
class Strangers:
    """How strangers are kept.

    Attributes
    ----------
    readable : all files and folders but the data and the run folder; these are not named in the process at all
    landlock : version of the kernel's Landlock to hold them with; 0 for none
    """

    readable: list[Path]
    landlock: int


@dataclass
class _Worker:
    """A child: its folder, and the pipe of what it prints."""

    folder: str = ""
    said: int = -1


@dataclass
class _Spare:
    """A worker of strangers that waits for a fit, and the server's end of the line on which its socket comes."""

    pid: int
    line: socket.socket
    worker: _Worker


def serve(fd: int) -> None:
    """Answer messages on a socket until its other end closes."""
    import torch

    from zoo.vault import wire
    from zoo.vault.session import Session

    torch.set_num_threads(1)
    line = wire.Line(fd)
    session = Session(line.send)
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            line.send(session.handle(line.receive()))


def fork_server(fd: int) -> None:
    """Import what is heavy, then answer requests to fork and to end workers, until the driver closes the line."""
    for heavy in HEAVY:
        importlib.import_module(heavy)
    _warm()
    gc.collect()
    gc.freeze()  # a collection in a worker would go through all that is here, and copy its pages
    Server(socket.socket(fileno=fd), None).run()


def strangers_server(fd: int) -> None:
    """The same for strangers; how they are kept is the first thing that comes."""
    line = socket.socket(fileno=fd)
    if (kept := _kept(line)) is not None:
        Server(line, kept).run()


def _kept(line: socket.socket) -> Strangers | None:
    said = b""
    while not said.endswith(b"\n"):  # and not a byte more: requests follow, with sockets
        if not (data := line.recv(1)):
            return None
        said += data
    kept = json.loads(said)
    shown = (
        sys.prefix,
        sys.base_prefix,
        str(Path(__file__).parents[1]),
        *(p for p in sys.path if "site-packages" in p),
    )
    hidden = [*map(Path, kept["hidden"]), Path("/proc")]
    return Strangers(confine.readable(hidden, map(Path, shown)), kept["landlock"])


class Server:
    """The loop of a server; `line` is its end of the driver's socket."""

    def __init__(self, line: socket.socket, strangers: Strangers | None) -> None:
        self.line, self.strangers = line, strangers
        self.workers: dict[int, _Worker] = {}
        self.servers: set[int] = set()  # for strangers
        self.spare: _Spare | None = None
        self.shown = self.unshown = 0
        self.wake, self.bell = os.pipe()
        self.folder = tempfile.mkdtemp(prefix="zoo-") if strangers else ""

    def run(self) -> None:
        confine.adopt_orphans()
        for end in (self.wake, self.bell):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.bell)
        self.spare = self.get_ready() if self.strangers else None
        try:
            while self.turn():
                pass
        finally:
            self.end()

    def turn(self) -> bool:
        """Wait for what happens next and deal with it; False when the driver has gone."""
        saying = {w.said: w for w in self.workers.values() if w.said >= 0}
        sources: list[Any] = [self.line, self.wake, *saying]
        ready, _, _ = select.select(sources, [], [])
        for fd in saying.keys() & set(ready):
            self.hear(saying[fd])
        if self.wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 4096)
            self.reap()
        return self.line not in ready or self.obey()

    def obey(self) -> bool:
        """The driver's next request: a socket for a new worker or server, or a pid to end."""
        try:
            data, fds, _, _ = socket.recv_fds(self.line, 8, 1)
        except ConnectionResetError:
            return False
        if not data:
            return False
        if fds:
            self.found(fds[0]) if data == b"s" else self.fork(fds[0])
            os.close(fds[0])
            if self.strangers and not self.spare:  # only now, lest it inherit another's socket
                self.spare = self.get_ready()
        else:
            while len(data) < 8 and (more := self.line.recv(8 - len(data))):
                data += more
            pid = int.from_bytes(data, "big")
            if pid in self.workers or pid in self.servers:
                os.kill(pid, signal.SIGKILL)
        return True

    def found(self, end: int) -> None:
        """Fork a server for strangers."""
        self.servers.add(pid := self.child(lambda: strangers_server(end)))
        self.tell(pid=pid)

    def fork(self, end: int) -> None:
        """Fork a worker; of strangers, take the one that waits."""
        if self.strangers is None:
            self.workers[pid := self.child(lambda: serve(end))] = _Worker()
            self.tell(pid=pid)
            return
        spare, self.spare = self.spare or self.get_ready(end), None
        self.workers[spare.pid] = spare.worker
        with spare.line, contextlib.suppress(OSError):  # of one that has died, the driver is told
            socket.send_fds(spare.line, [b"f"], [end])
        self.tell(pid=spare.pid)

    def get_ready(self, *others: int) -> _Spare:
        """Fork a worker for the next stranger, which does what does not hang on the fit; it keeps no `others` open."""
        assert self.strangers
        kept, (ours, theirs), (said, out) = self.strangers, socket.socketpair(), os.pipe()
        worker = _Worker(tempfile.mkdtemp(dir=self.folder), said)

        def live() -> None:
            from zoo.vault.stranger import serve_once

            ours.close()
            for fd in (said, *others):
                os.close(fd)
            for stream in (1, 2):
                os.dup2(out, stream)
            os.close(out)
            serve_once(lambda: _given(theirs), Path(worker.folder), kept.readable, kept.landlock)

        pid = self.child(live)
        theirs.close()
        os.close(out)
        return _Spare(pid, ours, worker)

    def child(self, life: Callable[[], None]) -> int:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            confine.die_with_parent(server)
            self.forget()
            _live(life)
        return pid

    def forget(self) -> None:
        """In a worker: nothing of the server's stays open."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.line.close()
        if self.spare:
            self.spare.line.close()
            os.close(self.spare.worker.said)
        for fd in (self.wake, self.bell, *(w.said for w in self.workers.values() if w.said >= 0)):
            os.close(fd)

    def hear(self, worker: _Worker) -> None:
        """Pass on what a stranger prints, up to a limit for all of them together."""
        data = os.read(worker.said, 1 << 16)
        if not data:
            os.close(worker.said)
            worker.said = -1
            return
        passed = data[: max(0, SHOWN - self.shown)]
        self.shown += len(passed)
        self.unshown += len(data) - len(passed)
        if passed:
            text = passed.decode(errors="replace")
            sys.stderr.write("".join(c if c.isprintable() or c == "\n" else "?" for c in text))
            sys.stderr.flush()

    def reap(self) -> None:
        """Collect who has ended; then end the processes that came to this one when their parents ended."""
        ended: dict[int, int] = {}
        while True:
            with contextlib.suppress(ChildProcessError):
                while (found := os.waitpid(-1, os.WNOHANG))[0]:
                    ended[found[0]] = os.waitstatus_to_exitcode(found[1])
            orphans = _children() - self.workers.keys() - self.servers - {self.spare.pid if self.spare else 0}
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not orphans:
                break
            with contextlib.suppress(ChildProcessError):  # each that ends may leave children of its own
                pid, status = os.waitpid(min(orphans), 0)
                ended[pid] = os.waitstatus_to_exitcode(status)
        for pid in ended.keys() & self.servers:
            self.servers.discard(pid)
            self.tell(ended=pid, code=ended[pid])
        if self.spare and self.spare.pid in ended:
            self.drop()
        for pid in ended.keys() & self.workers.keys():
            worker = self.workers.pop(pid)
            while worker.said >= 0 and select.select([worker.said], [], [], 0)[0]:
                self.hear(worker)
            if worker.said >= 0:
                os.close(worker.said)
            if worker.folder:
                shutil.rmtree(worker.folder, ignore_errors=True)
            self.tell(ended=pid, code=ended[pid])

    def drop(self) -> None:
        """Forget a spare worker that has ended."""
        assert self.spare
        self.spare.line.close()
        os.close(self.spare.worker.said)
        shutil.rmtree(self.spare.worker.folder, ignore_errors=True)
        self.spare = None

    def tell(self, **news: int) -> None:
        with contextlib.suppress(OSError):
            self.line.sendall(json.dumps(news).encode() + b"\n")

    def end(self) -> None:
        """End all workers and what they left behind."""
        spare = [self.spare.pid] if self.spare else []
        for pid in (*self.workers, *self.servers, *spare):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self.workers.clear()
        self.servers.clear()
        if self.spare:
            self.drop()
        self.reap()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self.unshown:
            print(f"plugins printed {self.unshown} bytes more, which are not shown", file=sys.stderr)


def _given(line: socket.socket) -> int:
    """The socket that the server sends to a spare worker, which ends where none comes."""
    with line:
        _, fds, _, _ = socket.recv_fds(line, 1, 1)
    if not fds:
        raise SystemExit(0)
    return fds[0]


def _warm() -> None:
    """First fits of scikit-learn look for plugins of data frames and for BLAS libraries; workers inherit the answer."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    X, y = np.eye(4, 2), np.array([0, 1, 0, 1])
    # By brute force, as the zoo's 1-NN: only then threadpoolctl reads /proc/self/maps, which no stranger's child may.
    for classifier in (KNeighborsClassifier(1, algorithm="brute"), LogisticRegression()):
        classifier.fit(X, y).predict_proba(X)


def _live(life: Callable[[], None]) -> None:
    """Run a worker; it never returns into the server's loop."""
    code = 1
    try:
        life()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(code)


def _children() -> set[int]:
    """The processes whose parent is this one; none where the system does not tell."""
    me, found = os.getpid(), set()
    with contextlib.suppress(OSError):
        return {
            int(pid) for t in os.listdir("/proc/self/task") for pid in _read(f"/proc/self/task/{t}/children").split()
        }
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if int(_read(f"/proc/{entry}/stat").rpartition(")")[2].split()[1]) == me:
                    found.add(int(entry))
    return found


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
