"""Every method gives alone, in a worker of its own, the very bytes that it gives in the company of all the others.

On every kind of data all cells are run three times: in the workers that the driver plans, where all cells of a target
and a grant follow one another; in the reverse order; and each cell in a fresh worker. What is compared are the scores
as the worker sent them, in float64.
"""

from __future__ import annotations

import json
from collections import deque

import numpy as np
import pytest
import torch

from tests.test_folds import write_database
from tests.test_graph_data import block_model, write_npz
from zoo import discover
from zoo.bench import execute
from zoo.bench.run import Benchmark

BRIEF = {"steps": 4, "batch_size": 16, "learning_rate": 0.01, "seeds": 1, "labels": 1}
CLASSES = 3


class Kept(execute.Driver):
    """A driver that keeps the scores of every cell as they came."""

    found: dict

    def _finish(self, slot, status, reason):
        job = slot.job
        if not job.makes:
            text = [status, reason, json.dumps(job.costs.get("certificate", {}), sort_keys=True)]
            scores = [{k: (v.dtype.str, v.shape, v.tobytes()) for k, v in part.items()} for part in job.scores]
            self.found[job.cell.id] = text, scores
        super()._finish(slot, status, reason)


class Reversed(Kept):
    """What came last comes first."""

    def _enqueue(self, cells):
        super()._enqueue(cells)
        self.queues = {k: deque(reversed(q)) for k, q in reversed(self.queues.items())}


class Alone(Kept):
    """No cell ever meets another: each is a worker's first and last."""

    def _begin(self, slot, job):
        self._end(slot)
        super()._begin(slot, job)


@pytest.fixture
def ran(monkeypatch, tmp_path):
    """Run all cells of a suite by a driver; returns the cells and what each sent."""

    def run(path, driver, **options):
        driver = type(driver.__name__, (driver,), {"found": {}})
        monkeypatch.setattr("zoo.bench.run.Driver", driver)
        benchmark = Benchmark(str(path), out=tmp_path / driver.__name__, workers=1, **options)
        benchmark.run()
        return {c.id: c for c in benchmark.plan.cells}, driver.found

    return run


def vectors(tmp_path, names=("one", "two"), **keys):
    """Three Gaussian classes, moved from domain to domain."""
    paths = {}
    for i, name in enumerate(names):
        rng = np.random.default_rng(i)
        y = rng.permutation(np.arange(36 + 3 * i) % CLASSES)
        X = 3 * np.eye(CLASSES, 5)[y] + rng.normal(size=(len(y), 5)) + 0.5 * i
        paths[name] = tmp_path / f"{name}.npz"
        np.savez(paths[name], x=X.astype(np.float32), y=y)
    return written(tmp_path, "npz", paths, **keys)


def images(tmp_path, **keys):
    """Three patterns of 8 × 8 under noise, brighter in the target."""
    patterns = np.random.default_rng(9).random((CLASSES, 1, 8, 8))
    paths = {}
    for i, name in enumerate(("one", "two")):
        rng = np.random.default_rng(i)
        y = rng.permutation(np.arange(33 + 3 * i) % CLASSES)
        X = 150 * patterns[y] + 60 * rng.random((len(y), 1, 8, 8)) + 30 * i
        paths[name] = tmp_path / f"{name}.npz"
        np.savez(paths[name], x=X.astype(np.uint8), y=y)
    return written(tmp_path, "npz", paths, **keys)


def graphs(tmp_path, **keys):
    """Two block models."""
    paths = {name: write_npz(tmp_path / f"{name}.npz", *block_model(45, i, 0.5 * i)) for i, name in enumerate("ab")}
    return written(tmp_path, "graph", paths, **keys)


def facts(tmp_path):
    """Friends and likes: two small databases of three folds."""
    write_database(tmp_path / "old", 2, 7, "parent", "loves", 0)
    write_database(tmp_path / "new", 2, 8, "friend", "likes", 1)
    paths = {"old": tmp_path / "old", "new": tmp_path / "new"}
    target = {"old": "loves", "new": "likes"}
    return written(tmp_path, "facts", paths, target, pairs=["old:new"], seeds=1, examples=4)


def written(tmp_path, form, paths, target=None, **keys):
    """A suite file over domains in files."""
    data = {"format": form, "domains": {k: str(v) for k, v in paths.items()}} | ({"target": target} if target else {})
    keys = {"data": data} | ({} if target else BRIEF | {"pairs": [":".join(paths)]}) | keys
    path = tmp_path / "company.yaml"
    path.write_text("\n".join(f"{k}: {json.dumps(v)}" for k, v in keys.items()))
    return path


