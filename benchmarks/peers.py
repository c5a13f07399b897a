"""Our methods beside another library's in a run of the suite `peers` or `peers_digits`: how far apart, how much slower.

    python benchmarks/peers.py runs/peers runs/peers_digits

Prints Markdown, a row for each pair of rows of a run, `kmm` and `kmm skada`, or `kmm same` and `kmm skada same` (where
there is no such row, `kmm skada`: its defaults are the same then). Accuracies are means over the cells that both have;
beside them stand the largest difference of a cell, the share of test samples of which both say the same class, and the
ratio of the seconds of their fits, what is shared among methods included but for the features that both are given; and
that of the fits' CPU seconds alone. Exit code 2: not a run of those.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from zoo import records
from zoo.bench import predict
from zoo.errors import BadInput

THEIRS, SAME = " skada", " same"
HEAD = ["method", "settings", "ours", "theirs", "largest difference", "same class", "time, theirs : ours", "CPU"]


def twins(labels: set[str]) -> list[tuple[str, str, str]]:
    """The method, our row and theirs.

    >>> twins({"kmm", "kmm same", "kmm skada", "tca"})
    [('kmm', 'kmm', 'kmm skada'), ('kmm', 'kmm same', 'kmm skada')]
    """
    found = []
    for ours in sorted(x for x in labels if THEIRS not in x):
        method = ours.removesuffix(SAME)
        own = method + THEIRS + (SAME if ours.endswith(SAME) else "")
        theirs = own if own in labels else method + THEIRS
        if theirs in labels:
            found.append((method, ours, theirs))
        if own.removesuffix(SAME) == own and own + SAME in labels and ours + SAME not in labels:
            found.append((method, ours, own + SAME))
    return found


def compared(folder: Path) -> pd.DataFrame:
    """A row a pair of rows.

    Raises
    ------
    BadInput
        The run has no two rows to compare.
    """
    run = records.read(folder)
    cells = {r["cell"]: r for r in run.records if r["status"] == "ok"}
    rows: dict[str, dict[tuple[str, ...], dict]] = {}
    for label, row in run.meta["rows"].items():
        ids = [i for by_setting in row["cells"].values() for found in by_setting.values() for i in found]
        rows[label] = {
            (cells[i]["source"], cells[i]["target"], cells[i]["seed"] or 0): cells[i] for i in ids if i in cells
        }
    lines = []
    for method, ours, theirs in twins(set(rows)):
        both = sorted(rows[ours].keys() & rows[theirs].keys())
        if not both:
            continue
        a, b = ([rows[label][k] for k in both] for label in (ours, theirs))
        accuracy = np.array([[r["metrics"]["accuracy"] for r in side] for side in (a, b)])
        # A stranger shares nothing but the features that both are given: what ours share beside them is theirs to pay.
        shared = sum(max(x["shared_s"] - y["shared_s"], 0.0) for x, y in zip(a, b, strict=True))
        cpu = [sum(r["fit_cpu_s"] for r in side) for side in (a, b)]
        seconds = [sum(r["fit_s"] for r in a) + shared, sum(r["fit_s"] for r in b)]
        agree = [(said(folder, x) == said(folder, y)).mean() for x, y in zip(a, b, strict=True)]
        gap = accuracy[0] - accuracy[1]
        worst = gap[np.abs(gap).argmax()]
        settings = "the same" if SAME in ours + theirs else "defaults"
        means = [f"{100 * m:.1f}" for m in accuracy.mean(1)]
        lines.append(
            [
                method,
                settings,
                *means,
                f"{100 * worst:+.1f}",
                f"{100 * np.mean(agree):.1f} %",
                ratio(*seconds),
                ratio(*cpu),
            ]
        )
    if not lines:
        raise BadInput(f"{folder}: no row of another library beside one of ours")
    return pd.DataFrame(lines, columns=HEAD)


def ratio(ours: float, theirs: float) -> str:
    """How many times as long theirs took."""
    found = theirs / max(ours, 1e-3)
    return f"{found:.0f}" if found >= 10 else f"{found:.1f}"


def said(folder: Path, record: dict) -> np.ndarray:
    """The classes that a cell predicted of its test samples."""
    return predict.stored(folder, record)["test_predicted"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    try:
        for folder in parser.parse_args().folders:
            table = compared(folder)
            print(f"\n{folder.name}\n")
            print("| " + " | ".join(table.columns) + " |\n|" + " --- |" * 2 + " ---: |" * 6)
            for line in table.itertuples(index=False):
                print("| " + " | ".join(line) + " |")
    except BadInput as error:
        print(f"peers: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
