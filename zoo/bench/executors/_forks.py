"""The far side of the executor `processes`: a server that forks workers, and the worker's loop."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
from multiprocessing.connection import Connection
from typing import Any

# What a first fit imports; an optimiser's first step imports dynamo, 900 modules.
HEAVY = [
    "torch",
    "torch._dynamo",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "ot",
    "zoo.bench.worker",
    "zoo.learners.net",
]


def serve(fd: int) -> None:
    """Answer messages on a socket until its other end closes."""
    import torch

    from zoo.bench.executors import _wire
    from zoo.bench.worker import Session

    torch.set_num_threads(1)
    connection = Connection(fd)
    session = Session(lambda note: _wire.send(connection, note))
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            _wire.send(connection, session.handle(_wire.receive(connection)))


def fork_server(fd: int) -> None:
    """Import what is heavy, then fork a worker for every request; tell how each ended."""
    for heavy in HEAVY:
        importlib.import_module(heavy)
    line = socket.socket(fileno=fd)
    wake, bell = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(bell, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(bell)
    children: set[int] = set()
    sources: list[Any] = [line, wake]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            _reap(line, children)
        if line in ready:
            try:
                data, fds, _, _ = socket.recv_fds(line, 1, 1)
            except ConnectionResetError:
                break
            if not data:
                break
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                line.close()
                os.close(wake)
                os.close(bell)
                _live(fds[0])
            os.close(fds[0])
            children.add(pid)
            _tell(line, pid=pid)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _live(fd: int) -> None:
    """A worker's life; it never returns into the server's loop."""
    code = 1
    try:
        serve(fd)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stderr.flush()
        os._exit(code)


def _reap(line: socket.socket, children: set[int]) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            with contextlib.suppress(OSError):
                _tell(line, ended=pid, code=os.waitstatus_to_exitcode(status))


def _tell(line: socket.socket, **news: int) -> None:
    line.sendall(json.dumps(news).encode() + b"\n")
