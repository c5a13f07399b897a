"""Series: samples are their windows, and no split parts two windows of one series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import BadInput
from zoo.kinds.base import Domain
from zoo.kinds.samples import Protocol, Samples
from zoo.series import STATISTICS, Windows, cut, duration, resampled, statistics, steps

if TYPE_CHECKING:
    from zoo.bench.suite import Suite


class Series(Samples):
    """Windows [channels, time] of series; base learners see statistics of each channel.

    ``window``, ``step`` and ``rate`` say how series are cut; without them each series is one sample.
    """

    net = "cnn1d"
    use = "net"
    keys = frozenset({"window", "step", "rate"})
    units = "series"

    def resolved(self, suite: Suite) -> dict[str, Any]:
        """How series are cut: what the suite or its ``data:`` says.

        Raises
        ------
        BadInput
            Both say it; what is no time, nor a number of steps.
        """
        found: dict[str, Any] = {}
        for key in sorted(self.keys):
            own, beside = getattr(suite, key), getattr(suite.data, key, None)
            if own and beside and own != beside:
                raise BadInput(f"{key}: {own}, but {beside} under data: say it once")
            found[key] = own or beside or getattr(suite, key)
        for key in ("window", "step"):
            _said(key, lambda text: duration(text) if text else None, found[key])
        if found["step"] and not found["window"]:
            raise BadInput(f"step: {found['step']} needs window: a time such as 2 s, or a number of steps")
        return found

    def check(self, suite: Suite) -> None:
        super().check(suite)
        if suite.augment != "none":
            raise BadInput(f"augment: {suite.augment} is for photographs, and {suite.dataset} has series")

    def read(self, suite: Suite, name: str, root: Path | None) -> tuple[Windows, np.ndarray]:
        """The windows of a domain, each with the label of its series.

        Raises
        ------
        BadInput
            Series of unequal lengths and no window; a window of no whole number of steps, longer than all series; NaN.
        """
        found: Any
        found, labels = suite.source.load(name, root)
        where = f"{suite.dataset}: domain {name}"
        if len(found) != len(labels):
            raise BadInput(f"{where}: {len(found)} series, but {len(labels)} labels")
        if not np.isfinite(found.values).all():
            step = int(np.flatnonzero(~np.isfinite(found.values).all(1))[0])
            i = int(np.searchsorted(found.starts, step, side="right")) - 1
            raise BadInput(f"{where}: series {i} holds NaN or infinity (first in its step {step - found.starts[i]})")
        if suite.rate and not found.rate:
            found = replace(found, rate=suite.rate)
        elif suite.rate and suite.rate != found.rate:
            found = _said("rate", lambda rate: resampled(found, rate), suite.rate)
        shortest, longest = int(found.lengths.min()), int(found.lengths.max())
        if not suite.window and shortest != longest:
            example = "2 s" if found.rate else max(shortest // 2, 1)
            raise BadInput(
                f"{where}: series have {shortest} to {longest} steps, and samples one length: say window: and step:, "
                f"such as window: {example}"
            )
        length = _said("window", lambda text: steps(text, found.rate), suite.window) if suite.window else longest
        # Half a window is the field's usual overlap.
        step = _said("step", lambda text: steps(text, found.rate), suite.step) if suite.step else max(length // 2, 1)
        if length > longest:
            raise BadInput(f"window: {suite.window} is {length} steps, but the longest series of {where} has {longest}")
        windows = cut(found, length, step)
        return windows, np.asarray(labels)[windows.series]

    def damaged(self, X: Any) -> int | None:
        return None  # looked at before series were cut

    def domain(self, suite: Suite, name: str, X: Any, y: np.ndarray, classes: list[str], device: str) -> Domain:
        """Windows in groups, one a series, and what base learners see of them."""
        seen = statistics(X.values) if suite.features == "raw" else None
        found = Domain.build(name, X.values, y, classes, frozen=seen, groups=X.series)
        notes = list(X.notes)
        if seen is not None:
            of = f"{', '.join(STATISTICS[:-1])} and {STATISTICS[-1]} of each of {X.shape[1]} channels"
            notes.append(f"base learners see {seen.shape[1]} numbers a window: {of}")
        return replace(found, notes=tuple(notes))

    def draws(self, suite: Suite, data: Any) -> Cut:
        return Cut(suite, data)


class Cut(Protocol):
    """The protocol over windows: a channel is normalised as a whole, not each of its steps."""

    def moments(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if X.ndim < 3:
            return super().moments(X)
        return X.mean((0, 2))[:, None], X.std((0, 2))[:, None]


def _said(key: str, read: Any, value: Any) -> Any:
    """What a key's value means; what it does not is bad input."""
    try:
        return read(value)
    except ValueError as error:
        raise BadInput(f"{key}: {error}") from None
