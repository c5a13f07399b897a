"""Random csv and npz pairs beside pandas and scikit-learn: `python benchmarks/own_data.py > benchmarks/own_data.md`."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def page(ends: dict[int, tuple[str, str, list[str]]], odd: dict[int, str]) -> str:
    """How pairs ended: all, and by each thing that was drawn for them."""
    counts = Counter(end for end, *_ in ends.values())
    lines = [
        "# Own data, fuzzed",
        "",
        "`python benchmarks/own_data.py`: pairs of small files, drawn and read by `tests/own_csv.py` and",
        "`tests/own_npz.py`. Equal: the run gave the accuracy, the log loss, the samples and the labels that pandas or",
        "NumPy and scikit-learn give by hand. Line: it was refused in one line that says where, and wrote nothing.",
        "",
        f"Of {len(ends) + len(odd)} pairs {counts['equal']} were equal, {counts['line']} a line, {len(odd)} neither.",
        "",
        "| drawn | equal | line |",
        "|---|---:|---:|",
    ]
    drawn = Counter((what, end) for end, _, said in ends.values() for what in said)
    for what in sorted({what for what, _ in drawn}):
        lines.append(f"| `{what.replace('|', chr(92) + '|')}` | {drawn[what, 'equal']} | {drawn[what, 'line']} |")
    return "\n".join([*lines, *(f"- {seed}: {why}" for seed, why in odd.items())])


if __name__ == "__main__":
    from test_fuzz_own_data import tried

    with tempfile.TemporaryDirectory() as folder:
        print(page(*tried(range(int(sys.argv[1]) if len(sys.argv) > 1 else 2000), Path(folder))))
