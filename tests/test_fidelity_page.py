"""The page of fidelity: that it says what the tests' marks do, of every method, and that its figures are measured."""

from __future__ import annotations

import doctest
import re
import sys
from types import SimpleNamespace

import fidelity
import numpy as np
import pytest
import torch

from zoo import discover
from zoo.adapters.feature.jan import Jan

TEXT = fidelity.PAGE.read_text(encoding="utf-8")


def test_the_page_is_that_of_the_marks(monkeypatch, capsys):
    """References, what was compared and what differs; the measured digits are those of who wrote it."""
    monkeypatch.setattr(sys, "argv", ["fidelity.py", "--check"])
    assert fidelity.main() == 0, capsys.readouterr().err


def test_a_mark_that_is_not_on_the_page_is_found(monkeypatch, capsys):
    marks = fidelity.references(fidelity.ROOT / "tests")
    more = fidelity.Reference("coral", "someone", "something", "nothing", "test_reference_mappings.py::test_new")
    monkeypatch.setattr(sys, "argv", ["fidelity.py", "--check"])
    monkeypatch.setattr(fidelity, "references", lambda tests: [*marks, more])
    assert fidelity.main() == 1
    assert "python benchmarks/fidelity.py" in capsys.readouterr().err


def test_every_method_is_on_the_page_and_every_agreement_is_measured():
    known = {name for name, info in discover.methods().items() if not info.plugin}
    marks = fidelity.references(fidelity.ROOT / "tests")
    rows = re.findall(r"^\| \[(\w+)\]", TEXT, re.M)
    gaps = re.findall(r"\[(\w+)\]", " ".join(re.findall(r"^Without an independent figure: (.*)$", TEXT, re.M)))
    assert set(rows) | set(gaps) == known
    assert not set(rows) & set(gaps)
    agreements = fidelity.told(TEXT, marks)
    assert len(agreements) == len({(m.test, m.method) for m in marks})
    wrong = {k: v for k, v in agreements.items() if not fidelity.AGREEMENT.fullmatch(v) or v == "not measured"}
    assert not wrong


def test_marks_say_something():
    for mark in fidelity.references(fidelity.ROOT / "tests"):
        assert all(getattr(mark, key).strip() for key in fidelity.KEYS), mark


def test_examples():
    assert doctest.testmod(fidelity).failed == 0
    assert doctest.testmod(fidelity).attempted == 2


def test_what_a_test_compares_is_measured():
    measure = fidelity.Measure()
    with measure.listening():
        assert pytest.approx(1.0, rel=3e-3) == 1.002
        assert pytest.approx([1.0, 200.0]) != [1.0, 201.0]  # not near: no comparison of a test that passes
        np.testing.assert_allclose([1.0, 4.0], [1.0, 4.04], atol=0.05)
        torch.testing.assert_close(torch.ones(2), torch.ones(2))
        assert torch.equal(torch.arange(3), torch.arange(3))
        assert not torch.equal(torch.arange(3), torch.ones(3))
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(1.0, 2.0)
    assert [gap for gap, _ in measure.now] == pytest.approx([2e-3, 0.04 / 4.04, 0, 0])
    assert [allowed for _, allowed in measure.now] == pytest.approx([3e-3, 1e-7 + 0.05 / 4.04, 0, 0])
    assert fidelity.agreement(measure.now[:1]) == "1e-2"
    assert pytest.approx(1.0) == 1.0, "and what was there before is back"
    assert len(measure.now) == 4


def test_a_test_of_several_methods_is_about_the_one_that_it_is_given():
    marks = [SimpleNamespace(kwargs={"method": name}) for name in ("dan", "jan")]

    def item(*given):
        params = {"callspec": SimpleNamespace(params=dict(enumerate(given)))} if given else {}
        return SimpleNamespace(iter_markers=lambda name: marks, **params)

    assert fidelity.about(item(Jan())) == fidelity.about(item(Jan, 3)) == fidelity.about(item("jan")) == ["jan"]
    assert fidelity.about(item()) == fidelity.about(item(0.5)) == ["dan", "jan"]


def test_a_test_that_compares_nothing_is_not_said_to_agree():
    assert fidelity.agreement([]) == "asserted"
    assert fidelity.difference("a", "b") is None


def test_a_failing_test_writes_nothing(monkeypatch, capsys, tmp_path):
    page = tmp_path / "page.md"

    class Failing:
        failed, found = ["test_bad.py::test"], {}

    monkeypatch.setattr(fidelity, "PAGE", page)
    monkeypatch.setattr(fidelity, "Measure", Failing)
    monkeypatch.setattr(fidelity.pytest, "main", lambda *args, **more: 1)
    monkeypatch.setattr(sys, "argv", ["fidelity.py"])
    assert fidelity.main() == 2
    assert "nothing was written" in capsys.readouterr().err
    assert not page.exists()