TWO_SOURCES = {"names": ("one", "two", "three"), "pairs": ["one:three", "two:three"], "protocol": "transductive"}
KINDS = {
    "vectors": (vectors, {}, (Reversed, Alone)),
    "vectors, transductive, 1-NN, two sources": (vectors, TWO_SOURCES | {"base": "1nn"}, (Alone,)),  # 400 workers
    "images": (images, {}, (Reversed, Alone)),  # the methods of vectors once more
    "graphs": (graphs, {}, (Reversed, Alone)),
    "facts": (facts, {}, (Reversed, Alone)),
}


def differing(cells, one, other):
    """The cells whose answers differ, by their methods, settings and learners."""
    assert one.keys() == other.keys() == cells.keys()
    names = {k: (c.row.info.name, c.identity["setting"], c.identity["learner"]) for k, c in cells.items()}
    return sorted(names[k] for k in names if one[k] != other[k])


ON_EVERY_RUN = ("facts",)  # the others start some hundred workers each


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in ON_EVERY_RUN else pytest.mark.faults) for k in KINDS]
)
def test_every_method_gives_alone_what_it_gives_in_company(kind, server, ran, tmp_path):
    write, keys, others = KINDS[kind]
    path = write(tmp_path, **keys)
    cells, together = ran(path, Kept)
    broken = {cells[k].row.info.name: text for k, (text, _) in together.items() if text[0] not in ("ok", "unsupported")}
    assert not broken  # what fails alike is no evidence
    for other in others:
        _, found = ran(path, other)
        assert differing(cells, together, found) == [], other.__doc__


def test_no_method_is_left_out():
    """Each can run on one of the kinds above at least: those that need facts on facts, all others on vectors."""
    of_facts = {name for name, info in discover.methods().items() if info.needs & {"Fs", "Ft"}}
    assert {"rdn_boost", "predicate_mapping"} <= of_facts
    of_graphs = {name for name, info in discover.methods().items() if info.needs & {"As", "At"}}
    assert {"adagcn", "degree"} <= of_graphs
    assert not of_facts & of_graphs


def spoil_classifier(monkeypatch):
    """Coral changes the classifier that it shares with source_only."""
    from zoo.adapters.feature.coral import Coral

    fit = Coral.fit

    def spoiling(self, task):
        shared = task.learner.fit(task.Xs, task.ys, task.n_classes)
        shared.predict = lambda X: torch.full((len(X), 3), 1 / 3, dtype=torch.float64)
        return fit(self, task)

    monkeypatch.setattr(Coral, "fit", spoiling)


def change_default_dtype(monkeypatch):
    """Coral leaves another default type of new tensors behind."""
    from zoo.adapters.feature.coral import Coral

    fit = Coral.fit

    def spoiling(self, task):
        torch.set_default_dtype(torch.float64)
        return fit(self, task)

    monkeypatch.setattr(Coral, "fit", spoiling)


def keep_a_start(monkeypatch):
    """Kliep starts where the fit before it ended."""
    from zoo.adapters.instance.kliep import Kliep

    weights, last = Kliep.weights, []

    def spoiling(self, task):
        found = weights(self, task)
        last.append(found)
        return sum(last) / len(last)

    monkeypatch.setattr(Kliep, "weights", spoiling)


@pytest.mark.parametrize(
    ("plant", "moved"),
    [(spoil_classifier, {"source_only"}), (change_default_dtype, {"dann"}), (keep_a_start, {"kliep"})],
)
def test_a_method_that_moves_another_is_found(plant, moved, ran, monkeypatch, tmp_path):
    """The comparison can fail: with a fault planted in one method, in this process, the answers of others differ."""
    path = vectors(tmp_path, ("one", "two", "three"), pairs=["one:three", "two:three"])
    options = {"executor": "local", "methods": ["source_only", "coral", "kliep", "dann"]}
    cells, forth = ran(path, Kept, **options)
    assert differing(cells, forth, ran(path, Reversed, **options)[1]) == []
    plant(monkeypatch)
    spoilt = []
    for driver in (Kept, Reversed):
        spoilt.append(ran(path, driver, fresh=True, **options)[1])
        torch.set_default_dtype(torch.float32)
    assert {name for name, *_ in differing(cells, *spoilt)} >= moved
