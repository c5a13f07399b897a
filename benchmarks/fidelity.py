"""Writes docs/fidelity.md: what each method was compared with, and how closely it agrees, from the tests themselves.

What is said stands in the tests' marks ``@pytest.mark.reference(method=, source=, compared=, differs=)``, which are
read from the source. The agreement is measured while these tests run: of all they compare, the largest difference from
what they expect. With --check nothing runs, and nothing is written: it only says whether the page tells what the marks
do. Exit codes: 1 the page differs, 2 a marked test failed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from zoo_page import _safe

from zoo import discover

ROOT = Path(__file__).resolve().parents[1]
PAGE, KEYS = ROOT / "docs" / "fidelity.md", ("method", "source", "compared", "differs")
LOOSE, LEAST = 0.01, -12  # what a test allows of a statistic; the smallest power of ten that is told
_ONE = r"(equal|1e-?\d\d?)"
AGREEMENT = re.compile(rf"{_ONE}|({_ONE}; )?{_ONE} \({_ONE} allowed\)|asserted|not measured")
INTRODUCTION = """\
# Fidelity

What each method was compared with that we did not write, and how closely it agrees: the authors' formulas written anew,
their code's steps as a loop of its own, other libraries, closed forms, enumeration. The table is made by
`benchmarks/fidelity.py` from the tests that do the comparing, and says what differs from the reference, and why.

*Agreement* is measured: of all that a test compares, the largest difference from what it expects, relative to the
largest of the expected numbers, as the next power of ten. *Equal*: what is compared is the same. *Asserted*: the test
states an equality of what are no numbers, or a bound. Differences that a test allows more than 1 % of are apart, with
what is allowed: they are of statistics (deviations of random weights, means over draws) or of approximations.
"""


@dataclass(frozen=True)
class Reference:
    """What a mark says, and of which test."""

    method: str
    source: str
    compared: str
    differs: str
    test: str  # file::function


def references(tests: Path) -> list[Reference]:
    """Every mark of every test, in the order of files and lines."""
    found = []
    for path in sorted(tests.glob("test_*.py")):
        for f in ast.parse(path.read_text(encoding="utf-8")).body:
            for mark in f.decorator_list if isinstance(f, ast.FunctionDef) else ():
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.reference":
                    said = {k.arg: ast.literal_eval(k.value) for k in mark.keywords}
                    found.append(Reference(**said, test=f"{path.name}::{f.name}"))
    return found


# Measuring ------------------------------------------------------------------------------------------------------------


def difference(found: Any, expected: Any) -> float | None:
    """The largest difference, relative to the largest expected number; None of what are no numbers.

    >>> difference([1.0, 2.0], [1.0, 2.5])
    0.2
    """
    try:
        a, b = (np.asarray(_numbers(x), float) for x in (found, expected))
        gap = np.abs(a - b)
    except (TypeError, ValueError):
        return None
    gap, size = gap[np.isfinite(gap)], np.abs(b[np.isfinite(b)]).max(initial=0.0)
    largest = float(gap.max(initial=0.0))
    return largest / float(size) if size else largest


def _numbers(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return x.detach().cpu().double().numpy()
    return [*x.values()] if isinstance(x, dict) else x


class Measure:
    """A plugin of pytest: what the marked tests compare, in the course of their assertions."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], list[tuple[float, float]]] = {}  # by test and method: difference, allowed
        self.now: list[tuple[float, float]] = []
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self.now = []
        with self.listening():
            result = yield
        for mark in about(item):
            self.found.setdefault((f"{item.path.name}::{item.originalname}", mark), []).extend(self.now)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def tell(self, found: Any, expected: Any, relative: float, absolute: float) -> None:
        gap = difference(found, expected)
        if gap is not None:
            size = np.abs(np.asarray(_numbers(expected), float)).max(initial=0.0)
            self.now.append((gap, relative + (absolute / size if size else 0.0)))

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Within, what NumPy, PyTorch and pytest compare is told."""
        close, equal, tensors = np.testing.assert_allclose, np.testing.assert_array_equal, torch.testing.assert_close
        same, near, approx = torch.equal, torch.allclose, pytest.approx

        def assert_allclose(a: Any, b: Any, rtol: float = 1e-7, atol: float = 0, **more: Any) -> None:
            close(a, b, rtol=rtol, atol=atol, **more)
            self.tell(a, b, rtol, atol)

        def assert_array_equal(a: Any, b: Any, *more: Any, **others: Any) -> None:
            equal(a, b, *more, **others)
            self.tell(a, b, 0, 0)

        def assert_close(a: Any, b: Any, *, rtol: float | None = None, atol: float | None = None, **more: Any) -> None:
            tensors(a, b, rtol=rtol, atol=atol, **more)
            self.tell(a, b, rtol or 0, atol or 0)

        def is_equal(a: Any, b: Any) -> bool:
            if is_so := same(a, b):
                self.tell(a, b, 0, 0)
            return is_so

        def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, **more: Any) -> bool:
            if is_so := near(a, b, rtol=rtol, atol=atol, **more):
                self.tell(a, b, rtol, atol)
            return is_so

        def approximately(expected: Any, rel: float | None = None, abs: float | None = None, **more: Any) -> Any:
            return Approx(approx(expected, rel=rel, abs=abs, **more), expected, rel, abs, self.tell)

        with contextlib.ExitStack() as stack:
            for module, name, listener in (
                (np.testing, "assert_allclose", assert_allclose),
                (np.testing, "assert_array_equal", assert_array_equal),
                (torch.testing, "assert_close", assert_close),
                (torch, "equal", is_equal),
                (torch, "allclose", allclose),
                (pytest, "approx", approximately),
            ):
                stack.enter_context(mock.patch.object(module, name, listener))
            yield


class Approx:
    """pytest's approximate number, which tells what it is compared with, where that is near."""

    __array_ufunc__, __hash__ = None, None

    def __init__(self, inner: Any, expected: Any, rel: float | None, abs: float | None, tell: Callable) -> None:
        self.inner, self.expected, self.tell = inner, expected, tell
        self.allowed = (1e-6 if rel is None and abs is None else rel or 0.0), abs or 0.0

    def __eq__(self, other: object) -> bool:
        if is_so := bool(self.inner == other):
            self.tell(other, self.expected, *self.allowed)
        return is_so

    def __repr__(self) -> str:
        return repr(self.inner)


