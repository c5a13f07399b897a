"""What methods of a pair share: computed once, charged to each, and out of reach of a method that writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from zoo.vault.shared import Shared
from zoo.facts import Facts
from zoo.task import Task


class Counted:
    """A pure function that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, X, scale=1.0):
        self.calls += 1
        return X * scale


@pytest.fixture
def known():
    shared = Shared()
    return shared, shared.know(torch.arange(6.0), "six")


def test_computed_once_for_the_same_content(known):
    shared, X = known
    f = Counted()
    first = shared(f, X, scale=2.0)
    shared.begin()  # the next cell: another tensor of the same content
    again = shared(f, shared.know(torch.arange(6.0), "six"), scale=2.0)
    assert again is first
    assert f.calls == 1
    assert shared(f, shared.know(torch.ones(6), "ones"), scale=2.0).tolist() == [2.0] * 6
    assert f.calls == 2
    shared(f, shared.know(torch.arange(6.0), "six"), scale=3.0)
    assert f.calls == 3


def test_its_cost_is_charged_to_each_user_once_and_spent_by_the_first(known):
    shared, X = known
    f = Counted()
    shared(f, X)
    cost, spent = shared.wall, shared.spent
    assert cost == spent > 0
    shared(f, X)
    assert (shared.wall, shared.spent) == (cost, spent)
    shared.begin()
    shared(f, shared.know(torch.arange(6.0), "six"))
    assert (shared.wall, shared.spent) == (cost, 0.0)


def test_a_tensor_of_the_methods_own_is_not_shared(known):
    shared, X = known
    f = Counted()
    for _ in range(2):
        shared(f, X.clone())
    assert f.calls == 2
    assert not shared.results


def test_a_tensor_written_into_is_no_longer_what_it_was(known):
    shared, X = known
    f = Counted()
    shared(f, X)
    X.add_(1)
    assert shared(f, X).tolist() == [1, 2, 3, 4, 5, 6]


def test_a_result_written_into_is_computed_anew(known):
    shared, X = known
    f = Counted()
    shared(f, X, scale=2.0).zero_()
    assert shared(f, X, scale=2.0).tolist() == [0, 2, 4, 6, 8, 10]
    assert f.calls == 2


def test_the_least_recently_used_go_first():
    shared = Shared(limit=100)
    X, Y = shared.know(torch.arange(6.0), "x"), shared.know(torch.arange(6.0), "y")  # 24 bytes each
    f = Counted()
    for scale in (1.0, 2.0, 3.0, 4.0):
        shared(f, X, scale=scale)
    shared(f, X, scale=1.0)
    shared(f, Y)
    assert f.calls == 5
    shared(f, X, scale=1.0)
    assert f.calls == 5
    shared(f, X, scale=2.0)
    assert f.calls == 6


def test_shared_reads_only_what_needs_name():
    task = Task({"Xs": torch.ones(2, 2), "Xt": torch.ones(2, 2)}, needs={"Xs"}, learner=None, n_classes=2)
    with pytest.raises(Exception, match="needs do not name 'Xt'"):
        task.shared(torch.cdist, "Xs", "Xt")


PLUGIN = '''\
"""Sums of squared features of the target."""

from zoo.adapters.base import Mapping


def slow(X):
    """Leaves a line wherever it is run."""
    with open({calls!r}, "a") as f:
        f.write("x\\n")
    return X.double().square().sum(1)


class Shares(Mapping):
    """Shares a sum."""

    def fit_map(self, task):
        total = task.shared(slow, "Xt")
        assert total.tolist() == task.Xt.double().square().sum(1).tolist()
'''


def test_cells_of_a_worker_share_and_say_so(zoo, tmp_path):
    """Two sources of one target: what concerns the target alone is computed once."""
    calls = tmp_path / "calls"
    plugin = tmp_path / "shares.py"
    plugin.write_text(PLUGIN.format(calls=str(calls)))
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "dataset: office_caltech\npairs: ['amazon:webcam', 'dslr:webcam']\nprotocol: transductive\nbase: logistic\n"
        "methods: [shares]\n"
    )
    done = zoo("run", suite, "--plugin", plugin, "--out", tmp_path / "run", "--workers", 1)
    assert done.code == 0, done.err
    assert len(calls.read_text().splitlines()) == 1  # two sources, one target
    records = [
        json.loads(line) for f in (tmp_path / "run" / "records").glob("*.jsonl") for line in f.read_text().splitlines()
    ]
    shares = [r for r in records if r["method"] == "shares"]
    assert len(shares) == 2
    assert all(r["shared_s"] > 0 for r in shares)
    source_only = [r for r in records if r["method"] == "source_only"]
    assert all(r["shared_s"] > 0 for r in source_only)  # the source classifier, which others may ask for too


def test_what_rounds_of_a_cell_share_is_charged_once():
    shared, f = Shared(), Counted()

    def fit(again):
        shared.begin(again)
        shared(f, shared.know(torch.ones(3), "x"))
        return shared.wall

    first, second, other = fit(False), fit(True), fit(False)
    assert first == other > 0 == second


def test_facts_are_known_by_what_they_hold():
    def facts(row):
        return Facts("t", {"p": np.array([row], np.int32)}, {"p": ("x", "x"), "t": ("x",)}, ("a", "b"))

    seen: list[Facts] = []
    shared, call = Shared(), seen.append
    for row in ([0, 1], [0, 1], [1, 0]):
        shared(call, facts(row))
    assert len(seen) == 2
