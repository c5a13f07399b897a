"""Slurm: a job array over ``--shard``; sbatch FILE, and again where some of it was killed."""

from __future__ import annotations

import math
import shlex

from zoo.bench.emit import Batch

MARGIN = 3  # times the estimate, which another machine may need


def script(batch: Batch) -> str:
    """The script; `sbatch` starts it in the folder where it is called.

    >>> from pathlib import Path
    >>> text = script(Batch(("zoo", "run", "my suite"), "my suite", Path("runs/a b"), 4, 100, 900.0, 2, False))
    >>> print(text.splitlines()[-1])
    exec zoo run 'my suite' --workers 2 --shard $SLURM_ARRAY_TASK_ID/4
    """
    minutes = max(10, math.ceil(MARGIN * batch.seconds / 60))
    log = f"{batch.folder}-%A_%a.log"
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={shlex.quote(f'zoo-{batch.name}')}",
        f"#SBATCH --array=1-{batch.parts}",
        f"#SBATCH --cpus-per-task={batch.cpus}",
        *(["#SBATCH --gpus=1"] if batch.gpu else []),
        f"#SBATCH --time={minutes}",
        f"#SBATCH --output={shlex.quote(log)}",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        f"# {batch.cells} cells in {batch.parts} parts, about {batch.seconds:.0f} s each where this was written.",
        f"# All write into one folder that they share; zoo status {shlex.quote(str(batch.folder))} says what is left,",
        "# and this, submitted again, runs that.",
        f"exec {shlex.join(batch.words)} --workers {batch.cpus} --shard $SLURM_ARRAY_TASK_ID/{batch.parts}",
    ]
    return "\n".join([*lines, ""])
