from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from zoo.adapters.feature._doubting import Doubting
from zoo.ops.doubt import entropy
from zoo.ops.precision import in_float32

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

TINY = 1e-5  # added to what a logarithm is taken of, as in the authors' code
SHARES = (0.25, 0.5, 1.0, 2.0, 3.0)  # of the source's number of classes, that the target may have
LARGE = 10_000  # target samples above which a third of them says how many: theirs does so on VisDA and DomainNet
PERPLEXITY = 30  # of t-SNE


class Glc(Doubting):
    """GLC: a target sample is of its nearest class if nearer to it than to what is not; else all classes are equal.

    Source-free, for any label sets. Once, the target's number of classes is estimated: the share of the source's of
    which k-means of the features, in the plane by t-SNE, has the best silhouette. Every pass over the target a class is
    the mean of its highest scoring samples, as many as all classes would have of that number, and what is not it are
    the k-means centres of the others. The first's cosine counts less the less sure those samples are. Scores are drawn
    to these labels, and to the mean of the neighbours' in a memory of the last features and scores; the classifier
    stays. A sample whose entropy is above `limit` is unknown. Training ends after 50 passes, as in the authors' code.

    The source model is trained as theirs is, with labels smoothed by .1 and a weight-normed classifier; the network is
    the suite's. K-means is scikit-learn's from one random start, theirs faiss's. Of few classes only those shares are
    tried that are of 2 classes and more.

    Parameters
    ----------
    weight : float
        Multiple of the cross-entropy with the labels; their code's `lam_psd`, .3 for Office-31 and VisDA, 1.5 for
        Office-Home and DomainNet.
    k : int
        Neighbours of a sample.
    rho : float
        What a class's cosine is multiplied by where its samples score 0; where they score 1 it counts whole.
    limit : float
        Entropy, as a share of the largest, above which a sample is unknown; the paper's ω0.

    Source: Qu et al. (2023), section 3, and their code.
    """

    needs = {"model", "Xt"}
    source_model = {"label_smoothing": 0.1, "weight_norm": True}
    label_sets = {"closed", "partial", "open", "universal"}
    refresh_every = -1
    passes = 50
    title = "GLC"
    cite = "qu2023upcycling"
    space = {
        "weight": ("log", 0.03, 3),
        "k": ("int", 1, 10),
        "rho": ("linear", 0.5, 1.0),
        "limit": ("linear", 0.3, 0.8),
    }

    def __init__(self, weight: float = 0.3, k: int = 4, rho: float = 0.75, limit: float = 0.55) -> None:
        self.weight, self.k, self.rho, self.limit = weight, k, rho, limit

    def setup(self, net: Net, task: Task) -> nn.Module:
        for p in net.head.parameters():
            p.requires_grad_(False)
        self.share_ = 0.0  # not estimated yet
        self.memory_ = nn.Module()
        self.memory_.register_buffer("features", torch.zeros(len(task.Xt), net.width))
        for name in ("scores", "labels"):
            self.memory_.register_buffer(name, torch.zeros(len(task.Xt), task.n_classes))
        return self.memory_

    def refresh(self, net: Net, task: Task) -> None:
        z = net.embed(task.Xt)
        with torch.no_grad():
            S = net.head(z).float().softmax(1)
        Z = normalize(z.float(), dim=1)
        self.share_ = self.share_ or share_of(Z, task.n_classes)
        self.memory_.features, self.memory_.scores = Z, S
        self.memory_.labels = global_labels(Z, S, self.share_, self.rho)

    def omega(self, b: Batch) -> Tensor:
        F: Tensor = self.memory_.features  # type: ignore[assignment]
        S: Tensor = self.memory_.scores  # type: ignore[assignment]
        p = b.lt.float().softmax(1)
        z = normalize(b.zt.detach().float(), dim=1)
        near = nearest(z, F, self.k)
        local = S[near].mean(1) if near.shape[1] else p.detach()
        F[b.idt], S[b.idt] = z, p.detach()
        aim = self.weight * self.memory_.labels[b.idt] + local  # type: ignore[index]
        return -(aim * (p + TINY).log()).sum(1).mean()

    def doubt(self, z: Tensor, p: Tensor) -> Tensor:
        return entropy(p)

    def range(self) -> tuple[float, float, float]:
        return self.limit, 0.0, 1.0


@in_float32
def nearest(z: Tensor, F: Tensor, k: int) -> Tensor:
    """Rows [b, k] of F nearest to each z by cosine, less the very nearest, which is mostly the sample itself."""
    return (z @ F.T).topk(min(k + 1, len(F)), 1).indices[:, 1:]


def share_of(Z: Tensor, n_classes: int) -> float:
    """The share of `SHARES` whose clusters of the rows [n, d] have the best silhouette, in the plane by t-SNE."""
    from sklearn.cluster import KMeans
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score

    n = len(Z)
    if n > LARGE:
        Z = Z[torch.randperm(n, generator=torch.Generator().manual_seed(0))[: n // 3].to(Z.device)]
    tried = [c for c in SHARES if 2 <= int(n_classes * c) < len(Z)]
    if Z.is_meta or len(tried) < 2:
        return 1.0
    near = min(PERPLEXITY, (len(Z) - 1) / 3)
    plane = TSNE(perplexity=near, init="pca", random_state=0).fit_transform(Z.cpu().numpy())
    best, found = 0.0, 1.0
    for c in tried:
        labels = KMeans(int(n_classes * c), n_init=10, random_state=0).fit_predict(plane)
        if len(set(labels.tolist())) > 1 and (score := float(silhouette_score(plane, labels))) > best:
            best, found = score, c
    return found


def global_labels(Z: Tensor, S: Tensor, share: float, rho: float) -> Tensor:
    """One-vs-all labels [n, K] of unit rows Z [n, d] with scores S [n, K]: of one class, or of all alike.

    Parameters
    ----------
    share : the target's number of classes over K
    rho : see `Glc`
    """
    n, k = S.shape
    each = min(max(int(n / k / share), 1), n)
    scores, order = S.sort(0, descending=True)
    prior = scores[:each].mean(0) * (1 - rho) + rho
    own = normalize(Z[order[:each]].mean(0), dim=1)  # [K, d]
    cosines = Z @ own.T
    others = [negatives(Z[order[each:, c]], int(k * share)) for c in range(k)]
    # Of the cosines with no centre at all the highest is the lowest that there is.
    against = torch.stack([(Z @ O.T).max(1).values if len(O) else Z.new_full((n,), -1.0) for O in others], 1)
    labels = one_hot(cosines.argmax(1), k) * (cosines * prior >= against)
    return torch.where(labels.sum(1, keepdim=True) > 0, labels / (1 + 1e-4), 1 / (k + 1e-4))


def negatives(Z: Tensor, k: int) -> Tensor:
    """Centres of length 1 of `k` clusters of the rows, at most as many as rows."""
    from sklearn.cluster import KMeans

    if (k := min(k, len(Z))) == 0 or Z.is_meta:
        return Z[:k]
    found = KMeans(k, init="random", n_init=1, max_iter=100, random_state=0).fit(Z.cpu().numpy())
    return normalize(torch.as_tensor(found.cluster_centers_, dtype=Z.dtype, device=Z.device), dim=1)
