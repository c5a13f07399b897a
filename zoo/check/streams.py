"""The contract tests of methods for streams: batches come one by one to a copy of what was fitted, each once.

A method that adapts to nothing else is tried by these, and by those of the others that say something of it, which then
ask for its scores of a stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.check.near import clean
from zoo.check.subject import Fitted, Skip, Subject, difference, expect, require, require_scores
from zoo.kinds._arrivals import batches
from zoo.streams import only

if TYPE_CHECKING:
    from collections.abc import Sequence


SIZE = 32  # samples of a batch
LONG, TWICE = 40, 80  # batches, after which what is held is compared
MALFORMED = "the method's process gives a malformed answer"
GROWTH = 1.2  # what is held may be in the end, times what it was half-way


def alone(s: Subject) -> bool:
    """Whether the one at hand adapts to streams and to nothing else."""
    return only(s.info)


def cut(X: Tensor) -> list[Tensor]:
    """Batches as the harness has them; of a single sample they are two of it."""
    X = X if len(X) > 1 else X.repeat_interleave(2, 0)
    return list(X.split([len(b) for b in batches(len(X), SIZE)]))


def waiting(s: Subject, pair: Any = None, **how: Any) -> Fitted:
    """Fitted for a stream: without target samples."""
    return s.fit(pair, without=("Xt",), **how)


def observed(s: Subject, fitted: Fitted, batches: Sequence[Tensor]) -> tuple[list[Tensor], list[int], bool]:
    """The scores of each batch, what was held after it, and whether scores stayed as they were given."""
    answer = fitted.far.ask("stream", s.deadline, name=fitted.name, batches=list(batches))
    gives, held, final = expect(answer, gives=str, held=list, final=bool)
    require(gives == "Tensor", f"observe gives a {clean(gives)}, not a tensor")
    scores = [answer.get(f"scores {i}") for i in range(len(batches))]
    require(all(isinstance(part, np.ndarray) for part in scores) and len(held) == len(batches), MALFORMED)
    require(all(type(n) is int for n in held), MALFORMED)
    return [torch.tensor(part) for part in scores], held, final


def whole(s: Subject, fitted: Fitted, X: Tensor) -> Tensor:
    """The scores of samples that come as a stream."""
    n = len(X)
    return torch.cat(observed(s, fitted, cut(X))[0])[:n]


def a_stream(s: Subject) -> str:
    """Of a stream it scores every batch: finite, non-negative [n, n_classes], also one of few samples and of 2."""
    _streams(s)
    X, y = s.pair.X, s.pair.y
    sizes = [SIZE, SIZE, 5, 2, SIZE]
    batches = list(X[: sum(sizes)].split(sizes))
    found, _, final = observed(s, waiting(s), batches)
    for part, x in zip(found, batches, strict=True):
        require_scores(("Tensor", part), len(x), s.columns, f"observe(X) of {len(x)} samples")
    require(final, "the scores of a batch are changed after they were given")
    right = float((whole(s, waiting(s), X).argmax(1) == y).double().mean())
    return f"{right:.1%} of {len(X)} right"


def a_stream_again(s: Subject) -> None:
    """The same stream with the same seed gives the same scores."""
    _streams(s)
    one, other = (whole(s, waiting(s), s.pair.X[:200]) for _ in range(2))
    off = difference(one, other)
    require(off == 0, f"two runs of the same stream with the same seed differ (by {off:.2g}): draw from task.generator")


def a_stream_ahead(s: Subject) -> None:
    """The scores of a batch do not hang on what comes later."""
    _streams(s)
    first, later = list(s.pair.X[:96].split(SIZE)), list(s.pair.X[96:160].split(SIZE))
    one, other = (observed(s, waiting(s), [*first, *rest])[0] for rest in (later, [x + 3 for x in later]))
    off = max(difference(a, b) for a, b in zip(one[: len(first)], other[: len(first)], strict=True))
    require(off == 0, f"a batch is scored differently where other ones come later (by {off:.2g})")


def a_long_stream(s: Subject) -> str:
    """What it holds does not grow with the stream."""
    _streams(s)
    n = len(s.pair.X) - SIZE
    batches = [s.pair.X[(k := 37 * i % n) : k + SIZE] + 0.001 * i for i in range(TWICE)]
    _, held, _ = observed(s, waiting(s), batches)
    half, end = max(held[:LONG]), held[-1]
    require(end <= GROWTH * half, f"after {TWICE} batches it holds {end:,} numbers, after {LONG} {half:,}")
    return f"{end:,} numbers"


TESTS = (a_stream, a_stream_again, a_stream_ahead, a_long_stream)
# Of the others, those that have no meaning without a rule for samples that are not of a stream.
OTHERS = ("shapes", "row_wise", "target_order", "open_sets", "sparse_rows", "labels_too", "device_agnostic", "no_harm")


def _streams(s: Subject) -> None:
    if not s.info.stream:
        raise Skip("is for no stream")
