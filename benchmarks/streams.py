"""How even the predictions of a stream are: the share of a batch that is said to be of one class.

    python benchmarks/streams.py runs/shuffled runs/by_class

Prints Markdown, a line for each method and its parameters, a column for each folder: the mean over batches, pairs and
seeds of the share of the class that is said most often. Exit code 2: no run of streams.
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


def commonest(said: np.ndarray, batch: int) -> float:
    """Mean over batches of the share of the class that is said most often.

    >>> commonest(np.array([0, 0, 0, 1, 2, 2]), 4)
    0.875
    """
    batches = [said[i : i + batch] for i in range(0, len(said), batch)]
    return float(np.mean([np.unique(b, return_counts=True)[1].max() / len(b) for b in batches]))


def shares(folder: Path) -> pd.Series:
    """By method and parameters, in %.

    Raises
    ------
    BadInput
        Another protocol.
    """
    run = records.read(folder)
    suite = run.meta["suite"]
    if suite["protocol"] != "stream":
        raise BadInput(f"{folder}: protocol {suite['protocol']}, no stream")
    rows = [
        (
            " ".join([r["method"], *(f"{k}={v}" for k, v in r["parameters"].items())]),
            100 * commonest(predict.stored(folder, r)["test_predicted"], suite["stream_batch"]),
        )
        for r in run.records
        if r["status"] == "ok"
    ]
    return pd.DataFrame(rows, columns=["method", "share"]).groupby("method")["share"].mean().rename(folder.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    try:
        found = pd.concat([shares(folder) for folder in parser.parse_args().folders], axis=1)
    except BadInput as error:
        print(f"streams: {error}", file=sys.stderr)
        return 2
    print("| method | " + " | ".join(found.columns) + " |\n|---|" + "---:|" * found.shape[1])
    for name, line in found.iterrows():
        print(f"| {name} | " + " | ".join(f"{v:.0f}" for v in line) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
