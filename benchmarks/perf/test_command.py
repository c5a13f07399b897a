"""What the command costs to start, in CPU seconds of one run: ``zoo list`` at most 2.5 times ``zoo --help``."""

import os
import resource
import subprocess
import sys

import pytest

RATIO = 2.5
ROUNDS = 7


def cpu(arguments, environment):
    """CPU seconds of the command, which other work on the machine moves less than the clock's."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "zoo.cli", *arguments]
    subprocess.run(command, capture_output=True, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("what", [["list"], ["list", "--json"], ["list", "suites"], ["list", "datasets"]], ids=" ".join)
def test_list_against_help(what, tmp_path, figure):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    cpu(what, environment)  # fills the cache
    rounds = [(cpu(["--help"], environment), cpu(what, environment)) for _ in range(ROUNDS)]
    bare, listing = (min(seconds) for seconds in zip(*rounds, strict=True))
    print(f"\nzoo {' '.join(what)}: {listing:.3f} CPU s, --help {bare:.3f}")
    figure(listing / bare, RATIO)
