"""Kinds of data: a new one is one file, and what it says is what a run does."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from zoo import discover, source
from zoo.bench import suite
from zoo.errors import BadInput
from zoo.facts import Fold
from zoo.vault import wire

KIND = '''
from __future__ import annotations

import numpy as np

from zoo.errors import BadInput
from zoo.kinds.base import Domain
from zoo.kinds.samples import Pair, Protocol, Samples


class Bags(Samples):
    """Bags of any number of vectors, seen as their means."""

    protocols = ("transductive",)

    def damaged(self, X):
        return next((i for i, bag in enumerate(X) if not np.isfinite(bag).all()), None)

    def domain(self, suite, name, X, y, classes, device):
        if suite.augment != "none":
            raise BadInput("augment: bags have none")
        return Domain.build(name, np.stack([bag.mean(0) for bag in X]).astype(np.float32), y, classes)

    def draws(self, suite, data):
        return Bagged(suite, data)


class Bagged(Protocol):
    def _pair(self, *what):
        return Scored(**vars(super()._pair(*what)))


class Scored(Pair):
    def metrics(self, scores):
        found = super().metrics(scores)
        return {**found, "bruised": 1 - found["accuracy"]}
'''

DATA = '''
import numpy as np

from zoo.data.base import Dataset


class Fruit(Dataset):
    """Two baskets."""

    domains = ("here", "there")
    kind = "bags"

    def load(self, domain, root):
        rng = np.random.default_rng(len(domain))
        y = np.repeat([0, 1], 12)
        X = np.empty(24, object)
        X[:] = [rng.normal(3 * c, 1, size=(2 + i % 3, 4)) for i, c in enumerate(y)]
        return X, np.array(["pear", "plum"])[y]
'''

RUN = """
import json, sys
import zoo
from zoo.bench.run import Benchmark
from zoo.bench.suite import load
from zoo.errors import BadInput

benchmark = Benchmark(sys.argv[1], methods=["coral"], executor="local", out=sys.argv[2])
said = {"zoo": zoo.__file__, "protocol": benchmark.suite.protocol, "cells": [c.id for c in benchmark.cells]}
if sys.argv[3:]:
    from zoo.vault import session

    said["seen"], fit = {}, session.Session.on_fit
    def spy(self, message):
        said["seen"].update({k: list(v.shape) for k, v in message["arrays"].items() if v is not None})
        return fit(self, message)
    session.Session.on_fit = spy
    frame = benchmark.run().frame()
    said |= {"status": list(frame.status), "accuracy": frame.accuracy.min(), "bruised": frame.bruised.max()}
try:
    load(sys.argv[1], {"protocol": "holdout"})
except BadInput as error:
    said["refused"] = str(error)
print(json.dumps(said))
"""


NOUN = '''
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.kinds.base import Domain, Kind
from zoo.kinds.samples import Protocol, Samples
from zoo.noun import Noun


@dataclass(frozen=True)
class Prices(Noun):
    """What each kind of fruit costs."""

    sent = ("each", "currency")

    each: object
    currency: str

    @property
    def digest(self):
        return f"{self.currency} {self.each.tolist()}"

    def to(self, device):
        import torch

        return Prices(torch.as_tensor(self.each).to(device), self.currency)


class Priced(Samples):
    """Samples, with the prices of the source beside."""

    protocols = ("transductive",)
    nouns = ("Ps",)
    gives = Kind.gives | set(nouns)

    def draws(self, suite, data):
        return Beside(suite, data)


class Beside(Protocol):
    def _pair(self, *what):
        pair = super()._pair(*what)
        prices = {"Ps": Prices(np.array([0.5, 2.0]), "ducats")}
        for fields in (pair.fields, pair.oracle):
            fields.update(prices)
        return pair
'''

SHOPPER = '''
import torch

from zoo.adapters.base import Adapter


class Shopper(Adapter):
    """Takes the dearer one everywhere."""

    family = "baseline"
    learner = "own"
    needs = {"Xs", "ys", "Xt", "Ps"}

    def fit(self, task):
        assert type(task.Ps).__name__ == "Prices" and task.Ps.currency == "ducats"
        self.scores_ = torch.nn.functional.one_hot(task.Ps.each.argmax(), task.n_classes).double()
        return self

    def predict(self, X):
        return self.scores_.repeat(len(X), 1)
'''

CHECK = '''
from zoo.check.contract import Contract
from zoo.check.toys import Pair, toy
from zoo.kinds.priced import Prices
import numpy as np


class Shop(Pair):
    def fields(self, device, use):
        found, graphs = super().fields(device, use)
        return found | {"Ps": Prices(np.array([1.0, 3.0, 2.0]), "ducats").to(device)}, graphs


def dearest(s):
    """It takes the dearest."""
    assert s.predict(s.fitted, *s.pair.asked).argmax(1).eq(1).all()


class Till(Contract):
    """A shop's toy pair."""

    n_classes = 3
    tests = (dearest,)

    def toy(self, **how):
        return Shop(**vars(toy(**how)))
