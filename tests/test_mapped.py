"""Large arrays go to the zoo's own workers as files: what they are, who may write into them, and who gets none."""

import os
import socket

import numpy as np
import pytest
from scipy import sparse

from zoo.bench.executors.processes import Worker
from zoo.vault import mapped, wire


class Server:
    dead, ended = False, ()


def sent(message, shelf):
    """What a worker reads of a message, and how many bytes went through its pipe."""
    ours, theirs = socket.socketpair()
    driver = Worker(ours, Server(), 1, None, shelf)
    driver.send(message)
    line = wire.Line(theirs.fileno())
    read = line.receive()
    ours.close()
    theirs.close()
    line.socket.close()
    return read, driver


LARGE = np.arange(mapped.LARGE // 4, dtype=np.float32).reshape(-1, 64)


def test_what_one_worker_writes_nobody_else_sees():
    shelf = mapped.Shelf()
    (one, _), (other, _) = (sent({"arrays": {"Xs": LARGE, "ys": np.arange(3)}}, shelf) for _ in range(2))
    assert mapped.held(one["arrays"]["Xs"])
    assert mapped.held(one["arrays"]["ys"]) is None
    one["arrays"]["Xs"][:] = -1
    np.testing.assert_array_equal(other["arrays"]["Xs"], LARGE)
    np.testing.assert_array_equal(mapped.own(one["arrays"]["Xs"]), LARGE)  # as the next fit has it
    assert LARGE[0, 1] == 1


def test_a_file_is_made_once_and_sealed():
    shelf = mapped.Shelf()
    file = shelf.file(LARGE)
    assert file is not None
    assert shelf.file(LARGE.reshape(-1)) is file
    with pytest.raises(PermissionError):
        os.write(file.fd, b"x")
    with pytest.raises(PermissionError):
        os.ftruncate(file.fd, 0)


def test_a_file_goes_with_its_array():
    shelf = mapped.Shelf()
    fd = shelf.file(gone := LARGE.copy()).fd
    os.fstat(fd)
    del gone
    shelf.file(LARGE)
    assert len(shelf.files) == 1


def test_sparse_features_are_mapped_and_one_s_own():
    X = sparse.random(3000, 2000, 0.1, "csr", np.float32, random_state=0)
    read, _ = sent({"arrays": {"Xs": X}}, mapped.Shelf())
    found = read["arrays"]["Xs"]
    mine = mapped.own(found)
    assert mapped.held(found.data)
    assert mapped.held(mine.data)
    mine.data[:] = 0
    assert (found != X).nnz == 0


def test_without_a_file_the_bytes_are_sent(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    shelf = mapped.Shelf()
    assert shelf.file(LARGE) is None


def test_strangers_get_and_send_no_files():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stranger = Worker(ours, Server(), 1, wire.Limits())
        stranger.send({"op": "fit", "X": np.arange(4)})
        assert stranger.shelf is None
        lies = wire.encode({"X": LARGE}, lambda array: 0)
        theirs.sendall(b"".join(lies))
        stranger.move(1)
        with pytest.raises(wire.Malformed):
            stranger.receive()
