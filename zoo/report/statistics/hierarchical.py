"""The Bayesian hierarchical test over seeds and pairs, with a region of practical equivalence.

Corani, Benavoli, Demšar, Mangili and Zaffalon (2017), Statistical comparison of classifiers through Bayesian
hierarchical modelling, eq. 9 to 17: differences of pair i over seeds are normal around its mean μ_i with variance σ_i²
and correlation ρ; the means are Student's t around μ_0 with scale σ_0 and ν degrees of freedom; μ_0, σ_0 and σ_i are
uniform, ν is gamma with uniform hyperparameters. Here it is sampled by Gibbs steps, all chains at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

CHAINS, BURN, KEPT = 100, 100, 200
EVERY = 4  # steps between draws of ν, the dearest
WIDE = 1000.0  # σ_i and σ_0 are below so many times the deviations in the data
SHAPES, RATES = np.linspace(0.5, 5.0, 10), np.linspace(0.05, 0.15, 5)  # of the prior of ν
TAILS = np.geomspace(0.5, 200.0, 60)  # values of ν
TINY = 1e-9


@dataclass(frozen=True)
class Posterior:
    """Of the next pair: the probability that the method is worse, practically the same, or better."""

    worse: float
    same: float
    better: float


def posterior(differences: Sequence[Sequence[float]], *, rope: float, rho: float, seed: int = 0) -> Posterior:
    """How probable it is that on another pair a method is better by more than `rope`, or worse.

    Parameters
    ----------
    differences : of each pair, over seeds
    rope : half the width of the region of practical equivalence, in the unit of the differences
    rho : correlation of the differences of a pair over seeds, the share of test samples (Nadeau and Bengio 2003)

    A difference that is one number stands for all seeds, and is taken as exact. Draws are seeded, so that equal numbers
    give equal results.

    >>> found = posterior([[0.2, 0.21, 0.19]] * 8, rope=0.01, rho=0.2)
    >>> found.better > 0.99
    True
    """
    return _posterior(tuple(map(tuple, differences)), rope, rho, seed)


@lru_cache(4096)
def _posterior(differences: tuple[tuple[float, ...], ...], rope: float, rho: float, seed: int) -> Posterior:
    return of_draws(samples(differences, rho=rho, seed=seed), rope)


def of_draws(draws: np.ndarray, rope: float) -> Posterior:
    """The shares of draws [n, 3] of (μ_0, σ_0, ν) in which each outcome is the most probable one for the next pair."""
    from scipy.stats import t

    mu, sigma, nu = draws.T
    below, above = t.cdf(-rope, nu, mu, sigma), t.sf(rope, nu, mu, sigma)
    masses = np.stack([below, 1 - below - above, above])
    most = np.bincount(masses.argmax(0), minlength=3) / len(draws)
    return Posterior(*map(float, most))


def samples(differences: Sequence[Sequence[float]], *, rho: float, seed: int = 0) -> np.ndarray:
    """Draws [n, 3] of μ_0, σ_0 and ν from their posterior."""
    rng = np.random.default_rng(seed)
    found = [np.asarray(d, np.float64) for d in differences]
    scale = max(float(np.mean([d.std(ddof=1) if len(d) > 1 else 0.0 for d in found])), TINY)
    mean = np.array([d.mean() for d in found]) / scale
    n = np.array([len(d) for d in found])
    inner = np.array([((d / scale - m) ** 2).sum() for d, m in zip(found, mean, strict=True)]) / (1 - rho)
    shrunk = 1 + (n - 1) * rho
    spread = max(float(mean.std(ddof=1)) if len(mean) > 1 else 0.0, TINY)
    most, farthest = (
        (WIDE, WIDE * spread),
        max(float(np.abs(mean).max()), *(np.abs(d).max() / scale for d in found), 1.0),
    )
    q, shape = len(mean), (CHAINS, len(mean))
    mu0, sigma0, nu = rng.normal(mean.mean(), spread, CHAINS), np.full(CHAINS, spread), np.full(CHAINS, 10.0)
    mu = np.broadcast_to(mean, shape).copy()
    kept = []
    prior = _tails()
    for step in range(BURN + KEPT):
        residual = inner + n * (mean - mu) ** 2 / shrunk
        variance = np.where(n > 1, _inverse_gamma(rng, np.maximum(n - 1, 1) / 2, residual / 2, most[0]), TINY**2)
        off = mu - mu0[:, None]
        w = rng.gamma((nu[:, None] + 1) / 2, 2 / (nu[:, None] + (off / sigma0[:, None]) ** 2))
        precision = n / shrunk / variance, w / sigma0[:, None] ** 2
        total = precision[0] + precision[1]
        mu = (precision[0] * mean + precision[1] * mu0[:, None]) / total + rng.normal(size=shape) / np.sqrt(total)
        centre, width = (w * mu).sum(1) / w.sum(1), sigma0 / np.sqrt(w.sum(1))
        mu0 = np.clip(centre + width * rng.normal(size=CHAINS), -farthest, farthest)
        off = mu - mu0[:, None]
        if q > 1:
            sigma0 = np.sqrt(_inverse_gamma(rng, (q - 1) / 2, (w * off**2).sum(1) / 2, most[1]))
        if step % EVERY == 0:
            nu = _drawn_tail(rng, prior, (off / sigma0[:, None]) ** 2)
        if step >= BURN:
            kept.append(np.stack([mu0 * scale, sigma0 * scale, nu], 1))
    return np.concatenate(kept)


def _inverse_gamma(rng: np.random.Generator, shape: Any, rate: np.ndarray, most: float) -> np.ndarray:
    """Variances whose deviations are uniform below `most` before the data: inverse gamma, cut off above."""
    rate = np.maximum(rate, TINY**2)
    return np.minimum(rate / rng.gamma(np.broadcast_to(shape, rate.shape)), most**2)


@cache
def _tails() -> np.ndarray:
    """The logarithm of ν's prior on `TAILS`, whose steps are even in log ν."""
    from scipy.stats import gamma

    density = np.mean([gamma.pdf(TAILS, a, scale=1 / b) for a in SHAPES for b in RATES], axis=0)
    return np.log(density * TAILS)


def _drawn_tail(rng: np.random.Generator, prior: np.ndarray, z: np.ndarray) -> np.ndarray:
    """ν given squared standardised residuals z [chains, pairs], from its values on a grid."""
    from scipy.special import gammaln

    flat = gammaln((TAILS + 1) / 2) - gammaln(TAILS / 2) - 0.5 * np.log(TAILS)
    tail = np.log1p(z[:, :, None] / TAILS).sum(1) * (TAILS + 1) / 2
    log = prior + z.shape[1] * flat - tail
    weights = np.exp(log - log.max(1, keepdims=True)).cumsum(1)
    index = (weights < rng.random((len(z), 1)) * weights[:, -1:]).sum(1)
    return TAILS[np.minimum(index, len(TAILS) - 1)]
