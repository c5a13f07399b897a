"""How far apart the averages of two runs of one suite are: of each method, over the cells that both have.

    python benchmarks/moved.py results/office_caltech_holdout /tmp/run

Prints Markdown: the mean over pairs of each run ± the sample standard deviation of that mean over seeds, and their
difference, also in standard errors of a difference of two such means. A method whose code differs between the runs is
marked, for its average may have moved by that. Exit code 2 where the runs have no cell in common.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from zoo import Results
from zoo.errors import BadInput

ROW = ["label", "learner", "setting"]


def moved(old: pd.DataFrame, new: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """A row a method, the highest old mean first, in percent.

    Raises
    ------
    BadInput
        The runs share no cell that is done.
    """
    keys = [*ROW, "source", "target", "seed"]
    done = [frame[frame.status == "ok"][[*keys, "code", metric]] for frame in (old, new)]
    both = done[0].merge(done[1], on=keys, suffixes=("_old", "_new"))
    if both.empty:
        raise BadInput("the two runs have no cell in common")
    values = {"old": f"{metric}_old", "new": f"{metric}_new"}
    seeds = 100 * both.groupby([*ROW, "seed"])[list(values.values())].mean()  # over pairs
    by_row, found = seeds.groupby(ROW), both.groupby(ROW)
    n, same = by_row.size(), (both.code_old == both.code_new).groupby([both[k] for k in ROW]).all()
    table = pd.DataFrame({"n": n, "cells": found.size(), "same_code": same})
    for name, column in values.items():
        table[name], table[f"{name}_std"] = by_row[column].mean(), by_row[column].std()
    table["difference"] = table.new - table.old
    table["errors"] = table.difference / ((table.old_std**2 + table.new_std**2) / n) ** 0.5
    return table.sort_values("old", ascending=False).reset_index()


def shown(table: pd.DataFrame) -> str:
    """The table as Markdown; below it, how far rows moved on average and at most."""
    lines = ["| method | learner | setting | old | new | difference | in standard errors |"]
    lines += ["|---|---|---|---:|---:|---:|---:|"]
    for r in table.itertuples():
        name = r.label if r.same_code else f"{r.label} (other code)"
        means = f"{r.old:.2f} ± {r.old_std:.2f} | {r.new:.2f} ± {r.new_std:.2f}"
        lines.append(f"| {name} | {r.learner} | {r.setting} | {means} | {r.difference:+.2f} | {r.errors:+.1f} |")
    size = table.difference.abs()
    lines += [
        "",
        f"{table.cells.sum()} cells in {len(table)} rows of {table.n.min()} seeds and more: the rows moved by "
        f"{table.difference.mean():+.2f} on average, by {size.mean():.2f} in size and {size.max():.2f} at most; their "
        f"standard deviation over seeds is {table.old_std.mean():.2f} in the old run, {table.new_std.mean():.2f} in "
        "the new.",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--metric", default="accuracy")
    asked = parser.parse_args()
    try:
        print(shown(moved(Results(asked.old).frame(), Results(asked.new).frame(), asked.metric)))
    except BadInput as error:
        print(f"moved: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
