"""What the driver makes of a server's news, and of none."""

import json
import socket

import pytest

from zoo.bench.executors.processes import Server, Worker


@pytest.fixture
def told():
    """A server of which the test says what it tells."""
    server = Server()
    yield server, lambda **news: server.theirs.sendall(json.dumps(news).encode() + b"\n")
    server.line.close()
    server.theirs.close()


def test_the_number_of_an_earlier_process_is_no_end(told):
    """Numbers of processes come round; before, a worker with one was taken for dead as soon as it was there."""
    server, tell = told
    line, other = socket.socketpair()
    tell(pid=7)
    tell(ended=7, code=0)
    server.hear()
    assert (list(server.pids), server.ended) == ([7], {7: 0})
    tell(pid=7)
    server.hear()
    assert not Worker(line, server, server.pids.pop(), None).ready
    tell(ended=7, code=3)
    server.hear()
    assert server.code(7) == 3
    line.close()
    other.close()


def test_an_estimate_without_an_answer_is_one_line(zoo, monkeypatch):
    """Before: "Aborted!", since typer takes the end of a pipe for that of the keyboard."""

    def ended(self):
        raise EOFError

    monkeypatch.setattr(Worker, "receive", ended)
    monkeypatch.setattr(Worker, "obituary", lambda self: "the worker was killed by SIGKILL")
    done = zoo("run", "quickstart", "--methods", "dummy", "--dry-run")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "gave no answer: the worker was killed by SIGKILL" in done.err
