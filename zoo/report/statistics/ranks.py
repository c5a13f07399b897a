"""Ranks of methods over pairs: Friedman's test, and which ranks Nemenyi's allows to tell apart (Demšar 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.report.statistics.paired import FEWEST, LEVEL, Gain, student


@dataclass(frozen=True)
class Ranks:
    """Mean ranks over pairs, 1 the best.

    Attributes
    ----------
    mean : of each method, with Student's interval over pairs
    friedman : the p of Friedman's test that all rank alike; None of fewer than 3 methods or 6 pairs
    difference : Nemenyi's critical difference; None where there is no Friedman
    apart : array [k, k] of Nemenyi's p; None where there is no Friedman
    cliques : largest runs of neighbours in rank that differ by less than the critical difference
    """

    mean: list[Gain]
    friedman: float | None
    difference: float | None
    apart: np.ndarray | None
    cliques: list[list[int]]


def ranks(values: np.ndarray, lower: bool = False) -> Ranks:
    """Rank the columns of values [pairs, methods] in each row; ties share their mean rank.

    Parameters
    ----------
    lower : whether less is better

    >>> [r.mean for r in ranks(np.array([[0.9, 0.5], [0.8, 0.8]])).mean]
    [1.25, 1.75]
    """
    from scipy import stats

    n, k = values.shape
    given = np.round(values if lower else -values, 12)  # means of equal numbers may differ by rounding
    each = stats.rankdata(given, axis=1)
    mean = [_within(student(list(column)), k) for column in each.T]
    if n < FEWEST or k < 3:
        return Ranks(mean, None, None, None, [])
    friedman = 1.0 if (each == each[:, :1]).all() else float(stats.friedmanchisquare(*each.T).pvalue)
    unit = np.sqrt(k * (k + 1) / (12 * n))  # of which the studentised range counts
    difference = float(stats.studentized_range.ppf(LEVEL, k, np.inf) * unit)
    gaps = np.abs(each.mean(0)[:, None] - each.mean(0))
    apart = stats.studentized_range.sf(gaps / unit, k, np.inf)
    return Ranks(mean, friedman, difference, apart, cliques([m.mean for m in mean], difference))


def _within(rank: Gain, k: int) -> Gain:
    """A rank is between 1 and the number of methods."""
    if rank.low is None or rank.high is None:
        return rank
    return Gain(rank.mean, max(1.0, rank.low), min(float(k), rank.high), rank.n)


def cliques(mean: list[float], difference: float) -> list[list[int]]:
    """Indices of methods that cannot be told apart: maximal runs in order of rank, of two or more.

    >>> cliques([1.0, 3.0, 1.5, 2.2], difference=0.9)
    [[0, 2], [2, 3], [3, 1]]
    """
    order = sorted(range(len(mean)), key=lambda i: mean[i])
    runs: list[list[int]] = []
    for a in range(len(order)):
        run = [i for i in order[a:] if mean[i] - mean[order[a]] < difference]
        if len(run) > 1 and not (runs and set(run) <= set(runs[-1])):
            runs.append(run)
    return runs
