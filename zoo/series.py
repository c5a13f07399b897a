"""Series of measurements, and how they are cut into windows of equal length. numpy only.

What is sampled, adapted to and predicted is a window; what a split keeps together is the series it was cut from.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np

SECONDS = {"": 0.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
STATISTICS = ("mean", "standard deviation", "minimum", "maximum")  # of each channel of a window, in this order


@dataclass(frozen=True)
class Series:
    """Series of any lengths with the same channels, end to end.

    Attributes
    ----------
    values : float array [steps of all series, channels]
    lengths : int array [n]
        Steps of each series.
    rate : float
        Steps a second; 0 where it is not known.
    notes : tuple of str
        What was left out or assumed at reading, a line each.
    """

    values: np.ndarray
    lengths: np.ndarray
    rate: float = 0.0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """The first step of each series."""
        return np.cumsum(self.lengths) - self.lengths


@dataclass(frozen=True)
class Windows:
    """Windows [n, channels, time] of series, and the number of the series that each was cut from."""

    values: np.ndarray
    series: np.ndarray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: np.ndarray) -> Windows:
        return replace(self, values=self.values[rows], series=self.series[rows])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


def duration(text: str) -> tuple[float, str]:
    """What ``2 s``, ``500 ms`` or ``100`` (steps) means: a number and its unit.

    Raises
    ------
    ValueError
        It is no positive duration.

    >>> duration("2 s"), duration("0.5min"), duration("128")
    ((2.0, 's'), (0.5, 'min'), (128.0, ''))
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", text)
    if not found or found[2] not in SECONDS or not float(found[1]) > 0:
        units = ", ".join(u for u in SECONDS if u)
        raise ValueError(f"expected a time such as 2 s (of {units}) or a number of steps such as 100, got {text!r}")
    return float(found[1]), found[2]


def steps(text: str, rate: float) -> int:
    """A duration in steps of series with `rate` steps a second (0: not known).

    Raises
    ------
    ValueError
        It is none, no whole number of steps, or a time where the rate is not known.

    >>> steps("2 s", 50.0), steps("100", 0.0)
    (100, 100)
    """
    number, unit = duration(text)
    if unit and not rate:
        raise ValueError(f"{text} is a time, and how many steps a second has is not known: say rate:, or steps")
    exact = number * SECONDS[unit] * rate if unit else number
    whole = round(exact)
    if whole < 1 or abs(exact - whole) > 1e-6 * max(exact, 1):
        at = f" at {rate:g} steps a second" if unit else ""
        raise ValueError(f"{text} is {exact:g} steps{at}: expected a whole number, 1 or more")
    return whole


def cut(series: Series, length: int, step: int) -> Windows:
    """Windows of `length` steps, one every `step`, from the beginning of each series; what is left at its end is not
    used, nor is a series shorter than one window.

    >>> found = cut(Series(np.arange(7.0)[:, None], np.array([5, 2])), 3, 2)
    >>> found.values[:, 0].tolist(), found.series.tolist()
    ([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]], [0, 0])
    """
    counts = np.maximum((series.lengths - length) // step + 1, 0)
    owner = np.repeat(np.arange(len(series)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = series.starts[owner] + step * within
    values = series.values[first[:, None] + np.arange(length)].transpose(0, 2, 1)
    short = int((counts == 0).sum())
    note = (f"left out: {short} of {len(series)} series, shorter than a window ({length} steps)",) if short else ()
    return Windows(np.ascontiguousarray(values), owner, (*series.notes, *note))


def statistics(windows: np.ndarray) -> np.ndarray:
    """`STATISTICS` of each channel of windows [n, channels, time]: [n, 4 · channels], all means first.

    >>> statistics(np.array([[[1.0, 3.0], [0.0, 0.0]]])).tolist()
    [[2.0, 0.0, 1.0, 0.0, 1.0, 0.0, 3.0, 0.0]]
    """
    wide = windows.astype(np.float64)
    found = [wide.mean(2), wide.std(2), wide.min(2), wide.max(2)]
    return np.concatenate(found, 1).astype(windows.dtype)


def resampled(series: Series, rate: float) -> Series:
    """The same series at another rate, by a polyphase filter: what is too fast for the new rate is filtered away.

    Raises
    ------
    ValueError
        The two rates are no simple ratio.
    """
    from fractions import Fraction

    from scipy.signal import resample_poly

    ratio = Fraction(rate / series.rate).limit_denominator(1000)
    if not math.isclose(float(ratio), rate / series.rate, rel_tol=1e-6):
        raise ValueError(f"{series.rate:g} steps a second cannot be made {rate:g}: choose a simple ratio")
    parts = np.split(series.values, np.cumsum(series.lengths)[:-1])
    new = [resample_poly(p, ratio.numerator, ratio.denominator, axis=0, padtype="line") for p in parts]
    note = f"resampled from {series.rate:g} to {rate:g} steps a second"
    values = np.concatenate(new).astype(series.values.dtype)
    return Series(values, np.array([len(p) for p in new]), rate, (*series.notes, note))


UNEVEN, DRIFT = 0.5, 0.01  # how far a step may be off the usual one; how far the rates of two series may be apart


def evened(values: np.ndarray, lengths: np.ndarray, times: np.ndarray, called: list[str], rate: float = 0.0) -> Series:
    """Series of steps in the order of their times, in seconds; at `rate`, linearly interpolated, where they are uneven.

    Times that are whole numbers one apart count steps, and tell no rate.

    Raises
    ------
    ValueError
        Two steps of one series at one time; steps that are uneven, or other in some series than in the rest, without a
        `rate`.
    """
    ends = np.cumsum(lengths)
    parts = list(zip(called, np.split(times, ends[:-1]), np.split(values, ends[:-1]), strict=True))
    for name, t, _ in parts:
        if (again := np.flatnonzero(np.diff(t) <= 0)).size:
            raise ValueError(f"series {name!r} has two steps at {t[again[0]]:g} s, or they are not in order")
    usual = [float(np.median(np.diff(t))) for _, t, _ in parts if len(t) > 1]
    if not usual:
        return Series(values.astype(np.float32), lengths)
    step = float(np.median(usual))
    if step == 1 and all((np.diff(t) == 1).all() for _, t, _ in parts):
        return Series(values.astype(np.float32), lengths, rate)
    why = ""
    for name, t, _ in parts:
        d = np.diff(t)
        if len(d) and abs(np.median(d) / step - 1) > DRIFT:
            why = why or f"series {name!r} has a step every {np.median(d):g} s, where the usual one is {step:g} s"
        elif len(d) and (np.abs(d / step - 1) > UNEVEN).any():
            i = int(np.abs(d / step - 1).argmax())
            why = why or f"series {name!r} has a step of {d[i]:g} s at {t[i]:g} s, where the usual one is {step:g} s"
    if not why:
        own = float(f"{1 / step:.6g}")
        return Series(values.astype(np.float32), lengths, own, (f"times are seconds: {own:g} steps a second",))
    if not rate:
        raise ValueError(f"{why}: say rate: (steps a second) to have it interpolated")
    grids = [np.arange(t[0], t[-1] + 0.5 / rate, 1 / rate) for _, t, _ in parts]
    new = [np.stack([np.interp(g, t, column) for column in v.T], 1) for g, (_, t, v) in zip(grids, parts, strict=True)]
    gap = max(float(np.diff(t).max()) for _, t, _ in parts if len(t) > 1)
    note = f"times are uneven: interpolated at {rate:g} steps a second; the longest gap was {gap:g} s"
    return Series(np.concatenate(new).astype(np.float32), np.array([len(g) for g in grids]), rate, (note,))
