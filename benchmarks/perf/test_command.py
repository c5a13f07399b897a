"""How fast the command starts: ``zoo --help`` and ``zoo list`` in under 0.4 s."""

import subprocess
import sys

import pytest

LIMIT = 0.4  # seconds


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "suites"]], ids=" ".join)
def test_start(benchmark, arguments):
    command = [sys.executable, "-m", "zoo.cli", *arguments]
    benchmark.pedantic(subprocess.run, args=(command,), kwargs={"capture_output": True, "check": True}, rounds=7)
    print(f"\nzoo {' '.join(arguments)}: {benchmark.stats['min']:.3f} s (at most {LIMIT})")
    assert benchmark.stats["min"] < LIMIT
