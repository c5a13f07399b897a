"""The networks before and after their defaults became their authors' configuration: `python benchmarks/reference.py`.

Before: the cells of results/office31 and results/digits, five seeds, made by version 0.1. After: those under
benchmarks/reference/. An average is over the pairs on which both have every seed of the later run.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

from zoo import records
from zoo.report.lines import Line, lines

ROOT = Path(__file__).resolve().parents[1]


def averages(line: Line, pairs: list[str], seeds: int) -> list[float]:
    """Accuracy of each seed, averaged over pairs, in %."""
    values = [line.values(pair, "accuracy") for pair in pairs]
    return [100 * fmean(v[s] for v in values) for s in range(seeds)]


def compared(name: str, seeds: int) -> str:
    """A table: method, before, after and the difference, over the same pairs."""
    runs = [records.read(ROOT / folder / name) for folder in ("results", "benchmarks/reference")]
    before, after = ({line.label: line for line in lines(run)[0] if line.learner == _net(run)} for run in runs)
    rows = ["| method | pairs | before | after | difference |", "|---|---|---|---|---|"]
    for label, line in after.items():
        pairs = [p for p in runs[1].meta["pairs"] if {*range(seeds)} <= {*line.values(p, "accuracy")}]
        if not pairs or label not in before:
            continue
        new = averages(line, pairs, seeds)
        old = averages(before[label], pairs, len(before[label].values(pairs[0], "accuracy")))
        said = f"{fmean(new):.1f} ± {stdev(new):.1f}"
        rows.append(f"| {label} | {len(pairs)} | {fmean(old):.1f} | {said} | {fmean(new) - fmean(old):+.1f} |")
    return "\n".join(rows)


def _net(run: records.Run) -> str:
    return str(run.meta["suite"]["net"])


if __name__ == "__main__":
    for suite, n in (("digits", 3), ("office31", 3)):
        print(f"{suite}, {n} seeds\n\n{compared(suite, n)}\n")
