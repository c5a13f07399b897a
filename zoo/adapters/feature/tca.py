from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from zoo.adapters.base import Mapping
from zoo.errors import BadInput
from zoo.ops.kernels import gaussian, inverse_scale
from zoo.ops.subspaces import joint_spectrum, landmarks, transfer_components

if TYPE_CHECKING:
    from zoo.task import Task


class Tca(Mapping):
    """Transfer component analysis: components of large variance along which the domains' means agree.

    Embeds by ``K W``, W the leading vectors of ``(K L K + mu I)⁻¹ K H K``. New points are embedded by their kernel with
    the fitted samples. The linear kernel has its origin at the pooled mean and is solved in its d coordinates.

    Parameters
    ----------
    k : int
        Components; at most the kernel's rank. 30 is the default of the code that is used most (transferlearning's
        TCA.py); the paper varies it from data to data.
    mu : float
        Weight of the penalty on W against the distance of the means, above 0.
    kernel : {'linear', 'gaussian'}
    gamma : float
        The Gaussian kernel is ``exp(-gamma |x - x'|²)``; 0 stands for one over the mean squared distance.
    landmarks : int
        With more samples than this the Gaussian kernel is approximated on so many of them (Nyström, chosen greedily);
        the share of its trace left out is in the certificate.
    unit : bool
        Scale embedded samples to one length, as that code does: the kernel weights components by their variance
        squared, and long samples would be far from all others. The length is √k, under which a component's mean square
        is 1.

    Office-Caltech SURF, 12 pairs, transductive, 1-NN: 46.2 % (published 46.2, without its k).

    Source: Pan et al. (2011), equations 6 to 11, unsupervised. The code named above divides the matrix of the means by
    its norm and scales samples to length 1 before, too, which the paper does not.
    """

    title = "TCA"
    cite = "pan2011domain"
    space = {"k": ("int", 5, 100), "mu": ("log", 1e-3, 1e3)}

    def __init__(
        self,
        k: int = 30,
        mu: float = 1.0,
        kernel: str = "linear",
        gamma: float = 0.0,
        landmarks: int = 500,
        unit: bool = True,
    ) -> None:
        self.k, self.mu, self.kernel = k, mu, kernel
        self.gamma, self.landmarks, self.unit = gamma, landmarks, unit

    def fit_map(self, task: Task) -> None:
        if self.kernel not in ("linear", "gaussian"):
            raise BadInput(f"tca: kernel is 'linear' or 'gaussian', got {self.kernel!r}")
        if self.k < 1 or self.landmarks < 1 or self.mu <= 0 or self.gamma < 0:
            got = f"{self.k}, {self.landmarks}, {self.mu} and {self.gamma}"
            raise BadInput(f"tca: k and landmarks are at least 1, mu above 0, gamma at least 0, got {got}")
        Xs, Xt = task.Xs.flatten(1).double(), task.Xt.flatten(1).double()
        error = 0.0
        if self.kernel == "linear":
            # In the pooled principal directions the rows' triangular factor is the diagonal `scale`, so K its square.
            self.rows_, values, vectors = task.shared(joint_spectrum, "Xs", "Xt")
            scale = (values * (len(Xs) + len(Xt) - 1)).sqrt()
            gap = scale * ((Xs.mean(0) - Xt.mean(0)) @ vectors)
            W = self._components(torch.diag(scale.square()), torch.zeros_like(scale), gap, len(Xs) + len(Xt))
            self.map_ = (vectors * scale) @ W
        else:
            X = torch.cat([Xs, Xt])
            self.scale_ = self.gamma or float(inverse_scale(X))
            if len(X) <= self.landmarks:
                self.rows_, K = X, gaussian(X, gamma=self.scale_)
                gap = K[:, : len(Xs)].mean(1) - K[:, len(Xs) :].mean(1)
                self.map_ = self._components(K, K.mean(1), gap, len(X))
            else:
                self.rows_, root, error = landmarks(X, self.landmarks, self.scale_)
                Z = gaussian(X, self.rows_, gamma=self.scale_) @ root
                R = torch.linalg.qr(Z, mode="r").R
                gap = R @ (Z[: len(Xs)].mean(0) - Z[len(Xs) :].mean(0))
                self.map_ = root @ R.T @ self._components(R @ R.T, R @ Z.mean(0), gap, len(X))
        self.certificate_ = {"dimensions": float(self.map_.shape[1]), "nystroem_error": error}

    def _components(self, K: Tensor, mean: Tensor, gap: Tensor, n: int) -> Tensor:
        W = transfer_components(K, mean, gap, n, self.k, self.mu) if len(K) else K
        if not W.shape[1]:
            raise FloatingPointError("tca: all samples are equal, so that there are no components")
        return W

    def source(self, X: Tensor) -> Tensor:
        rows = X.flatten(1).double()
        K = rows - self.rows_ if self.kernel == "linear" else gaussian(rows, self.rows_, gamma=self.scale_)
        Z = K @ self.map_
        return (normalize(Z, eps=torch.finfo(Z.dtype).tiny) * Z.shape[1] ** 0.5 if self.unit else Z).to(X.dtype)

    target = source
