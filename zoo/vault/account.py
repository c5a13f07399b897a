"""What a worker says of a cell beside its scores: status, reason, seconds and memory."""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path

from zoo.errors import Diverged, LeakError, Unsupported, ZooError, one_line
from zoo.vault.shared import Shared


def status(error: Exception) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate" in str(error):
        return "oom"
    return "diverged" if isinstance(error, Diverged) else "unsupported" if isinstance(error, Unsupported) else "failed"


def reason(error: Exception) -> str:
    """One line: what, and in which line of which file for errors that nobody raised on purpose."""
    first = one_line((_said(error).splitlines() or [""])[0])
    if isinstance(error, ZooError) and not isinstance(error, LeakError):
        return first
    frames = traceback.extract_tb(error.__traceback__)
    where = next((f for f in reversed(frames) if "site-packages" not in f.filename and "vault" not in f.filename), None)
    place = f" ({Path(where.filename).name}:{where.lineno})" if where else ""
    return one_line(f"{type(error).__name__}: {first}{place}")


def _said(error: Exception) -> str:
    """The error's text; a stranger's error may fail to have one."""
    try:
        return str(error)
    except Exception as other:
        return f"(its text raises {type(other).__name__})"


class Clock:
    """Wall and CPU seconds of a block, without those spent on what is shared."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.shared = shared

    def _now(self) -> tuple[float, float]:
        spent = (self.shared.spent, self.shared.spent_cpu) if self.shared else (0.0, 0.0)
        return time.perf_counter() - spent[0], time.process_time() - spent[1]

    def __enter__(self) -> Clock:
        self.start = self._now()
        return self

    def __exit__(self, *exc: object) -> None:
        self.wall, self.cpu = (b - a for a, b in zip(self.start, self._now(), strict=True))


def reset_peak(device: str) -> bool:
    """Restart the peaks of this process's memory and of its device's; False where the system does not let one."""
    import torch

    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak() -> float | None:
    try:
        line = next(r for r in Path("/proc/self/status").read_text().splitlines() if r.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _usage()
    return int(line.split()[1]) / 1024


def _usage() -> float | None:
    """The same where Linux hides the file: children of a stranger see no process."""
    if sys.platform != "linux":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
