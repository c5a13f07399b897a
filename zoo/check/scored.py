"""How a method under test scores samples, and how often it is right."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo.check import streams
from zoo.check.subject import Fitted, Subject, require
from zoo.check.toys import CLASSES


def scores(s: Subject, fitted: Fitted, pair: Any = None) -> Tensor:
    """Scores of the target samples that it was fitted on; of a method for streams alone, of these as a stream."""
    if streams.alone(s):
        return streams.whole(s, fitted, (pair or s.pair).Xt)
    if s.info.transductive_only:
        return s.predict(fitted, rule="scores_t")
    return s.predict(fitted, (pair or s.pair).Xt)


def accuracy(s: Subject, fitted: Fitted, pair: Any = None, known: bool = False) -> float:
    """On the test set, or on Xt where it has no rule for other samples; see `right`."""
    pair = pair or s.pair
    if s.info.transductive_only and not streams.alone(s):
        return right(s.predict(fitted, rule="scores_t"), pair.yt, known)
    return right(streams.whole(s, fitted, pair.X) if streams.alone(s) else s.predict(fitted, pair.X), pair.y, known)


def right(found: Tensor, y: Tensor, known: bool = False) -> float:
    """The share of samples whose highest score is that of their class; of `known` ones by known scores."""
    require(len(found) == len(y), f"{len(found)} rows of scores for {len(y)} samples")
    if known:
        found, y = found[y < CLASSES, :CLASSES], y[y < CLASSES]
    return float((found.argmax(1) == y).double().mean())
