from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from zoo.adapters.base import Reweighting
from zoo.errors import BadInput
from zoo.ops import qp, working_set
from zoo.ops.bandwidth import bandwidth
from zoo.ops.kernels import gaussian, sq_dists
from zoo.ops.ratios import ess, evened, ranked, spread
from zoo.ops.rows import flat, mean, sparse, taken

if TYPE_CHECKING:
    from zoo.task import Task

FULL = 2000  # up to so many source samples the whole kernel is held, and solved with to a gap of 1e-6
DENSE, PROBE = 8000, 800  # and up to so many where most weights are above 0, as a sample of so many rows tells


class Kmm(Reweighting):
    """Kernel mean matching: weights under which the source's mean in a Gaussian kernel's space meets the target's.

    Solves ``min w'Kw/2 - kappa'w`` with ``0 <= w <= B`` and ``|mean(w) - 1| <= eps``: to a duality gap of 1e-6 of the
    optimum with the whole kernel, up to 2,000 source samples, and up to 8,000 where most weights are above 0 and
    samples are not sparse; otherwise on a working set, in memory n × (weights above 0), to a gap of `tol` times the
    MMD² of uniform weights. The certificate holds the gap in the objective's unit (`gap`) and in that of uniform
    weights (`relative_gap`: MMD² less its lower bound by duality, over the MMD² of uniform weights), the effective
    sample size (`ess`), the share of uniform weights that brought it there (`uniform`) and the log-ratio by which gamma
    was chosen (`held_out`). On the working set kernels are of float32, so that weights differ between numbers of
    threads and orders of the target, by far less than the gap allows. Source: Huang et al. (2007), eq. 5, with their B
    and eps; how to choose the kernel's width they leave open, as do ADAPT and SKADA.

    Parameters
    ----------
    B : float
        Largest weight.
    eps : float
        How far the mean weight may be from 1; 0 stands for the authors' ``(sqrt(n) - 1) / sqrt(n)``.
    gamma : float
        The kernel is ``exp(-gamma |x - x'|²)``; 0: by the likelihood of left-out target samples under the ratio that
        the weights of the others make, from 1/4 to 256 times one over the mean squared distance of pooled samples.
    ess : float
        Where the effective sample size is below this share of n_s, the weights are mixed with uniform ones, as far as
        it takes; 0 leaves them.
    tol : float
        Relative gap at which the working set is done.
    how : {'weight', 'resample'}
        Train on weighted samples, or on a sample drawn by the weights.
    """

    title = "KMM"
    cite = "huang2006correcting"
    sparse = True
    space = {"B": ("log", 1, 1000), "gamma": ("log", 1e-3, 10), "ess": ("float", 0.1, 0.9)}

    def __init__(
        self,
        B: float = 1000.0,
        eps: float = 0.0,
        gamma: float = 0.0,
        ess: float = 0.3,
        tol: float = 1e-4,
        how: str = "weight",
    ) -> None:
        self.B, self.eps, self.gamma, self.ess, self.tol, self.how = B, eps, gamma, ess, tol, how

    def weights(self, task: Task) -> Tensor:
        if self.B <= 0 or self.eps < 0 or self.gamma < 0 or self.tol <= 0:
            got = f"{self.B}, {self.eps}, {self.gamma} and {self.tol}"
            raise BadInput(f"kmm: B and tol are above 0, eps and gamma at least 0, got {got}")
        if not 0 <= self.ess <= 1:
            raise BadInput(f"kmm: ess is in [0, 1], got {self.ess}")
        Xs, Xt = flat(task.Xs), flat(task.Xt)
        n, m = len(Xs), len(Xt)
        if self.B + self._slack(n) < 1:
            raise BadInput(
                f"kmm: no weights up to B = {self.B} have a mean of at least 1 - eps = {1 - self._slack(n):g}"
            )

        def weigh(s: Tensor, t: Tensor, gamma: float) -> Tensor:
            own = taken(Xs, s)
            K, cross = gaussian(own, gamma=gamma), gaussian(own, taken(Xt, t), gamma=gamma)
            return qp.solve(K, cross.mean(1) * len(s), *self._bounds(len(s))).w

        gamma, score = (self.gamma, 0.0) if self.gamma else bandwidth(Xs, Xt, weigh)
        bounds = self._bounds(n)
        whole = n <= FULL
        if not whole and n <= DENSE and not sparse(Xs):
            s, t = (ranked(X, mean(Xs))[spread(len(X), PROBE, X.device)] for X in (Xs, Xt))
            whole = float((weigh(s, t, gamma) > 0).double().mean()) > 0.5
        Zs, Zt = working_set.centred(Xs, Xt, gamma)
        if whole:
            K, cross = ((-gamma * D).exp_() for D in (task.shared(sq_dists, "Xs"), task.shared(sq_dists, "Xs", "Xt")))
            own, kappa = float(K.sum()), cross.mean(1) * n
        else:
            own, kappa = working_set.total(Zs, gamma), working_set.row_sums(Zs, Zt, gamma) * (n / m)
        uniform = max(own / n**2 + working_set.total(Zt, gamma) / m**2 - 2 * float(kappa.sum()) / n**2, 1e-12)
        if whole:
            best = qp.solve(K, kappa, *bounds)
        else:
            best = working_set.solve(Zs, kappa, gamma, *bounds, tol=self.tol * uniform * n**2 / 2)
        w, uniform_share = evened(best.w, self.ess)
        self.certificate_ = {
            "ess": ess(w),
            "uniform": uniform_share,
            "gamma": gamma,
            "held_out": score,
            "gap": best.gap,
            "relative_gap": 2 * best.gap / n**2 / uniform,
            "mean": float(best.w.mean()),
            "max": float(best.w.max()),
            "support": float((best.w > 0).sum()),
        }
        return w

    def _slack(self, n: int) -> float:
        return self.eps or (math.sqrt(n) - 1) / math.sqrt(n)

    def _bounds(self, n: int) -> tuple[float, float, float]:
        """The largest weight, and the least and most of their sum."""
        return self.B, n * max(1 - self._slack(n), 0.0), n * (1 + self._slack(n))
