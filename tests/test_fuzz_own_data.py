"""Random small csv and npz pairs: each gives the figure that pandas and scikit-learn give by hand, or is one line.

A few in a plain run, and N more with ``ZOO_FAULTS=N``; ``python benchmarks/own_data.py`` tries 2,000 and prints
``benchmarks/own_data.md``, which says how many ran and how many were refused, by what is odd about them.
"""

import os
import shutil
import warnings
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest

from tests.own_csv import csv_pair
from tests.own_npz import npz_pair
from tests.own_pairs import NoFigure, figure
from zoo import discover, select
from zoo.bench.run import Benchmark
from zoo.errors import BadInput

ASKED = int(os.environ.get("ZOO_FAULTS", "0"))
FEW = 16
SUITE = {"name": "mine", "protocol": "transductive", "methods": ["source_only"], "seeds": 1, "base": "logistic"}


def drawn(seed, folder):
    rng = np.random.default_rng(seed)
    return (csv_pair if seed % 5 < 3 else npz_pair)(rng, folder)


def judged(pair, folder):
    """Run a pair; returns how it ended: "equal" or "line", and the line."""
    out = folder / "run"
    domains = list(pair.suite["data"].get("domains", "ab")) if len(pair.read) < 3 else pair.read[2]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            benchmark = Benchmark(SUITE | pair.suite | {"pairs": [":".join(domains)]}, executor="local", out=out)
        except BadInput as error:
            line = str(error)
            assert "\n" not in line
            assert 10 < len(line) < 1500, line
            assert "Traceback" not in line
            assert str(folder) in line or "data: " in line or "pair " in line, f"does not say where: {line}"
            assert not out.exists(), "half-written"
            return "line", line
        data = benchmark.data
        record = benchmark.run().frame().iloc[0]
    assert not [w for w in said if not issubclass(w.category, DeprecationWarning)], [str(w.message) for w in said]
    assert record.status == "ok", record.reason
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            accuracy, unsure, chance, raw = figure(pair)
    except NoFigure as error:
        raise AssertionError(f"runs, but by hand: {error}") from None
    for name, (X, y) in zip(domains, raw, strict=True):
        same(data, data.domains[name], X, y)
    assert abs(record.accuracy - accuracy) <= unsure + 1e-9, (record.accuracy, accuracy, unsure)
    losses = -np.log(np.maximum(chance, 1e-300)).mean(1)
    spread = losses.max() - losses.min() + 2e-2 * (1 + losses.min())  # the solver stops early, elsewhere for each order
    if chance.min() > 1e-12:
        assert losses.min() - spread <= record.nll <= losses.max() + spread, (record.nll, losses)
    return "equal", f"{record.accuracy:.3f}"


def same(data, domain, X, y):
    """The samples and the labels of a domain are those read by hand, row for row."""
    order = np.argsort(domain.rows)
    found = domain.X if isinstance(domain.X, np.ndarray) else domain.X.toarray()
    found = found.reshape(len(found), -1)[order]
    assert found.shape == X.shape, (found.shape, X.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spread = np.nan_to_num(np.nanmax(X, 0) - np.nanmin(X, 0))
    if len(X) and "missing" not in domain.name:
        there = ~np.isnan(found)
        gap = np.abs(np.where(there, found, 0) - np.where(there, X, 0))
        bound = 1e-3 * spread + 1e-6 * np.abs(np.where(there, X, 0)) * (spread == 0) + 1e-45
        assert (gap <= bound).all(), "samples differ"
        assert (~there[np.isnan(X)]).all(), "a missing value is a number"
    labels = [*(data.classes[c] for c in domain.y), *[None] * (len(found) - len(domain.y))]
    labels = np.array(labels, object)[order].tolist()
    assert all(a == b or a is None for a, b in zip(labels, y, strict=True)), (labels, y)


@contextmanager
def known():
    """What methods and validators there are is looked up once: half of a small run is that."""
    methods, judges = discover.methods(), select.validators()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discover, "methods", lambda *files: methods)
        patch.setattr(select, "validators", lambda *files: judges)
        yield


def tried(seeds, folder):
    """How pairs ended, and those that ended otherwise than they may."""
    with known():
        return _tried(seeds, folder)


def _tried(seeds, folder):
    ends, odd = {}, {}
    for seed in seeds:
        here = folder / str(seed)
        here.mkdir()
        pair = drawn(seed, here)
        try:
            ends[seed] = (*judged(pair, here), pair.said)
        except Exception as error:  # what is to be found
            odd[seed] = f"{pair.said} {pair.suite}: {type(error).__name__}: {str(error)[:600]}"
        else:
            shutil.rmtree(here)
    return ends, odd


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def judge(tmp_path, seeds):
    ends, odd = tried(seeds, tmp_path)
    assert not odd, "\n".join(f"{seed}: {why}" for seed, why in odd.items())
    counts = Counter(end for end, *_ in ends.values())
    assert counts["equal"] > counts["line"] / 2 > 0


def test_a_pair_gives_the_figure_by_hand_or_is_one_line(tmp_path):
    judge(tmp_path, range(FEW))


@pytest.mark.faults
def test_many_pairs(tmp_path):
    judge(tmp_path, range(FEW, FEW + (ASKED or 100)))
