"""Streams as a suite and its plan see them: target samples arrive once, in batches, and none is there before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import BadInput

if TYPE_CHECKING:
    from zoo.bench.suite import Suite
    from zoo.discover import MethodInfo

NAME = "stream"  # the protocol
ORDERS = ("shuffled", "by_class", "by_domain")
BATCH = 64  # samples, unless the suite says otherwise: that of most papers on adaptation as data arrive
WAITS = frozenset({"Xt", "yt", "Xl", "yl", "At"})  # fields that hold target samples before the first is predicted


def parts(target: str) -> list[str]:
    """The domains that a target stands for, in the order in which they arrive ``by_domain``.

    >>> parts("b+c")
    ['b', 'c']
    """
    return target.split("+")


def resolved(suite: Suite, protocol: str) -> dict[str, object]:
    """The suite's keys of a stream, as they are under its protocol.

    Raises
    ------
    BadInput
        They are there without a stream, or a stream beside what would tell of samples that have not come.
    """
    if protocol != NAME:
        for key in ("order", "stream_batch"):
            if value := getattr(suite, key):
                raise BadInput(f"{key}: {value} needs protocol: stream, not {protocol}")
        return {}
    if suite.labels:
        why = "no target sample is there before the stream, so that none can be labelled"
        raise BadInput(f"labels: {suite.labels}: protocol: stream: {why}")
    if "zscore" in suite.normalise and suite.normalise_by != "source":
        what = "the target's mean and deviation are those of samples that have not come"
        raise BadInput(f"normalise: zscore: protocol: stream: {what}; say normalise_by: source")
    if suite.data is not None and suite.data.imputes:
        raise BadInput("data: impute: protocol: stream: the target's mean is that of samples that have not come")
    if suite.open:
        raise BadInput(f"label_sets: {suite.label_sets}: protocol: stream is for sets that are closed or partial")
    if not suite.problem.classes:
        raise BadInput(f"task: {suite.task}: protocol: stream is for classification")
    return {"order": suite.order or ORDERS[0], "stream_batch": suite.stream_batch or BATCH}


def only(info: MethodInfo) -> bool:
    """Whether a method adapts to streams and to nothing else."""
    return info.stream and not info.needs & WAITS


def refusal(suite: Suite, info: MethodInfo) -> str:
    """Why a method cannot run, for the stream that there is or is not; empty if it can."""
    if suite.protocol != NAME:
        return "adapts to batches as they arrive, and to nothing else (protocol: stream)" if only(info) else ""
    waits = sorted(grant(suite, info) & WAITS)
    return f"needs {', '.join(waits)}: target samples before the first is predicted (protocol: stream)" if waits else ""


def grant(suite: Suite, info: MethodInfo) -> frozenset[str]:
    """What a method is granted: of a stream no samples of the target, which one made for streams does without."""
    return info.needs - {"Xt"} if suite.protocol == NAME and info.stream else info.needs


def sees(suite: Suite, info: MethodInfo, granted: frozenset[str]) -> frozenset[str]:
    """The grant by which a setting is named: who adapts to a stream sees the target, without labels."""
    return granted | {"Xt"} if suite.protocol == NAME and info.stream else granted
