from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from zoo.adapters.feature._doubting import Rejecting, unit_rows
from zoo.adapters.feature.dance import similar
from zoo.adapters.feature.mme import Cosine
from zoo.errors import BadInput
from zoo.ops.doubt import with_unknown
from zoo.ops.transport import Potentials, unbalanced
from zoo.train import descend

if TYPE_CHECKING:
    from zoo.nets import Net
    from zoo.task import Task
    from zoo.train import Batch

START = 0.01  # share of the run after which classes are detected: 100 steps of the authors' 10,000
EPSILON, ITERATIONS = 0.05, 3  # of the transport to target prototypes
REG, REG_M = 0.01, 0.5  # of that to classes


class UnidaOt(Rejecting):
    """UniOT: target samples are of a class as far as unbalanced optimal transport sends them to its prototype.

    For open and universal label sets. The classifier is a projection (two layers) and a prototype for each class. The
    transport of a batch, filled up by a memory of the target's features, goes from them to prototypes at one minus the
    cosine: a sample whose largest part of the plan is more than the mean's is known, and learns that class unless the
    class gets less than its share. What the classes are expected to get follows what they got. So that known and
    unknown samples are as many, copies of known ones join, or made-up ones, half-way to the prototype that is farthest:
    known for this are those whose cosine with a prototype is above `gamma`. Besides, the target is clustered about `k`
    prototypes of its own, by balanced transport; a sample and its nearest neighbour learn one another's parts.

    Any sample is scored by the plan of all the target, of which the prototypes' scalings tell its part; the authors
    label those alone that were transported, and would not otherwise. Plans are solved to the end, theirs to 1e-4. Of
    few classes the classifier is sure before cosines reach `gamma`, and known samples may be filled up as if they were
    few: it is the authors' all the same, whose source domains have 9 classes and more. Source batches hold as many
    samples of each class, theirs on average. Source and target pass the network one after the other.

    Parameters
    ----------
    weight : float
        Multiple of both losses of the target; the paper's λ.
    gamma : float
        Cosine with a prototype above which filling takes a sample to be known.
    mu : float
        What the classes' expected parts keep of themselves at a step.
    k : int
        Prototypes of the target.
    temperature : float
        Divides the cosines; the paper's τ.
    memory : int
        Features of the target that are kept.
    hidden, width : int
        Of the projection's layers.

    Source: Chang et al. (2022), section 3, and their code for Office-31.
    """

    label_sets = {"open", "universal"}
    balanced = True
    host_sync = True
    title = "UniOT"
    cite = "chang2022unified"
    space = {"weight": ("log", 0.01, 1), "gamma": ("linear", 0.3, 0.9), "k": ("int", 10, 200)}

    def __init__(
        self,
        weight: float = 0.1,
        gamma: float = 0.7,
        mu: float = 0.7,
        k: int = 50,
        temperature: float = 0.1,
        memory: int = 2000,
        hidden: int = 2048,
        width: int = 256,
    ) -> None:
        self.weight, self.gamma, self.mu, self.k = weight, gamma, mu, k
        self.temperature, self.memory, self.hidden, self.width = temperature, memory, hidden, width

    def setup(self, net: Net, task: Task) -> nn.Module:
        if min(self.k, self.memory) < 1:
            raise BadInput(f"unida_ot: k and memory are at least 1, got {self.k} and {self.memory}")
        net.head = Projected(net.width, self.hidden, self.width, task.n_classes, self.temperature).to(task.device)
        self.clusters_, self.memory_ = Cosine(self.width, self.k, self.temperature), nn.Module()
        for prototypes in (net.head.prototypes, self.clusters_):
            unit_rows(prototypes)
        z, n = unit(net, task.Xt), len(task.Xt)
        rows = torch.cat([torch.randperm(n) for _ in range(-(-self.memory // n))])[: self.memory].to(z.device)
        self.memory_.register_buffer("features", z[rows])
        self.memory_.register_buffer("ids", rows)
        self.expected_ = torch.full((task.n_classes,), 1 / task.n_classes, dtype=torch.float64)
        return nn.ModuleList([self.clusters_, self.memory_])

    def fit(self, task: Task) -> UnidaOt:
        super().fit(task)
        # Drawn on the CPU, so that the draw does not depend on the device.
        g = torch.Generator().manual_seed(task.generator.initial_seed())
        self.plan_ = self.planned(unit(self.model_, task.Xt), self.model_, g)[0]
        return self

    def planned(self, z: Tensor, net: Net, g: torch.Generator | None) -> tuple[Potentials, Tensor]:
        """How features go to prototypes once filled up, and the whole plan, of which theirs are the last rows."""
        head: Any = net.head
        Z, W, b = (x.detach().double().cpu() for x in (z, head.prototypes.weight, self.expected_))
        C = -Z @ W.T
        C = torch.cat([filling(C, Z, W, self.gamma, b, g), C])
        plan = unbalanced(C, b, REG, REG_M)
        return plan, plan.rows(C)

    def step(self, net: Net, opt: torch.optim.Optimizer, b: Batch) -> Tensor:
        loss = descend(net, opt, b)
        head: Any = net.head
        for prototypes in (head.prototypes, self.clusters_):
            unit_rows(prototypes)
        with torch.no_grad():
            memory: Any = self.memory_
            n = min(len(b.zt), self.memory)
            rows = (b.step * n + torch.arange(n, device=b.zt.device)) % self.memory
            memory.features[rows], memory.ids[rows] = b.unit[:n], b.idt[:n]
        return loss

    def omega(self, b: Batch) -> Tensor:
        z = b.net.head.project(b.zt)
        b.unit = normalize(z.detach().float(), dim=1)
        found = self.clustered(z, b)
        if b.progress > START:
            found = found + self.detected(b)
        return self.weight * found

    def clustered(self, z: Tensor, b: Batch) -> Tensor:
        """Cross-entropy of each sample's and its neighbour's scores for target prototypes with one another's parts."""
        memory: Any = self.memory_
        F: Tensor = memory.features
        own = torch.isin(memory.ids, b.idt).nonzero()[:, 0]
        near = torch.cat(similar(b.unit, F, own, self.temperature), 1).argmax(1)
        there = torch.cat([F, normalize(z.float(), dim=1)])[near]
        more = F[drawn(len(F), self.k, b.generator)]
        n, logits = len(z), self.clusters_(torch.cat([z.float(), there, more])).float()
        parts = balanced_parts(logits.detach() * self.temperature)
        (log, log_near), (part, part_near) = (x[: 2 * n].split(n) for x in (logits.log_softmax(1), parts))
        return -((part * log).sum(1) / 2 + (part_near * log + part * log_near).sum(1) / 4).mean()

    def detected(self, b: Batch) -> Tensor:
        """Cross-entropy of the samples that are surely of a class, and an update of what classes are to get."""
        F: Tensor = self.memory_.features  # type: ignore[assignment]
        z = torch.cat([F[drawn(len(F), len(F), b.generator)], b.unit])
        _, P = self.planned(z, b.net, b.generator)
        self.expected_ = self.mu * self.expected_.to(P.device) + (1 - self.mu) * P.sum(0)
        known, label = (x[-len(b.unit) :].to(z.device) for x in sure(P))
        losses = cross_entropy(b.lt.float(), label, reduction="none")
        return (losses * known).sum() / known.sum().clamp_min(1)

    def predict(self, X: Tensor, A: object = None) -> Tensor:
        with torch.no_grad():
            net = self.model_
            z, W = unit(net, X).double(), net.head.prototypes.weight.double()
            P = self.plan_.rows(-(z @ W.T).cpu())
            part = P.sum(1, keepdim=True)
            scores = (P / part).float().to(z.device)
            # A sample is unknown where its largest part is not above the mean's, 1 / n.
            doubt = (1 / (1 + P.max(1).values / self.plan_.weight)).float().to(z.device)
            return with_unknown(scores, doubt, 0.5, 0.0, 1.0) if self.rejects_ else scores


class Projected(nn.Module):
    """A projection of two layers, and logits by cosines with prototypes."""

    def __init__(self, inputs: int, hidden: int, width: int, n_classes: int, temperature: float) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.prototypes = Cosine(width, n_classes, temperature)

    def forward(self, z: Tensor) -> Tensor:
        return self.prototypes(self.project(z))  # type: ignore[no-any-return]


@torch.no_grad()
def unit(net: Net, X: Tensor) -> Tensor:
    """Projected features of samples, of length 1, in evaluation mode."""
    head: Any = net.head
    return normalize(head.project(net.embed(X)).float(), dim=1)


def drawn(n: int, size: int, g: torch.Generator | None) -> Tensor:
    """Rows of n, with replacement, on the CPU."""
    return torch.randint(n, (size,), generator=g, device=g.device if g else "cpu").cpu()


def sure(P: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows of a plan of mass 1 have more in a column than the mean row, the column not less than its share.

    >>> sure(torch.tensor([[0.3, 0.0], [0.1, 0.2], [0.4, 0.0]]))
    (tensor([False, False,  True]), tensor([0, 1, 0]))
    """
    n, k = P.shape
    most, label = P.max(1)
    return (most > 1 / n) & (P.sum(0) >= 1 / k)[label], label


def filling(C: Tensor, Z: Tensor, W: Tensor, gamma: float, b: Tensor, g: torch.Generator | None) -> Tensor:
    """Costs of samples that join [n, K] others, so that as many are near a prototype as are not.

    Of sure samples copies; none where no sample is sure. Of samples that are not near, points between samples and the
    prototypes farthest from them.
    """
    near = int((-C).max(1).values.gt(gamma).sum())
    missing = len(C) - 2 * near
    if missing > 0:
        rows = sure(unbalanced(C, b, REG, REG_M).rows(C))[0].nonzero()[:, 0]
        return C[rows[drawn(len(rows), missing, g)]] if len(rows) else C[:0]
    made = normalize(Z + W[C.argmax(1)], dim=1)
    return -made[drawn(len(made), -missing, g)] @ W.T


def balanced_parts(cosines: Tensor) -> Tensor:
    """Parts [n, k] of samples in prototypes, each sample's of sum 1, from a few rounds of balanced transport."""
    Q = (cosines / EPSILON).exp()
    for _ in range(ITERATIONS):
        Q = Q / Q.sum(0)
        Q = Q / Q.sum(1, keepdim=True)
    return Q
