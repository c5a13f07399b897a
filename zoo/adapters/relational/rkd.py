from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from zoo.adapters.base import DeepAdapter
from zoo.adapters.feature.shot import information
from zoo.ops.kernels import sq_dists

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

# Rows whose squared distance is below this share of the mean one, or of the rows' squared length, are one point, which
# has no direction: what float32 leaves of their distance is rounding.
SAME, ROUNDING = 1e-8, 1e-13


class Rkd(DeepAdapter):
    """RKD: distances and angles between target samples stay those of the source model, while its scores get certain.

    The paper distils one network into another on the same data. Here the student is the network that adapts, the
    teacher the source model that it starts from (trained beforehand, and shared), and the samples are the target's. It
    adapts by what SHOT maximises, the information of the target's scores on their classes, beside L_s on the source.
    The gain over source_only is the information's: on office31's frozen features (amazon and dslr to webcam, 2 seeds)
    it alone has 90.8, with the relations kept 90.3, source_only 80.9. What they keep is the figure, not the accuracy.

    Parameters
    ----------
    distance, angle : float
        Multiples of the distance-wise and the angle-wise loss; the paper's are 1 and 2 (for embeddings; 25 and 50 for
        classifiers).
    inform : float
        Multiple of the information; SHOT's is 1. With 0 nothing adapts.

    Source: Park et al. (2019), eq. 5 to 9, losses as means over pairs and triplets as in the authors' code; Liang et
    al. (2020), eq. 3, for the information.
    """

    needs = {"Xs", "ys", "Xt", "model"}
    title = "RKD"
    cite = "park2019relational"
    space = {"distance": ("log", 0.1, 30), "angle": ("log", 0.1, 60), "inform": ("log", 0.1, 3)}

    def __init__(self, distance: float = 1.0, angle: float = 2.0, inform: float = 1.0) -> None:
        self.distance, self.angle, self.inform = distance, angle, inform

    def setup(self, net: Net, task: Task) -> nn.Module | None:
        net.load_state_dict(task.model.state_dict())
        self.source_ = copy.deepcopy(task.model).eval()
        return None

    def omega(self, b: Batch) -> Tensor:
        with torch.no_grad():
            before = self.source_.features(b.xt)
        loss = self.distance * distance_loss(b.zt, before) + self.angle * angle_loss(b.zt, before)
        if b.watched:
            b.terms["relations"] = loss.detach()
        return loss - self.inform * information(b.lt.float())


def distance_loss(z: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss of all distances [n, n], each over the mean of its network's; 0 of rows with themselves."""
    d, before = _distances(z), _distances(teacher)
    return smooth_l1_loss(d / _mean(d), before / _mean(before))


def angle_loss(z: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss of the cosines [n, n, n] of the angles that all pairs of rows make at a third."""
    return smooth_l1_loss(cosines(z), cosines(teacher))


def cosines(Z: Tensor) -> Tensor:
    """The cosine [j, i, k] at row j between the directions to rows i and k; 0 where one of them is row j itself.

    >>> cosines(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0], [4.0, 0.0]]))[0, 1, 1:].round().tolist()
    [1.0, 0.0, 1.0]
    """
    d = _distances(Z)
    inverse = (d > 0).to(d.dtype) / torch.where(d > 0, d, 1)
    Z = Z.double() - Z.detach().double().mean(0)  # autocast leaves float64 alone
    G = Z @ Z.T
    products = (
        G[None] - G[:, :, None] - G[:, None] + G.diagonal()[:, None, None]
    )  # (z_i - z_j)·(z_k - z_j), never [n, n, d]
    return products * inverse[:, :, None] * inverse[:, None]


def _distances(Z: Tensor) -> Tensor:
    D = sq_dists(Z)
    floor = SAME * D.detach().mean() + ROUNDING * Z.detach().double().square().sum(1).mean()
    apart = (D.detach() > floor).to(D.dtype)
    return apart * torch.where(apart > 0, D, 1).sqrt()


def _mean(d: Tensor) -> Tensor:
    """Of the distances that are not 0."""
    return d.sum().clamp_min(torch.finfo(d.dtype).tiny) / (d > 0).sum().clamp_min(1)