def about(item: pytest.Item) -> list[str]:
    """The methods that a test is about: those of its marks, or the one of them that is its parameter."""
    marked = [mark.kwargs["method"] for mark in item.iter_markers("reference")]
    given = getattr(item, "callspec", None)
    named = {_name(p) for p in given.params.values()} if given else set()
    return [m for m in marked if m in named] or marked


def _name(parameter: Any) -> str:
    cls = parameter if isinstance(parameter, type) else type(parameter)
    return parameter if isinstance(parameter, str) else cls.__module__.rpartition(".")[2]


def measured(tests: Path, marks: Iterable[Reference]) -> dict[tuple[str, str], str]:
    """Run the marked tests; the agreement by test and method."""
    measure, files = Measure(), sorted({str(tests / m.test.partition("::")[0]) for m in marks})
    sys.path.insert(0, str(ROOT))  # tests import from one another
    code = pytest.main(["-m", "reference", "-p", "no:cacheprovider", "-p", "no:xdist", *files], plugins=[measure])
    if code or measure.failed:
        raise RuntimeError("marked tests failed: " + (" ".join(measure.failed) or f"pytest ended with {code}"))
    return {key: agreement(found) for key, found in measure.found.items()}


def agreement(found: list[tuple[float, float]]) -> str:
    """What is said of the differences of a test, and of what it allows.

    >>> agreement([(3e-7, 1e-4), (0.002, 0.02)]), agreement([(0.015, 0.02)]), agreement([(0.0, 0.0)]), agreement([])
    ('1e-6; 1e-2 (1e-1 allowed)', '1e-1 (1e-1 allowed)', 'equal', 'asserted')
    """
    strict = [gap for gap, allowed in found if allowed <= LOOSE]
    parts = [_power(max(strict))] if strict else []
    if loose := [x for x in found if x[1] > LOOSE]:
        gap, allowed = (max(x[i] for x in loose) for i in (0, 1))
        parts.append(f"{_power(gap)} ({_power(allowed)} allowed)")
    return "; ".join(parts) or "asserted"


def _power(gap: float) -> str:
    return f"1e{max(math.ceil(math.log10(gap)), LEAST)}" if gap else "equal"


# The page -------------------------------------------------------------------------------------------------------------


def page(marks: list[Reference], agreements: dict[tuple[str, str], str]) -> str:
    """The page of these marks, with an agreement each where it is known."""
    methods = {name: info for name, info in discover.methods().items() if not info.plugin}
    families: dict[str, list[str]] = {"instance": [], "feature": [], "parameter": [], "relational": [], "baseline": []}
    for name, info in methods.items():
        families[info.family].append(name)
    families["what they share"] = sorted({m.method for m in marks} - set(methods))
    parts = [INTRODUCTION]
    for family, names in families.items():
        rows = [row(m, agreements, m.method in methods) for name in names for m in marks if m.method == name]
        missing = [name for name in names if name not in {m.method for m in marks}]
        part = f"## {family.capitalize()}\n\n"
        if rows:
            heads = "| method | reference | what was compared | agreement | what differs, and why | test |\n"
            part += heads + "|---|---|---|---|---|---|\n" + "".join(rows)
        if missing:
            part += "\n" * bool(rows) + f"Without an independent figure: {', '.join(map(_link, missing))}.\n"
        parts.append(part)
    return "\n".join(parts)


def row(mark: Reference, agreements: dict[tuple[str, str], str], known: bool) -> str:
    name = _link(mark.method) if known else mark.method
    agreed = agreements.get((mark.test, mark.method), "not measured")
    said = (_safe(text).replace("|", r"\|") for text in (mark.source, mark.compared, mark.differs))
    source, compared, differs = said
    return f"| {name} | {source} | {compared} | {agreed} | {differs} | `{mark.test.partition('::')[0]}` |\n"


def _link(name: str) -> str:
    return f"[{name}](methods.md#{name})"


def told(text: str, marks: list[Reference]) -> dict[tuple[str, str], str]:
    """The agreements that a page has, of marks that it still holds."""
    cells = [re.split(r"(?<!\\)\|", line) for line in text.splitlines() if line.startswith("| ")]
    had = {tuple(c.strip() for c in (*x[1:4], *x[5:7])): x[4].strip() for x in cells if len(x) == 8}
    found = {}
    for m in marks:
        for known in (True, False):
            x = re.split(r"(?<!\\)\|", row(m, {}, known))
            key = tuple(c.strip() for c in (*x[1:4], *x[5:7]))
            if key in had:
                found[m.test, m.method] = had[key]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="run nothing, write nothing; exit 1 if the page differs")
    asked = parser.parse_args()
    marks = references(ROOT / "tests")
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    before = told(old, marks)
    if asked.check:
        if stale := page(marks, before) != old:
            print(
                f"fidelity: {PAGE} differs from the tests' marks; run: python benchmarks/fidelity.py", file=sys.stderr
            )
        return int(stale)
    try:
        PAGE.write_text(page(marks, before | measured(ROOT / "tests", marks)), encoding="utf-8")
    except RuntimeError as error:
        print(f"fidelity: {error}; nothing was written", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
