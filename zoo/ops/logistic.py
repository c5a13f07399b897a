"""Logistic regression on few examples, with a prior that says where the weights are expected."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit


def logistic(X: np.ndarray, y: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Weights, bias and log evidence (Laplace's) of logistic regression under a Gaussian prior of its weights.

    Parameters
    ----------
    X : array [n, d]
    y : array [n] of 0 and 1
    mean, spread : arrays [d]
        Of the prior; the bias is free, with a mean of 0 and a deviation of 10.
    """
    sign, Z = 2.0 * y - 1, np.column_stack([X * spread, np.full(len(X), 10.0)])  # in units of the prior's deviations
    offset = X @ mean

    def loss(v: np.ndarray) -> tuple[float, np.ndarray]:
        z = sign * (offset + Z @ v)
        return float(np.logaddexp(0, -z).sum() + v @ v / 2), v - Z.T @ (sign * expit(-z))

    best = minimize(loss, np.zeros(Z.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    p = expit(offset + Z @ best.x)
    curved = Z * np.sqrt(p * (1 - p))[:, None]
    curved = curved if len(X) > Z.shape[1] else curved.T  # the smaller of two matrices of the same determinant
    evidence = -best.fun - np.linalg.slogdet(np.eye(curved.shape[1]) + curved.T @ curved)[1] / 2
    return mean + spread * best.x[:-1], float(10 * best.x[-1]), float(evidence)
