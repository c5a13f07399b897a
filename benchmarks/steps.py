"""Measures what 1,000 training steps of every deep and parameter method cost on one net, for the README's table.

CPU seconds on one thread, a process for each method, of the net `cnn` on 16×16 images, batches of 64; a tuning sees
labelled target samples only. Written to benchmarks/steps.csv, which benchmarks/readme.py puts into README.md.
What takes more than `FACTOR` times as long as `dann` has its reason in `REASONS`, or this script fails.
"""

from __future__ import annotations

import csv
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "steps.csv"
COLUMNS = ("family", "method", "setting", "seconds", "ratio", "memory_mb", "reason")
STEPS, MEASURED = 1000, 200  # the figure is of so many steps, from so many, the set-up left out
FACTOR = 3
REASONS = {
    "mcd": "six updates a step: the paper's A, B, and four times C",
    "vada": "for the adversarial directions of both domains: a pass and its gradient by the input, and one more pass",
}


def main() -> int:
    from zoo import discover

    known = [m for m in discover.methods().values() if m.kind in ("deep", "parameter") and not m.needs & {"As", "At"}]
    reference = _measured("dann")
    rows = []
    for info in known:
        seconds, memory = reference if info.name == "dann" else _measured(info.name)
        ratio = seconds / reference[0]
        reason = REASONS.get(info.name, "") if ratio > FACTOR else ""
        row = {"family": info.family, "method": info.name, "setting": info.setting, "reason": reason}
        rows.append(row | {"seconds": f"{seconds:.1f}", "ratio": f"{ratio:.2f}", "memory_mb": f"{memory:.0f}"})
        print(f"{info.name:20s} {seconds:7.1f} s {ratio:6.2f} {memory:6.0f} MB", flush=True)
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    missing = [r["method"] for r in rows if float(r["ratio"]) > FACTOR and not r["reason"]]
    if missing:
        print(f"steps: above {FACTOR} times dann without a reason: {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))


def table() -> str:
    """The measured costs as markdown."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = ["| method | family | setting | s / 1,000 steps | × dann | MB | |", "|---|---|---|---:|---:|---:|---|"]
    for r in sorted(rows, key=lambda r: (r["family"], r["method"])):
        shown = (r["method"], r["family"], r["setting"], r["seconds"], r["ratio"], r["memory_mb"], r["reason"])
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _measured(name: str) -> tuple[float, float]:
    """CPU seconds of `STEPS` steps, and megabytes that the process grew by at its peak."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measure, args=(name, queue))
    process.start()
    found = queue.get()
    process.join()
    return found


def _measure(name: str, queue: Any) -> None:
    import torch

    torch.set_num_threads(1)
    from zoo import discover

    info = discover.methods()[name]
    _fit(info, 5)  # imports, kernels
    _status("VmHWM", reset=True)
    before = _status("VmRSS")
    short, long = (_fit(info, steps) for steps in (MEASURED // 10, MEASURED))
    seconds = (long - short) / (MEASURED - MEASURED // 10) * STEPS
    queue.put((seconds, _status("VmHWM") - before))


def _fit(info: Any, steps: int) -> float:
    import torch

    from zoo import discover
    from zoo.learners import Learner
    from zoo.task import Task
    from zoo.train import Budget

    adapter, budget = discover.load(info)(), Budget(steps=steps)
    passes = getattr(adapter, "passes", 0)  # over the target, after which it ends: enough of it for all steps
    n_t = max(1000, -(-MEASURED * budget.batch_size // passes) if passes else 0)
    n, g = 1200 + n_t, torch.Generator().manual_seed(0)
    y = torch.randint(10, (n,), generator=g)
    X = torch.rand(n, 1, 16, 16, generator=g) + 0.3 * torch.randn(10, 1, 16, 16, generator=g)[y]
    fields = {"Xs": X[:1000], "ys": y[:1000], "Xt": X[1000:-200], "Xl": X[-200:], "yl": y[-200:]}
    if "model" in info.needs:
        fields["model"] = Learner(net="cnn", budget=Budget(steps=20), use="net").fit(X[:1000], y[:1000], 10)
    learner = Learner(net="cnn", budget=budget, use="net")
    task = Task(fields, needs=info.needs, learner=learner, n_classes=10)
    start = time.process_time()
    adapter.fit(task)
    return time.process_time() - start


def _status(key: str, reset: bool = False) -> float:
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(r for r in Path("/proc/self/status").read_text().splitlines() if r.startswith(key))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
