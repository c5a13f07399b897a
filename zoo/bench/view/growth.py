"""What a method will take on many samples, foretold from what it takes on few: memory and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.bench import messages
from zoo.graph import is_sparse

if TYPE_CHECKING:
    from zoo.bench.executors import Channel, Executor
    from zoo.bench.plan import Cell
    from zoo.bench.run import Benchmark

MANY = 4000  # samples of a source or a target, from which on a method is tried on fewer first
SIZES = (500, 1000, 2000)
NOISE_MB = 8.0  # of the second difference of three peaks, which is that of pages and caches


@dataclass(frozen=True)
class Growth:
    """Seconds and peak memory at the sizes of `SIZES`, and what that makes at another.

    >>> g = Growth((1.0, 4.0, 16.0), (208.0, 232.0, 328.0))
    >>> g.megabytes(20_000) > 12_000, g.seconds(4_000)
    (True, 64.0)
    >>> Growth((1.0, 1.1, 1.2), (200.0, 201.0, 203.0)).megabytes(20_000)
    239.0
    """

    took: tuple[float, ...]
    peaks: tuple[float, ...]

    def seconds(self, n: int) -> float:
        """As the last doubling goes on: at least in proportion, at most with the cube."""
        power = math.log2(max(self.took[2], 1e-3) / max(self.took[1], 1e-3))
        return self.took[2] * (n / SIZES[2]) ** min(3.0, max(1.0, power))

    def megabytes(self, n: int) -> float:
        """A part that stands, one in proportion, and one with the square: three peaks tell the three."""
        a, b, c = self.peaks
        bent = c - 3 * b + 2 * a
        if bent < NOISE_MB:
            return round(c + max(0.0, (c - b) / (SIZES[2] - SIZES[1])) * (n - SIZES[2]), 1)
        square = bent / (6 * SIZES[0] ** 2)
        line = max(0.0, (c - b - square * (SIZES[2] ** 2 - SIZES[1] ** 2)) / (SIZES[2] - SIZES[1]))
        return round(c + square * (n**2 - SIZES[2] ** 2) + line * (n - SIZES[2]), 1)


def tried(benchmark: Benchmark, cell: Cell) -> tuple[Growth, int] | None:
    """How a cell on a base classifier grows, and its samples; None where they are few, or it fails on fewer."""
    suite, kind = benchmark.suite, benchmark.suite.kind
    if cell.use != "base" or cell.model or cell.stranger or kind.handed(suite, cell.row.info, cell.use):
        return None
    pair = cell.pair(kind.draws(suite, benchmark.data))
    fields = {k: v for k, v in pair.round(0, "yt" in cell.grant).fields.items() if k in cell.grant}
    n = max((v.shape[0] for k, v in fields.items() if k in ("Xs", "Xt", "Xl")), default=0)
    if n < MANY:
        return None
    executor = benchmark.executor = benchmark.executor or benchmark._executor()
    answers = []
    for size in SIZES:
        few = {k: _some(v, size / n) for k, v in fields.items()}
        message = messages.head(suite, benchmark.data, cell, benchmark.device, cell.use) | {
            **{"op": "fit", "info": cell.row.info, "parameters": cell.row.parameters, "needs": sorted(cell.grant)},
            **{"arrays": few, "model": None, "featurise": False, "shaped": False, "again": False},
            **{"checkpoint_s": float("inf"), "state": None},
        }
        channel = executor.open()  # a new process, whose peak is that of this fit
        channel.send(message)
        try:
            answer = answered(executor, channel)
        except EOFError:
            return None
        finally:
            channel.close()
        if "fit_s" not in answer:
            return None
        answers.append((float(answer["fit_s"]), float(answer["peak_rss_mb"] or 0.0)))
    took, peaks = zip(*answers, strict=True)
    return Growth(took, peaks), n


def answered(executor: Executor, channel: Channel) -> dict[str, Any]:
    """The answer after all notes; each is waited for, since a worker that is in the middle of one is given seconds.

    Raises
    ------
    EOFError
        The worker has died.
    """
    while True:
        (ready,) = executor.wait([channel], None)
        if "note" not in (answer := ready.receive()):
            return answer


def _some(X: Any, share: float) -> Any:
    """Rows at even distances: they stand in random order."""
    n = X.shape[0]
    rows = np.unique(np.linspace(0, n - 1, max(2, round(share * n))).astype(int))
    return X[rows] if is_sparse(X) else np.ascontiguousarray(X[rows])
