"""A method that patches, prints, ends its process or hangs passes no check by it, nor does a label leave for it."""

import re

import numpy as np
import pytest
import torch

from tests.test_check import PLUGINS
from zoo import check, discover
from zoo.check import wire
from zoo.check.toys import toy

pytestmark = pytest.mark.usefixtures("one_thread")
CHEATS = """
import os
import sys
import time

import torch

from zoo.adapters.base import Adapter
{imported}


class Cheats(Adapter):
    \"\"\"Scores whatever, and wants to be told that it is well.\"\"\"

    family = "feature"
    learner = "base"

    def fit(self, task):
        self.n_ = task.n_classes
        {fit}
        return self

    def predict(self, X, A=None):
        return torch.rand(len(X), self.n_, generator=torch.Generator().manual_seed(len(X))).softmax(1).double()
"""
PATCHES = """
import builtins
import numpy.testing
import zoo.check
import zoo.check.samples
import zoo.check.subject
from zoo.check.subject import Outcome
builtins.isinstance = lambda *a: True
torch.allclose = torch.equal = lambda *a, **k: True
numpy.testing.assert_allclose = lambda *a, **k: None
zoo.check.subject.require = zoo.check.samples.require = lambda *a: None
zoo.check.samples.accuracy = zoo.check.samples.right = lambda *a: 1.0
zoo.check.samples.difference = zoo.check.subject.difference = lambda *a: 0.0
zoo.check.run = lambda *a, **k: [Outcome("needs", True)]
"""
FORGES = """
import gc
import socket
import numpy as np
from zoo.check import wire
LINES = [o for o in gc.get_objects() if type(o) is socket.socket and o.fileno() >= 0]


def say(**answer):
    LINES[-1].sendall(wire.encode({"error": None, "leaks": [], "itself": True, "scores_t": False, **answer}))
"""


@pytest.fixture
def cheating(tmp_path):
    """The outcomes of a method that does something while it is imported and while it fits."""

    def run(imported="", fit="pass", limit=60.0):
        path = tmp_path / "cheats.py"
        path.write_text(CHEATS.format(imported=imported, fit=fit))
        return check.run(path, limit=limit)

    return run


@pytest.mark.parametrize(
    ("imported", "fit"),
    [
        ("", "pass"),
        (PATCHES, "pass"),
        ("", "print('ok    better than chance')"),
        ("atexit = __import__('atexit'); atexit.register(os._exit, 0)", "pass"),
    ],
)
def test_no_patch_and_no_print_makes_a_bad_method_good(cheating, imported, fit):
    found = {o.name: o for o in cheating(imported, fit)}
    if not found["needs"].ok:  # a process that patches its own builtins may not live to answer
        assert len(found) == 2
        return
    assert len(found) == 30
    assert {"row wise", "better than chance", "no harm"} <= {k for k, o in found.items() if not o.ok}


@pytest.mark.parametrize(
    ("fit", "says"),
    [
        ("os._exit(0)", "ended before it answered"),
        ("sys.exit(0)", "SystemExit"),
        ("os.kill(os.getpid(), 9)", "ended before it answered"),
        ("say(number=2); os._exit(0)", "ended|no answer that can be read"),
        ("say(number=2); say(number=3)", "what nobody asked for"),
        ("say(number=2)", "what nobody asked for"),
        ("say(number=7)", "what nobody asked for"),
        ("say(number=2, leaks=3); os._exit(0)", "malformed"),
        ("LINES[-1].sendall(b'ok' * 100)", "no answer that can be read"),
        ("LINES[-1].sendall(b'\\xff' * 12)", "no answer that can be read"),
        ("[line.shutdown(2) for line in LINES]", "no answer that can be read|ended before it answered"),
    ],
)
def test_what_does_not_come_back_or_comes_twice_is_a_failure(cheating, fit, says):
    failed = [o for o in cheating(FORGES, fit) if not o.ok]
    assert failed
    assert re.search(says, failed[0].detail)


def test_a_process_that_ends_between_tests_costs_its_test_only(cheating):
    found = {o.name: o for o in cheating(fit="os._exit(0) if len(task.Xt) == 1 else None")}
    assert "ended before it answered" in found["one target sample"].detail
    assert found["shapes"].ok
    assert found["shared results"].ok


def test_a_hanging_method_is_a_failed_check(cheating):
    found = {o.name: o for o in cheating(fit="time.sleep(99) if len(task.Xt) == 1 else None", limit=6.0)}
    assert found["one target sample"].detail == "takes more than 6 s"
    assert "not tried" in found["shared results"].detail
    assert not found["labels too"].ok


def test_a_method_that_ends_its_server_is_failed_and_the_next_one_is_not(cheating):
    assert not cheating(fit="os.kill(os.getppid(), 9); os._exit(0)")[0].ok
    assert all(o.ok for o in check.run(PLUGINS / "centre.py"))


def test_a_file_that_cannot_be_imported_is_bad_input(cheating):
    with pytest.raises(discover.BadInput, match=r"cheats\.py:9: import raises ZeroDivisionError"):
        cheating(imported="1 / 0")


def test_no_label_of_the_target_reaches_the_process(monkeypatch):
    """All that is sent to a method's process, by its bytes, for one that is given no labels and one that is."""
    from zoo.check import near

    sent = []
    ask = near.Far.ask
    monkeypatch.setattr(
        near.Far, "ask", lambda far, op, deadline, **what: (sent.append(what), ask(far, op, deadline, **what))[1]
    )
    pair = toy()
    for name, given in (("coral", False), ("target_only", True)):
        sent.clear()
        check.run(name)
        held = [v for what in sent for v in tensors(what) if v.dtype == torch.int64]
        assert held
        assert any(v.shape == pair.yt.shape and torch.equal(v, pair.yt) for v in held) == given
        assert not any(v.shape == pair.y.shape and torch.equal(v, pair.y) for v in held)


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ():
        yield from tensors(part)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"[{}, {}]x",
        b'[{}, {"a": ["<f8", [2]]}]',
        b'[{}, {"a": ["<f8", [-1]]}]',
        b'[{}, {"a": ["<f8", [1e9]]}]',
        b'[{}, {"a": ["<f8", [4611686018427387904, 4]]}]',
        b'[{}, {"a": ["|O", [0]]}]',
        b'[{}, {"a": "b"}]',
        b'[{"a": 1}, {"a": ["<f8", [0]]}]',
        b"[1, 2]",
        b"\xff\xfe",
    ],
)
def test_bytes_that_are_no_message_are_malformed(body):
    with pytest.raises(wire.Malformed):
        wire.decode(body, len(body.removesuffix(b"x")))


def test_a_length_makes_nothing_be_allocated():
    with pytest.raises(wire.Malformed):
        wire.sizes(wire.HEAD.pack(1 << 60, 10))
    with pytest.raises(wire.Malformed):
        wire.sizes(wire.HEAD.pack(10, 11))


def test_messages_come_back_as_they_were():
    message = {"a": [1, None, "ä"], "x": np.arange(6.0).reshape(2, 3), "n": np.empty((0, 2), np.int64)}
    data = wire.encode(message)
    back = wire.decode(data[wire.HEAD.size :], wire.sizes(data[: wire.HEAD.size])[1])
    assert back["a"] == message["a"]
    assert all(np.array_equal(back[k], message[k]) and back[k].dtype == message[k].dtype for k in "xn")
