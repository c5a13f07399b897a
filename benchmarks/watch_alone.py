"""A 1-D CNN on watch in plain PyTorch, trained on the labels of the wrist it is tested on: what `target_only` reaches.

    python benchmarks/watch_alone.py DATA [SPLITS]

Three blocks, Adam at 1e-3, 1,000 steps of 64 windows of 2 s, one a second, z-scored. Nothing of zoo trains or scores:
first on the very windows of the suite's five splits, then on SPLITS splits (10) of a fifth of the series of its own.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

LENGTH, STEP, CLASSES, SIDES = 100, 50, 7, ("left", "right")


def network() -> nn.Sequential:
    def block(i: int, o: int, kernel: int) -> list[nn.Module]:
        return [nn.Conv1d(i, o, kernel, padding=kernel // 2), nn.BatchNorm1d(o), nn.ReLU(), nn.MaxPool1d(2)]

    ends = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, CLASSES)]
    return nn.Sequential(*block(6, 64, 5), nn.Dropout(0.5), *block(64, 128, 8), *block(128, 128, 8), *ends)


def accuracy(X: np.ndarray, y: np.ndarray, Xe: np.ndarray, ye: np.ndarray, seed: int, steps: int = 1000) -> float:
    """In percent, of a network trained on (X, y) and tested on (Xe, ye)."""
    torch.manual_seed(seed)
    net = network()
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    samples, labels = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y)
    batches: list[Tensor] = []
    for _ in range(steps):
        if not batches:
            batches = [b for b in torch.randperm(len(X)).split(64) if len(b) == 64]
        rows = batches.pop()
        optimiser.zero_grad()
        cross_entropy(net(samples[rows]), labels[rows]).backward()
        optimiser.step()
    net.eval()
    with torch.no_grad():
        return 100 * float((net(torch.as_tensor(Xe, dtype=torch.float32)).argmax(1).numpy() == ye).mean())


def windows(data: dict[str, np.ndarray], side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows [n, channels, time] of a wrist, their labels and series."""
    ends = np.cumsum(data["length"])
    found = [
        (data["X"][end - LENGTH - back : end - back].T, data["y"][i], i)
        for i, end in enumerate(ends)
        if data["side"][i] == side
        for back in range((data["length"][i] - LENGTH) % STEP, data["length"][i] - LENGTH + 1, STEP)
    ]
    X, y, series = map(np.array, zip(*found, strict=True))
    return X.astype(np.float32), y, series


def own_splits(data: dict[str, np.ndarray], side: int, n: int) -> list[float]:
    X, y, series = windows(data, side)
    of_side = np.unique(series)
    found = []
    for seed in range(n):
        tested = np.isin(series, np.random.default_rng([side, seed]).permutation(of_side)[: len(of_side) // 5])
        mean, deviation = (f(X[~tested], axis=(0, 2), keepdims=True) for f in (np.mean, np.std))
        Z = (X - mean) / deviation
        found.append(accuracy(Z[~tested], y[~tested], Z[tested], y[tested], seed))
    return found


def suite_splits(root: Path, target: int) -> list[float]:
    """On the windows that the suite trains `target_only` on and tests it on."""
    from zoo.bench.suite import load

    suite, source = load("watch", {}), SIDES[1 - target]
    pair = source, SIDES[target]
    draws = suite.kind.draws(suite, suite.kind.load(suite, [pair], root))
    found = []
    for seed in range(suite.seeds):
        drawn = draws.pair(*pair, seed)
        found.append(accuracy(drawn.oracle["Xt"], drawn.oracle["yt"], drawn.test, drawn.y_test, seed))
    return found


if __name__ == "__main__":
    root, n = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    torch.set_num_threads(1)
    with np.load(root / "watch" / "watch.npz", allow_pickle=False) as file:
        data = dict(file)
    for side, name in enumerate(SIDES):
        for which, found in (("of the suite", suite_splits(root, side)), ("of its own", own_splits(data, side, n))):
            print(
                f"{name}: {np.mean(found):.1f} ± {np.std(found, ddof=1):.1f} on {len(found)} splits {which}", flush=True
            )