'''


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(
        source.ROOT, tmp_path / "copy" / "zoo", ignore=shutil.ignore_patterns("*.pyc.*")
    )  # byte code too


def test_a_new_kind_is_one_file(copy, tmp_path):
    """In a copy of the package: the file, a data set that says its name, and a suite; nothing else is written."""
    (copy / "kinds" / "bags.py").write_text(KIND)
    (copy / "data" / "fruit.py").write_text(DATA)
    (tmp_path / "baskets.yaml").write_text("dataset: fruit\nbase: 1nn\nseeds: 1\n")

    def run(out, *really):
        command = [sys.executable, "-c", RUN, tmp_path / "baskets.yaml", tmp_path / out, *really]
        env = os.environ | {"PYTHONPATH": str(copy.parent)}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    first = run("first", "really")
    assert first["zoo"].startswith(str(copy))
    assert first["protocol"] == "transductive"  # its standard one
    assert first["seen"] == {"Xs": [24, 4], "ys": [24], "Xt": [24, 4]}
    assert len(first["cells"]) == 4
    assert set(first["status"]) == {"ok"}
    assert first["accuracy"] > 0.9
    # What scores is its own, and what it refuses ends a run.
    assert first["bruised"] == pytest.approx(1 - first["accuracy"])
    assert "fruit holds bags, which need protocol: transductive" in first["refused"]
    # Its file is in the id of its cells.
    (copy / "kinds" / "bags.py").write_text(KIND.replace("1 - found", "2 - found"))
    second = run("second")
    assert len(second["cells"]) == 4
    assert not {*second["cells"]} & {*first["cells"]}


@pytest.mark.faults  # three processes
def test_a_new_noun_reaches_a_method_and_its_tests(copy, tmp_path):
    """The noun's class stands in the kind's file; worker, stranger's worker, task and discovery know it from there."""
    (copy / "kinds" / "priced.py").write_text(NOUN)
    (copy / "data" / "fruit.py").write_text(
        DATA.replace('"bags"', '"priced"').replace("X, np.", "np.stack([bag.mean(0) for bag in X]), np.")
    )
    (copy / "adapters" / "baseline" / "shopper.py").write_text(SHOPPER)
    (tmp_path / "haggler.py").write_text(SHOPPER.replace("Shopper", "Haggler"))
    (tmp_path / "baskets.yaml").write_text("dataset: fruit\nbase: 1nn\nseeds: 1\n")

    def zoo(*arguments):
        command = [sys.executable, "-m", "zoo.cli", *arguments]
        env = os.environ | {"PYTHONPATH": str(copy.parent)}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    run = zoo("run", "baskets.yaml", "--methods", "shopper,haggler", "--plugin", "haggler.py", "--out", "out")
    assert run.returncode == 0, run.stderr
    records = [json.loads(x) for p in (tmp_path / "out" / "records").iterdir() for x in p.read_text().splitlines()]
    found = {r["method"]: (r["status"], r["reason"], r["metrics"].get("accuracy")) for r in records}
    assert found["shopper"] == found["haggler"] == ("ok", "", 0.5)
    # No tests of that kind are there until its file is, and then they are those that it has.
    done = zoo("check", "shopper")
    assert done.returncode == 2
    assert "there are no contract tests of methods on priced (zoo/check/priced.py)" in done.stderr
    (copy / "check" / "priced.py").write_text(CHECK)
    done = zoo("check", "shopper")
    tried = [line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert tried == ["needs", "dearest", "citation"], done.stdout + done.stderr


def test_a_message_makes_nothing_but_nouns_of_the_zoo():
    for module, name in (
        ("subprocess", "Popen"),
        ("zoo.secret", "Secret"),
        ("zoo.noun", "np"),
        ("zoo.graph", "is_sparse"),
    ):
        with pytest.raises(wire.Malformed, match="which is no noun"):
            wire._restored({"$noun": [module, name, {}]}, [], trusted=True)
    with pytest.raises(wire.Malformed, match="a worker sends numbers, texts and arrays only"):
        wire._restored({"$noun": ["zoo.graph", "Graph", {}]}, [], trusted=False)
    with pytest.raises(TypeError, match="not Fold"):  # which holds labels
        wire.encode({"fold": Fold("f", None, np.zeros((1, 2)), np.zeros(1))})


def test_every_kind_is_a_file_and_every_data_set_has_one():
    kinds = discover.kinds()
    assert {"samples", "images", "graphs", "facts"} <= kinds.keys()
    assert {info.kind for info in discover.datasets().values()} <= kinds.keys()
    for name, info in kinds.items():
        kind = discover.load(info)()
        assert kind.name == name
        assert kind.nouns == info.nouns
        assert set(kind.nouns) <= kind.gives
        assert {"Xs", "ys"} <= kind.gives


def test_an_unknown_kind_is_named(monkeypatch, suite_file):
    known = discover.kinds()
    monkeypatch.setattr(discover, "kinds", lambda: {"graphs": known["graphs"]})
    with pytest.raises(BadInput, match="unknown kind of office_caltech: 'samples': there are graphs"):
        suite.load(str(suite_file), {})


def test_data_that_are_no_samples_cannot_be_compared(zoo):
    for command in ("distance", "rank"):
        done = zoo(command, "relational")
        assert done.code == 2
        assert "relational holds facts: there are no samples with features to compare" in done.err
