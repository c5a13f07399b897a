"""Scripts for clusters: what they run is what was asked for, in parts that make one table."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.bench.run import Results

WHAT = (
    "run",
    "quickstart",
    "--methods",
    "coral,kmm",
    "--seeds",
    "1",
    "--set",
    "coral.reg=0.5",
    "--executor",
    "local",
    "--workers",
    "1",
)


def test_the_script_says_what_was_asked_for(zoo):
    script = zoo(*WHAT, "--emit", "slurm", "--shard", "1/3", "--out", "my runs/a").out
    assert "#SBATCH --array=1-3\n" in script
    asked = "--methods coral,kmm --seeds 1 --set coral.reg=0.5 --executor local"
    part = "--shard $SLURM_ARRAY_TASK_ID/3"
    assert script.splitlines()[-1] == f"exec zoo run quickstart {asked} --out 'my runs/a' --workers 1 {part}"
    assert not Path("my runs").exists()
    assert "#SBATCH --array=1-1\n" in zoo(*WHAT, "--emit", "slurm").out  # what takes no hour
    done = zoo(*WHAT, "--emit", "condor")
    assert (done.code, done.err) == (2, "zoo: unknown --emit 'condor': there are slurm\n")


@pytest.mark.faults
def test_its_parts_make_the_table_of_one_run(zoo, tmp_path):
    script = zoo(*WHAT, "--emit", "slurm", "--shard", "1/2", "--out", "many").out
    Path("job.sh").write_text(script)
    Path("bin").mkdir()
    command = Path("bin/zoo")
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m zoo.cli "$@"\n')
    command.chmod(0o755)
    for task in (1, 2):
        env = os.environ | {"PATH": f"{Path('bin').resolve()}:{os.environ['PATH']}", "SLURM_ARRAY_TASK_ID": str(task)}
        done = subprocess.run(["bash", "job.sh"], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert zoo(*WHAT, "--out", "one").code == 0
    assert Results(Path("many")).table("md", cost=False) == Results(Path("one")).table("md", cost=False)
