"""What a run stands on: versions, data, cores, the device, and the revision of the zoo."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from zoo.errors import BadInput


@cache
def versions() -> dict[str, str]:
    """Versions that a result may depend on."""
    found = {"python": platform.python_version()}
    for name in ("zoo", "torch", "numpy", "scipy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "?"
    return found


def data_root(given: str | Path | None) -> Path | None:
    """The folder of data: as given, else ``ZOO_DATA``, else none."""
    root = given or os.environ.get("ZOO_DATA")
    return Path(root) if root else None


def cores() -> int:
    """Cores that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device(name: str) -> str:
    """Resolve ``auto`` without importing torch where there can be no GPU."""
    if name == "cpu" or (name == "auto" and not _cuda_possible()):
        return "cpu"
    import torch

    if name == "auto":
        # Asks the driver's library, so that this process makes no CUDA context.
        return "cuda" if torch.cuda.device_count() else "cpu"
    try:
        found = torch.device(name)
    except RuntimeError:
        found = None
    if found is None or found.type not in ("cpu", "cuda"):
        raise BadInput(f"--device {name}: expected auto, cpu, cuda or cuda:N")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu")
    return name


def _cuda_possible() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists() or sys.platform == "win32"


def revision() -> str:
    """The git revision of the zoo that runs, where it is a checkout."""
    try:
        here = Path(__file__).parent
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
