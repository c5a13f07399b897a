"""Imports run downwards only, without circles, and no file of ours is too long to be read in one go."""

from functools import cache
from pathlib import Path

import pytest

from zoo import source

ROOT = Path(__file__).parents[1]
LONGEST = 400  # lines
FILES = sorted(source.ROOT.rglob("*.py"))

# Who knows nothing of whom; "zoo.report" means every module in it.
NEVER = {
    "zoo.ops": ("zoo.adapters", "zoo.bench", "zoo.report", "zoo.cli", "zoo.records", "zoo.vault"),
    "zoo.adapters": ("zoo.bench", "zoo.vault", "zoo.records", "zoo.report", "zoo.cli"),
    "zoo.records": ("zoo.bench", "zoo.report", "zoo.cli", "zoo.adapters", "zoo.vault"),
    "zoo.report": (
        "zoo.bench",
        "zoo.adapters",
        "zoo.vault",
        "zoo.data",
        "zoo.learners",
        "zoo.nets",
        "zoo.ops",
        "zoo.cli",
    ),
    "zoo.select": ("zoo.adapters", "zoo.bench", "zoo.vault", "zoo.records", "zoo.report", "zoo.cli"),
    "zoo.bench": ("zoo.cli",),
}


@cache
def imports():
    """Each module of the package → those that it imports anywhere in it, for type checking aside."""
    found = {}
    for path in FILES:
        file = source.read(path)
        found[file.name] = {name for name in file.imported if source.find(name)} - {file.name}
    return found


def circles(graph):
    """The strongly connected parts of more than one module, each sorted (Tarjan)."""
    order, low, stack, parts = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            part = [stack.pop()]
            while part[-1] != node:
                part.append(stack.pop())
            if len(part) > 1:
                parts.append(tuple(sorted(part)))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return parts


def within(module, package):
    return f"{module}.".startswith(f"{package}.")


def shown(part):
    """A circle as a path that leads back to its beginning."""
    graph, path = imports(), [part[0]]
    waiting, came = [part[0]], {}
    while waiting:  # the shortest way round
        node = waiting.pop(0)
        for other in sorted(graph[node] & set(part)):
            if other == part[0]:
                while node in came:
                    path.insert(1, node)
                    node = came[node]
                return " → ".join([*path, part[0]])
            if other not in came:
                came[other] = node
                waiting.append(other)
    raise AssertionError(part)


def test_no_circle():
    assert not [shown(part) for part in circles(imports())]


def test_a_circle_is_found_and_shown(tmp_path, monkeypatch):
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [("a", "b", "c")]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    monkeypatch.setitem(globals(), "imports", lambda: {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()})
    assert shown(("a", "b", "c")) == "a → b → c → a"


def test_a_deferred_import_counts_and_one_for_types_does_not(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zoo.task\n"
        "def f():\n    from zoo import train\n"
    )
    assert source.read(path).imported == {"typing", "zoo.train"}


@pytest.mark.parametrize("package", NEVER)
def test_imports_run_downwards(package):
    inside = [name for name in imports() if within(name, package)]
    assert inside
    upwards = [
        f"{name} → {other}"
        for name in inside
        for other in imports()[name]
        if any(within(other, above) for above in NEVER[package])
    ]
    assert not upwards


def test_no_file_is_long():
    files = [path for folder in ("zoo", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in files}
    assert not {name: n for name, n in lines.items() if n > LONGEST}
