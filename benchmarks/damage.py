"""Damaged documents, for `faults.py`: through the readers' fuzz tests, and through the command itself."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]
READERS = [f"tests/test_fuzz_{what}.py" for what in ("input", "values", "suites", "records")]


@dataclass
class Read:
    """What damaged documents of one kind came to."""

    what: str
    tried: int = 0
    read: int = 0
    refused: int = 0
    tracebacks: int = 0
    half: int = 0


def readers(examples: int) -> list[Read]:
    """The fuzz tests with so many examples each."""
    command = [sys.executable, "-m", "pytest", *READERS, "-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics"]
    env = {**os.environ, "ZOO_FAULTS": str(examples), "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True).stdout
    found, file = {}, ""
    for line in said.splitlines():
        if heading := re.match(r"(tests/\S+\.py)::", line):
            file = heading[1]
        if counted := re.search(r"(\d+) passing, (\d+) failing", line):
            kind = found.setdefault(file, Read(f"readers: {file}"))
            passing, failing = map(int, counted.groups())
            kind.tried += passing + failing
            kind.tracebacks += failing
    return list(found.values())


def edits(draw: random.Random) -> list[tuple[str, float, bytes]]:
    """Some edits, in half of the documents of text that may stand there."""
    text = draw.random() < 0.5
    kinds = ["flip", "put", "cut", "drop", "twice", "insert", "number", "head"]
    found = []
    for _ in range(draw.randint(1, 4)):
        n = draw.randint(1, 8)
        more = "".join(draw.choices('0123456789.,:-[]{}"a \n', k=n)).encode() if text else draw.randbytes(n)
        found.append((draw.choice(kinds[1:] if text else kinds), draw.random(), more))
    return found


def called(*words: object) -> int | str:
    """The exit code of the command, run in this process; what it did where that is no clean end."""
    from zoo import cli

    def late(*_: object) -> None:
        raise TimeoutError

    said, code = io.StringIO(), 0
    signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    try:
        argv = mock.patch.object(sys, "argv", ["zoo", *map(str, words)])
        with argv, contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            cli.main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:
        return repr(error)
    finally:
        signal.alarm(0)
    last = said.getvalue().strip()
    return code if code in (0, 1) or (code == 2 and last.count("\n") == 0) else last[-200:]


def commands(n: int, seed: int, folder: Path) -> list[Read]:
    """Damaged suites and data through `zoo run`, damaged run folders through `zoo table` and `zoo status`."""
    from tests.test_fuzz_input import TABLE, damaged

    folder.mkdir()
    draw = random.Random(f"{seed} documents")
    table = TABLE.to_csv(index=False).encode()
    paths = {name: folder / f"{name}.csv" for name in "ab"}
    data = {"format": "csv", "domains": {k: str(p) for k, p in paths.items()}}
    keys = {"data": data, "pairs": ["a:b"], "methods": ["source_only"], "base": "1nn", "protocol": "transductive"}
    suite = "\n".join(f"{k}: {json.dumps(v)}" for k, v in (keys | {"seeds": 1}).items()).encode()
    for path in paths.values():
        path.write_bytes(table)
    good = folder / "good.yaml"
    good.write_bytes(suite)
    whole = folder / "whole"
    if called("run", good, "--executor", "local", "--out", whole) != 0:
        raise SystemExit("faults: the suite of the damaged documents does not run undamaged")
    (records,) = whole.glob("records/*.jsonl")
    found = []
    for what, path, words in (
        ("suite, by zoo run", good, ["run", good, "--executor", "local"]),
        ("csv, by zoo run", paths["a"], ["run", good, "--executor", "local"]),
        ("run.json, by zoo table", whole / "run.json", ["table", whole]),
        ("records, by zoo status", records, ["status", whole]),
    ):
        kind, before = Read(what), path.read_bytes()
        writes = words[0] == "run"
        for i in range(n):
            path.write_bytes(damaged(before, edits(draw)))
            out = folder / "out" / f"{len(found)}-{i}"
            end = called(*words, *(["--out", out] if writes else []))
            kind.tried += 1
            kind.read += end in (0, 1)
            kind.refused += end == 2
            kind.tracebacks += end not in (0, 1, 2)
            kind.half += writes and end not in (0, 1) and out.exists()
            if end not in (0, 1, 2):
                print(f"{what}: {end}", file=sys.stderr)
        path.write_bytes(before)
        found.append(kind)
    return found


def shown_readers(found: list[Read]) -> list[str]:
    text = [
        "## Damaged files\n",
        "| documents | tried | read | refused in one line | traceback | half-written |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for r in found:
        counted = f"{r.read} | {r.refused}" if r.read or r.refused else "– | –"
        half = r.half if "by zoo run" in r.what else "–"
        text.append(f"| {r.what} | {r.tried} | {counted} | {r.tracebacks} | {half} |")
    return [
        *text,
        "",
        "The tests of readers do not tell what was read from what was refused; only `zoo run` writes.",
        "",
    ]
